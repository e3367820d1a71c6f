"""Clients of the core device's management socket: `AsyncMgmt` for asyncio, `Mgmt` blocking. Same methods.

Every wait is limited by `timeout` seconds (for a whole reply, not per byte), given at construction and changeable at
any time. Failures are OSErrors: DeviceError for what the device says, TimeoutError, ConnectionError.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, Self

from corelog.coredevice import requests
from corelog.coredevice.requests import DeviceError, Op
from corelog.coredevice.stream import SILENCE, Subscription
from corelog.wire import mgmt
from corelog.wire.cursor import Tracker
from corelog.wire.errors import ProtocolError
from corelog.wire.frames import Cursor, From, Level, encode_subscribe
from corelog.wire.mgmt import PORT, Answer, Identity
from corelog.wire.text import PullParser
from sipyco.keepalive import async_open_connection, set_keepalive

TIMEOUT = 10.0
# a link that is cut without a word is noticed after 4 s
KEEPALIVE = {"after_idle": 1, "interval": 1, "max_fails": 3}
STREAM_BUFFER = 1 << 20

_CLOSED = "the device closed the connection"


class AsyncMgmt:
    """`async with AsyncMgmt(host) as device: ...`; or `await open()` and `await close()`."""

    def __init__(self, host: str, port: int = PORT, destination: int = 0, timeout: float = TIMEOUT) -> None:
        self.host, self.port, self.destination, self.timeout = host, port, destination, timeout
        self._order = "<"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Connects and shakes hands."""
        async with asyncio.timeout(self.timeout):
            self._reader, self._writer = await async_open_connection(
                self.host, self.port, limit=STREAM_BUFFER, **KEEPALIVE
            )
            try:
                self._writer.write(mgmt.greeting(self.destination))
                self._order = _order(await self._exactly(1))
            except BaseException:
                self._writer.close()
                self._reader = self._writer = None
                raise

    async def close(self) -> None:
        """Closes the connection; does nothing if there is none."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            try:
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()
            except (OSError, TimeoutError):
                writer.transport.abort()

    async def _exactly(self, count: int) -> bytes:
        try:
            return await self._io()[0].readexactly(count)
        except asyncio.IncompleteReadError:
            raise ConnectionError(_CLOSED) from None

    def _io(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            raise ConnectionError("not connected")
        return self._reader, self._writer

    async def _run(self, op: Op) -> Any:
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self._request(op)
        except TimeoutError:
            await self.close()  # a late reply would be taken for the next one's
            raise TimeoutError(f"no answer from the device within {self.timeout:g} s") from None
        except ProtocolError as exc:
            await self.close()
            raise DeviceError(str(exc)) from exc
        except BaseException:
            if self._writer is not None:  # cancelled, or broken: there is no telling where the replies are
                self._writer.transport.abort()
            raise
        return op.check(answer).payload if answer is not None else None

    async def _request(self, op: Op) -> Answer | None:
        writer = self._io()[1]
        writer.write(op.data)
        await writer.drain()
        if op.expect is None:
            return None
        reading = mgmt.read_reply(self._order)
        need = next(reading)
        try:
            while True:
                need = reading.send(await self._exactly(need))
        except StopIteration as done:
            answer: Answer = done.value
            return answer

    async def get_log(self) -> str:
        return _text(await self._run(requests.get_log()))

    async def clear_log(self) -> None:
        await self._run(requests.clear_log())

    async def pull_log(self) -> AsyncGenerator[bytes, None]:
        """Asks for PullLog and yields the texts, for ever; ends when the device closes. Silence is legal."""
        await self._run(requests.pull_log())
        parser, reader = PullParser(self._order), self._io()[0]
        while data := await reader.read(1 << 16):
            for text in _protocol(parser.feed, data):
                yield text

    async def config_read(self, key: str) -> bytes:
        return bytes(await self._run(requests.config_read(key, self._order)))

    async def config_write(self, key: str, value: bytes) -> None:
        await self._run(requests.config_write(key, value, self._order))

    async def config_remove(self, key: str) -> None:
        await self._run(requests.config_remove(key, self._order))

    async def config_erase(self) -> None:
        await self._run(requests.config_erase())

    async def reboot(self) -> None:
        await self._run(requests.reboot())

    async def debug_allocator(self) -> None:
        """The dump goes to the device's UART."""
        await self._run(requests.debug_allocator())

    async def flash(self, components: Sequence[bytes]) -> None:
        """Gateware, bootloader and firmware; or the contents of a boot.bin alone. Raises ValueError for others."""
        await self._run(requests.flash(mgmt.flash_image(list(components), self._order), self._order))

    async def identify(self) -> Identity:
        identity: Identity = await self._run(requests.identify())
        return identity

    async def debug_panic(self) -> None:
        await self._run(requests.debug_panic())

    async def debug_flood(
        self, count: int, level: int = Level.INFO, body_length: int = 0, warn_every: int = 0, interval: int = 0
    ) -> None:
        """Has the device write `count` records, one per `interval` us; returns when they are written."""
        await self._run(requests.debug_flood(count, level, body_length, warn_every, interval))

    async def debug_bench(self, count: int = 1000) -> None:
        """Has the device measure its logging; the results are records of target `runtime::bench`."""
        await self._run(requests.debug_bench(count))

    async def subscribe(
        self,
        start: From = From.OLDEST,
        level: int = Level.TRACE,
        origins: Sequence[int] = (),
        cursors: Sequence[Cursor] = (),
        tracker: Tracker | None = None,
        silence: float = SILENCE,
    ) -> Subscription:
        """Starts the record stream; the connection serves nothing else from then on.

        A `tracker` that has places (from an earlier subscription or restored) makes it resume at them, whatever
        `start` says. Raises NotSupported if the device does not know the request.
        """
        tracker = tracker if tracker is not None else Tracker()
        tracker.min_level = level
        tracker.connected()
        if tracker.places:
            start, cursors = From.CURSORS, tracker.cursors()
        reader, writer = self._io()
        subscription = Subscription(reader, tracker, silence)
        async with asyncio.timeout(self.timeout):
            writer.write(encode_subscribe(start, level, origins, cursors))
            await writer.drain()
            try:
                await subscription.start()
            except ProtocolError as exc:
                raise DeviceError(f"record stream: {exc}") from exc
        return subscription


