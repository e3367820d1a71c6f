"""Blocking client of the core device's management socket. The one for asyncio is in `mgmt.py`."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from corelog.coredevice import requests
from corelog.coredevice.requests import TIMEOUT, DeviceError, Op
from corelog.wire import mgmt
from corelog.wire.errors import ProtocolError
from corelog.wire.frames import Level
from corelog.wire.mgmt import PORT, Answer, Identity, Reply
from corelog.wire.text import PullParser
from sipyco.keepalive import set_keepalive

_PIECE = 1 << 16
Progress = Callable[[int, int], None]  # bytes sent, of how many


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
            set_keepalive(self._socket, **requests.KEEPALIVE)
            self._socket.sendall(mgmt.greeting(self.destination))
            self._order = requests.byte_order(self._exactly(1, deadline))
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
                raise ConnectionError(requests.CLOSED)
            data += part
        return bytes(data)

    def _run(self, op: Op, progress: Progress | None = None) -> Any:
        self.open()
        try:
            answer = self._request(op, progress)
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

    def _request(self, op: Op, progress: Progress | None) -> Answer | None:
        assert self._socket is not None
        deadline = time.monotonic() + self.timeout
        for start in range(0, len(op.data), _PIECE):
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            self._socket.sendall(op.data[start : start + _PIECE])
            if progress is not None:
                progress(min(start + _PIECE, len(op.data)), len(op.data))
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
        return requests.log_text(self._run(requests.get_log()))

    def clear_log(self) -> None:
        self._run(requests.clear_log())

    def pull_log(self) -> Iterator[bytes]:
        """Asks for PullLog and yields the texts, for ever; ends when the device closes. Silence is legal."""
        self._run(requests.pull_log())
        parser = PullParser(self._order)
        while data := self._recv(1 << 16, None):
            yield from requests.pulled(parser.feed, data)

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

    def flash(self, components: Sequence[bytes], progress: Progress | None = None) -> None:
        """Gateware, bootloader and firmware; or the contents of a boot.bin alone. Raises ValueError for others."""
        self.open()
        self._run(requests.flash(mgmt.flash_image(list(components), self._order), self._order), progress)

    def identify(self) -> Identity:
        identity: Identity = self._run(requests.identify())
        return identity

    def debug_panic(self) -> None:
        self._run(requests.debug_panic())

    def wait_refusal(self, failure: str, seconds: float = 1.0) -> None:
        """After a request without reply: raises DeviceError(failure) if the device answers Error within that time;
        silence, a closed link, and a satellite's Success are fine."""
        try:
            answer = self._recv(1, time.monotonic() + seconds)
        except (ConnectionError, TimeoutError):
            return
        if answer == bytes([Reply.ERROR]):
            raise DeviceError(failure)

    def debug_flood(
        self, count: int, level: int = Level.INFO, body_length: int = 0, warn_every: int = 0, interval: int = 0
    ) -> None:
        """Has the device write `count` records, one per `interval` us; returns when they are written."""
        self._run(requests.debug_flood(count, level, body_length, warn_every, interval))

    def debug_bench(self, count: int = 1000) -> None:
        """Has the device measure its logging; the results are records of target `runtime::bench`."""
        self._run(requests.debug_bench(count))
