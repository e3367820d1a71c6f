"""Lines in and out of byte streams, many per wake-up: splitting what arrives, and queueing what a peer reads late."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

from sipyco import keepalive
from sipyco.tools import SimpleSSLConfig

READ_SIZE = 256 * 1024
"""Bytes taken from a stream at once: hundreds of lines per wake-up when it is busy."""


_BATCH_BYTES = 64 * 1024
_BATCH_LINES = 256
_BATCH_TIME = 0.001

CLIENT_LINE_LIMIT = 100 * 1024 * 1024
"""Longest line a client accepts, in bytes."""


class LineTooLong(ValueError):
    """A peer sent a line above the limit."""


class LineSplitter:
    """Turns chunks of bytes into whole lines. Holds at most one unfinished line of up to `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their newline. LineTooLong if one exceeds the limit."""
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines:
            if self._parts:
                self._parts.append(lines[0])
                lines[0] = b"".join(self._parts)
            self._parts = [rest] if rest else []
            self._size = len(rest)
            if len(data) > self._limit or len(lines[0]) > self._limit:
                self._check(max(map(len, lines)))
        elif rest:
            self._parts.append(rest)
            self._size += len(rest)
        self._check(self._size)
        return lines

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise LineTooLong(f"a line is longer than {self._limit} bytes")

    def rest(self) -> bytes:
        """The line that was begun and not ended."""
        return b"".join(self._parts)


class Outbox:
    """Lines for one peer, in order, sent many at a time; what the peer does not take is kept up to a limit.

    While the peer reads, lines go to the transport in batches, once per turn of the event loop. When the transport
    holds `high_water` bytes the peer is *stalled* and lines wait here, at most `max_lines` and `max_bytes` of them
    (one line is always accepted). `put` then refuses, and `refill` is called as soon as there is room again, to
    return the lines that shall stand where the refused ones are missing.

    `serve` (or `run`) must be awaited for as long as the connection lives.
    """

    def __init__(self, writer: asyncio.StreamWriter, max_lines: int, max_bytes: int, high_water: int,
                 refill: Callable[[], list[bytes]]) -> None:
        self._writer = writer
        self._transport = writer.transport
        self._transport.set_write_buffer_limits(high=high_water, low=high_water // 2)
        self._high_water = high_water
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._refill = refill
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._scheduled = False
        self._stalled = False
        self._refused = False
        self._stall_begins = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def put(self, line: bytes) -> bool:
        """Queue a line with its newline. False if it was refused for lack of room."""
        if self._refused:
            return False
        if len(self._lines) >= self._max_lines or (self._lines and self._bytes + len(line) > self._max_bytes):
            self._flush()
            if self._stalled and self._lines:
                self._refused = True
                return False
        self._lines.append(line)
        self._bytes += len(line)
        if not self._scheduled and not self._stalled:
            self._scheduled = True
            self._loop.call_soon(self._flush_scheduled)
        return True

    def put_at_once(self, data: bytes) -> bool:
        """Send whole lines without queueing them. False if others wait before them; then nothing has happened."""
        if self._stalled or self._lines or self._refused:
            return False
        self._write(data)
        return True

    def clear(self) -> None:
        """Forget the waiting lines. Those the transport has are sent all the same."""
        self._lines.clear()
        self._bytes = 0

    def _flush_scheduled(self) -> None:
        self._scheduled = False
        self._flush()

    def _flush(self) -> None:
        if self._stalled or not self._lines:
            return
        lines, self._lines, self._bytes = self._lines, deque(), 0
        self._write(lines[0] if len(lines) == 1 else b"".join(lines))

    def _write(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._high_water:
            self._stalled = True
            self._stall_begins.set()

    async def run(self) -> None:
        """Resume sending after each stall. Ends with ConnectionError when the peer has gone."""
        while True:
            await self._stall_begins.wait()
            self._stall_begins.clear()
            await self._writer.drain()
            self._stalled = False
            self._flush()
            if self._refused:  # now there is room, even if the peer stalled again at once
                lines = self._refill()
                self._refused = False
                for line in lines:
                    self.put(line)

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Send until the peer closes its side; what it sends meanwhile is ignored."""
        sender = asyncio.create_task(self.run())
        sender.add_done_callback(lambda _: self._transport.abort())
        try:
            while await reader.read(READ_SIZE):
                pass
        finally:
            sender.cancel()
            await asyncio.wait([sender])
            if not sender.cancelled() and (error := sender.exception()) is not None:
                raise error


class Member(Protocol):
    """Who gets what a `Fanout` is given."""

    def take(self, lines: list[bytes], data: bytes) -> None:
        """Lines, and the same joined."""


class Fanout:
    """Gives lines to many outboxes, joined once for all of them, once per turn of the event loop.

    Where lines come in every turn they wait up to a millisecond for each other: what many members cost is the sending.

    Who makes up what a new member gets first, or what stands for lines that were refused, must `flush` before: what
    was put until then is not to come after it.
    """

    def __init__(self) -> None:
        self._members: set[Member] = set()
        self._lines: list[bytes] = []
        self._bytes = 0
        self._next = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members)

    def add(self, member: Member) -> None:
        """From now on `member` gets what is put."""
        self.flush()
        self._members.add(member)
        self._loop = asyncio.get_running_loop()

    def remove(self, member: Member) -> None:
        """It gets nothing more."""
        self._members.discard(member)

    def put(self, line: bytes) -> None:
        """A line with its newline."""
        if self._loop is None:
            return  # never had a member
        if not self._lines:
            self._loop.call_at(self._next, self.flush)  # at once if that is past
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes > _BATCH_BYTES or len(self._lines) >= _BATCH_LINES:
            self.flush()

    def put_lines(self, data: bytes) -> None:
        """Many lines, each with its newline; given at once."""
        self.flush()
        lines = data.split(b"\n")
        lines.pop()
        lines = [line + b"\n" for line in lines]
        for member in self._members:
            member.take(lines, data)

    def flush(self) -> None:
        """Give what was put to the members."""
        if self._lines:
            lines, self._lines, self._bytes = self._lines, [], 0
            data = b"".join(lines)
            if self._loop is not None:
                self._next = self._loop.time() + _BATCH_TIME
            for member in self._members:
                member.take(lines, data)


async def for_each_line(reader: asyncio.StreamReader, take: Callable[[bytes], None]) -> None:
    """Call `take(line)` for each line until the connection ends, in whichever way."""
    splitter = LineSplitter(CLIENT_LINE_LIMIT)
    while True:
        try:
            data = await reader.read(READ_SIZE)
        except OSError:
            return
        if not data:
            return
        for line in splitter.feed(data):
            take(line)


class LineClient:
    """The client's end of a connection over which a server sends lines."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    receive_task: asyncio.Task[None]

    async def _open(self, hello: bytes, host: str, port: int, ssl_config: SimpleSSLConfig | None,
                    timeout: float | None, receive: Callable[[], Coroutine[Any, Any, None]],
                    before_receive_cb: Callable[[], Any] | None = None) -> None:
        """Connect, send `hello` and let `receive()` run from then on. Raises OSError or ssl.SSLError if that fails,
        TimeoutError if it takes longer than `timeout` s.
        """
        context = None if ssl_config is None else ssl_config.create_client_context()
        async with asyncio.timeout(timeout):
            self.reader, self.writer = await keepalive.async_open_connection(host, port, limit=READ_SIZE, ssl=context)
        try:
            if before_receive_cb is not None:
                before_receive_cb()
            self.writer.write(hello)
            await self.writer.drain()
        except BaseException:
            self.writer.close()
            raise
        self.receive_task = asyncio.create_task(receive())

    async def _end(self) -> None:
        """Stop receiving and close."""
        self.receive_task.cancel()
        try:
            await asyncio.wait([self.receive_task])
        finally:
            await close_client(self.writer)


async def close_client(writer: asyncio.StreamWriter) -> None:
    """Close a client's connection; that the server has gone before is no error."""
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), 1.0)
    except (OSError, TimeoutError):
        writer.transport.abort()