class Mgmt:
    """`with Mgmt(host) as device: ...`; connects when entered or at the first request."""

    def __init__(self, host: str, port: int = PORT, destination: int = 0, timeout: float = TIMEOUT) -> None:
        self.host, self.port, self.destination, self.timeout = host, port, destination, timeout
        self._order = "<"
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def open(self) -> None:
        """Connects and shakes hands; does nothing if that is done."""
        if self._socket is not None:
            return
        deadline = time.monotonic() + self.timeout
        self._socket = socket.create_connection((self.host, self.port), self.timeout)
        try:
            set_keepalive(self._socket, **KEEPALIVE)
            self._socket.sendall(mgmt.greeting(self.destination))
            self._order = _order(self._exactly(1, deadline))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _recv(self, count: int, deadline: float | None) -> bytes:
        if self._socket is None:
            raise ConnectionError("not connected")
        if deadline is None:
            self._socket.settimeout(None)
        else:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer from the device within {self.timeout:g} s")
            self._socket.settimeout(left)
        return self._socket.recv(count)

    def _exactly(self, count: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self._recv(min(count - len(data), 1 << 16), deadline)
            if not part:
                raise ConnectionError(_CLOSED)
            data += part
        return bytes(data)

    def _run(self, op: Op) -> Any:
        self.open()
        try:
            answer = self._request(op)
        except ProtocolError as exc:
            self.close()
            raise DeviceError(str(exc)) from exc
        except TimeoutError:
            self.close()  # a late reply would be taken for the next one's
            raise TimeoutError(f"no answer from the device within {self.timeout:g} s") from None
        except BaseException:
            self.close()
            raise
        return op.check(answer).payload if answer is not None else None

    def _request(self, op: Op) -> Answer | None:
        assert self._socket is not None
        deadline = time.monotonic() + self.timeout
        self._socket.settimeout(self.timeout)
        self._socket.sendall(op.data)
        if op.expect is None:
            return None
        reading = mgmt.read_reply(self._order)
        need = next(reading)
        try:
            while True:
                need = reading.send(self._exactly(need, deadline))
        except StopIteration as done:
            answer: Answer = done.value
            return answer

    def get_log(self) -> str:
        return _text(self._run(requests.get_log()))

    def clear_log(self) -> None:
        self._run(requests.clear_log())

    def pull_log(self) -> Iterator[bytes]:
        """Asks for PullLog and yields the texts, for ever; ends when the device closes. Silence is legal."""
        self._run(requests.pull_log())
        parser = PullParser(self._order)
        while data := self._recv(1 << 16, None):
            yield from _protocol(parser.feed, data)

    def config_read(self, key: str) -> bytes:
        self.open()
        return bytes(self._run(requests.config_read(key, self._order)))

    def config_write(self, key: str, value: bytes) -> None:
        self.open()
        self._run(requests.config_write(key, value, self._order))

    def config_remove(self, key: str) -> None:
        self.open()
        self._run(requests.config_remove(key, self._order))

    def config_erase(self) -> None:
        self._run(requests.config_erase())

    def reboot(self) -> None:
        self._run(requests.reboot())

    def debug_allocator(self) -> None:
        """The dump goes to the device's UART."""
        self._run(requests.debug_allocator())

    def flash(self, components: Sequence[bytes]) -> None:
        """Gateware, bootloader and firmware; or the contents of a boot.bin alone. Raises ValueError for others."""
        self.open()
        self._run(requests.flash(mgmt.flash_image(list(components), self._order), self._order))

    def identify(self) -> Identity:
        identity: Identity = self._run(requests.identify())
        return identity

    def debug_panic(self) -> None:
        self._run(requests.debug_panic())

    def wait_refusal(self, seconds: float = 1.0) -> None:
        """Raises DeviceError if the device answers Error within that time; silence and a closed link are fine."""
        try:
            answer = self._recv(1, time.monotonic() + seconds)
        except (ConnectionError, TimeoutError):
            return
        if answer:
            raise DeviceError(requests.NO_DEBUG)

    def debug_flood(
        self, count: int, level: int = Level.INFO, body_length: int = 0, warn_every: int = 0, interval: int = 0
    ) -> None:
        """Has the device write `count` records, one per `interval` us; returns when they are written."""
        self._run(requests.debug_flood(count, level, body_length, warn_every, interval))

    def debug_bench(self, count: int = 1000) -> None:
        """Has the device measure its logging; the results are records of target `runtime::bench`."""
        self._run(requests.debug_bench(count))


def _order(answer: bytes) -> str:
    try:
        return mgmt.byte_order(answer)
    except ProtocolError as exc:
        raise DeviceError(str(exc)) from exc


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


def _protocol(function: Any, data: bytes) -> list[bytes]:
    try:
        texts: list[bytes] = function(data)
    except ProtocolError as exc:
        raise DeviceError(str(exc)) from exc
    return texts
