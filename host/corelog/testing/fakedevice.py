"""A core device's management socket without the device: the protocol over a naive model, with faults on demand.

For tests of what talks to a device. It shows how a device may behave, not how ours does: for that there is the
simulated board.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import time
from dataclasses import dataclass, field
from typing import Self

from corelog.testing.fakemgmt import HangUp, answer, read_fields
from corelog.testing.fakestream import UNIT_FS, Stream
from corelog.testing.ring import BootLog
from corelog.wire import mgmt
from corelog.wire.frames import Cursor, From, Level
from corelog.wire.mgmt import Reply, Request

_LEVELS = {1: "ERROR", 2: " WARN", 3: " INFO", 4: "DEBUG", 5: "TRACE"}


@dataclass(slots=True)
class Faults:
    """dribble: bytes per write of a stream (0: whole batches). cut_after: ends the next connection's stream after so
    many bytes of it, once. refuse: closes every connection at once. mute: accepts and says nothing. old: knows only
    the old protocol (`close`: ends the connection at an unknown code, `error`: answers Error)."""

    dribble: int = 0
    cut_after: int | None = None
    refuse: bool = False
    mute: bool = False
    old: str = ""


@dataclass(slots=True)
class FakeDevice:
    """`async with FakeDevice() as device: ... device.port ... device.write(...)`.

    capacity: records kept per lane and boot. heartbeat: seconds. Origins 1 to 255 are satellites, on their first use;
    those of `synchronised` send clock frames (as does the core device), those of `down` cannot be reached.
    greeted: the destination byte of each connection.
    """

    host: str = "127.0.0.1"
    port: int = 0
    capacity: int = 1 << 30
    heartbeat: float = 1.0
    board_id: int = 0x0123456789ABCDEF
    faults: Faults = field(default_factory=Faults)
    config: dict[str, bytes] = field(default_factory=dict)
    satellite_config: dict[int, dict[str, bytes]] = field(default_factory=dict)
    flashed: list[bytes] = field(default_factory=list)
    connections: int = 0
    boots: dict[int, BootLog] = field(default_factory=dict)  # origin -> present boot
    previous: dict[int, BootLog] = field(default_factory=dict)
    synchronised: set[int] = field(default_factory=lambda: {0})
    down: set[int] = field(default_factory=set)
    greeted: list[int] = field(default_factory=list)
    text: bytes = b""  # what GetLog gives, and PullLog takes away
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _frozen: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _started: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._boot(0)

    def _boot(self, origin: int) -> None:
        self.boots[origin] = BootLog(random.getrandbits(64), self.capacity)
        self._started[origin] = time.monotonic()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens; the port stays the same when started again."""
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.drop()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    def drop(self) -> None:
        """Breaks every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    @property
    def log(self) -> BootLog:
        """The present boot of the core device itself."""
        return self.boots[0]

    def now(self, origin: int = 0) -> int:
        """Device time in us."""
        return int((time.monotonic() - self._started[origin]) * 1e6)

    def clock(self, origin: int) -> tuple[int, int]:
        """Device time in us, and RTIO counter of the whole tree, which began with the core device, at one instant."""
        instant = time.monotonic()
        return int((instant - self._started[origin]) * 1e6), int((instant - self._started[0]) * 1e15 / UNIT_FS)

    def add_satellite(self, origin: int, synchronised: bool = True) -> None:
        """A satellite that has just booted."""
        self._boot(origin)
        if synchronised:
            self.synchronised.add(origin)
        self.wake()

    def reboot_satellite(self, origin: int, panic: str = "", keep: bool = True) -> None:
        """New boot of a satellite, while connections go on. keep: its memory survives."""
        if panic:
            self.write(Level.ERROR, "satman::panic", panic, origin, more=True)
            self.boots[origin].panicked = True
        self.previous.pop(origin, None)
        if keep:
            self.previous[origin] = self.boots[origin]
        self._boot(origin)
        self.wake()

    def cut(self, origin: int) -> None:
        """The link to a satellite is down: what it writes comes later."""
        self.down.add(origin)

    def restore(self, origin: int) -> None:
        """The link is up again."""
        self.down.discard(origin)
        self.wake()

    def write(
        self, level: int, target: str | bytes, body: str | bytes, origin: int = 0, repeat: int = 0,
        truncated: bool = False, more: bool = False,
    ) -> None:  # fmt: skip
        """Writes a record. `more`: others follow at once, do not wake the subscribers yet."""
        if origin not in self.boots:
            self._boot(origin)
        raw = [x.encode() if isinstance(x, str) else x for x in (target, body)]
        self.boots[origin].write(level, raw[0], raw[1], self.now(origin), origin, repeat, truncated)
        if not more:
            self.wake()

    def wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def flood(
        self, count: int, level: int = Level.INFO, body_length: int = 0, warn_every: int = 0, origin: int = 0
    ) -> None:
        """As the Debug request: `flood i/count` from 1 on, padded with dots, every `warn_every`-th a warning."""
        target = "satman::mgmt" if origin else "runtime::mgmt"
        for i in range(count):
            warn = warn_every and i % warn_every == warn_every - 1
            body = f"flood {i + 1}/{count}".ljust(body_length, ".")
            self.write(Level.WARN if warn else level, target, body, origin, more=True)
        self.wake()

    def add_text(self, text: bytes) -> None:
        """Log text of the old protocol."""
        self.text += text
        self.wake()

    def reboot(self, panic: str = "", keep: bool = True) -> None:
        """New boot of the core device, all connections broken. keep: its memory survives. Satellites go on."""
        old = self.boots[0]
        if panic:
            self.write(Level.ERROR, "runtime::panic", panic)
            old.panicked = True
        self.previous.pop(0, None)
        if keep:
            self.previous[0] = old
        self._boot(0)
        self.drop()

    def reset_silently(self) -> None:
        """As `reboot`, but present connections are left open and dead: a device that resets says no farewell.

        What was written just before may not have been sent."""
        self._frozen |= self._open
        self._open.clear()
        self.reboot()

    # connections

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            if not self.faults.refuse:
                await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, HangUp):
            pass
        finally:
            self._open.discard(writer)
            self._frozen.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        destination = (await reader.readexactly(len(mgmt.MAGIC) + 1))[-1]
        self.greeted.append(destination)
        if self.faults.mute:
            await reader.read()
            return
        writer.write(b"e")
        while True:
            code = (await reader.readexactly(1))[0]
            if code >= Request.IDENTIFY and self.faults.old:
                if self.faults.old == "close":
                    raise HangUp
                writer.write(bytes([Reply.ERROR]))
            elif code == Request.SUBSCRIBE:
                await self._subscribe(reader, writer)
            elif code == Request.PULL_LOG:
                await self._pull(writer, destination)
            else:
                writer.write(answer(self, code, await read_fields(code, reader), destination))
            await writer.drain()

    def log_text(self, origin: int = 0) -> bytes:
        """All that is kept, as text of the old protocol."""
        lines = [text_line(k.record.time, k.record.level, k.record.target, k.record.body)
                 for k in self.boots[origin].kept.values()]  # fmt: skip
        return b"".join(lines) + (b"" if origin else self.text)

    async def _pull(self, writer: asyncio.StreamWriter, origin: int) -> None:
        seq = self.boots[origin].oldest
        while True:
            news, log = self._news, self.boots[origin]
            kept = [k.record for s, k in log.kept.items() if s >= seq]
            seq = log.produced
            text = b"".join(text_line(r.time, r.level, r.target, r.body) for r in kept) + self.text
            self.text = b""
            if self.faults.old:
                log.kept.clear()  # what an old device has sent it has no more
            if text:
                await self._send(writer, mgmt.blob(text))
            await _wait(news, writer, self.heartbeat)

    async def _subscribe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start, level, origin_count, cursor_count = struct.unpack("<BBBB3x", await reader.readexactly(7))
        origins = set(await reader.readexactly(origin_count))
        cursors: dict[int, Cursor] = {}
        for _ in range(cursor_count):
            cursor = Cursor(*struct.unpack("<B7xQQQ", await reader.readexactly(32)))
            cursors[cursor.origin] = cursor
        if start > From.CURSORS or not Level.ERROR <= level <= Level.TRACE:
            writer.write(bytes([Reply.ERROR]))
            raise HangUp
        stream = Stream(self, From(start), level, origins, cursors)
        await self._send(writer, stream.header())
        while True:
            news = self._news
            while data := stream.read():
                await self._send(writer, data)
            await _wait(news, writer, self.heartbeat)
            await self._send(writer, stream.heartbeats())

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if writer in self._frozen:
            await asyncio.Event().wait()  # until the task is cancelled
        if self.faults.cut_after is not None:
            part = data[: self.faults.cut_after]
            self.faults.cut_after -= len(part)
            if len(part) < len(data):
                self.faults.cut_after = None
                writer.write(part)
                await writer.drain()
                raise HangUp
        step = self.faults.dribble or len(data) or 1
        for pos in range(0, len(data), step):
            writer.write(data[pos : pos + step])
            await writer.drain()
            if self.faults.dribble:
                await asyncio.sleep(0)


def text_line(time_us: int, level: int, target: str, body: str) -> bytes:
    """A record in the text form of the old protocol."""
    return f"[{time_us // 1_000_000:6}.{time_us % 1_000_000:06}s] {_LEVELS[level]}({target}): {body}\n".encode()


async def _wait(news: asyncio.Event, writer: asyncio.StreamWriter, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        pass
    if writer.is_closing():
        raise HangUp
