"""Clients of the core device's management socket: `AsyncMgmt` for asyncio, here; `Mgmt` blocking. Same methods.

Every wait is limited by `timeout` seconds (for a whole reply, not per byte), given at construction and changeable at
any time. Failures are OSErrors: DeviceError for what the device says, TimeoutError, ConnectionError.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Self

from corelog.coredevice import requests
from corelog.coredevice.mgmt_blocking import Mgmt
from corelog.coredevice.requests import TIMEOUT, DeviceError, Op
from corelog.coredevice.stream import SILENCE, Subscription
from corelog.wire import mgmt
from corelog.wire.cursor import Tracker
from corelog.wire.errors import ProtocolError
from corelog.wire.frames import Cursor, From, Level, encode_subscribe
from corelog.wire.mgmt import PORT, Answer, Identity
from corelog.wire.text import PullParser
from sipyco.keepalive import async_open_connection

__all__ = ["PORT", "TIMEOUT", "AsyncMgmt", "Mgmt"]

STREAM_BUFFER = 1 << 20


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
                self.host, self.port, limit=STREAM_BUFFER, **requests.KEEPALIVE
            )
            try:
                self._writer.write(mgmt.greeting(self.destination))
                self._order = requests.byte_order(await self._exactly(1))
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
            raise ConnectionError(requests.CLOSED) from None

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
        return requests.log_text(await self._run(requests.get_log()))

    async def clear_log(self) -> None:
        await self._run(requests.clear_log())

    async def pull_log(self) -> AsyncGenerator[bytes, None]:
        """Asks for PullLog and yields the texts, for ever; ends when the device closes. Silence is legal."""
        await self._run(requests.pull_log())
        parser, reader = PullParser(self._order), self._io()[0]
        while data := await reader.read(1 << 16):
            for text in requests.pulled(parser.feed, data):
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
