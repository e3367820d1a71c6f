"""Writes chunks of lines to a file descriptor without ever blocking the event loop or growing without bound."""

from __future__ import annotations

import array
import asyncio
import errno
import fcntl
import io
import os
import select
import stat
import termios
from collections import deque
from collections.abc import Iterable

from corelog.controllers.lines import CHUNK, Chunk
from corelog.controllers.state import State

HIGH_WATER = 1 << 20  # bytes waiting above which `ready` waits
OWN_LIMIT = 2 << 20  # bytes waiting above which messages of our own are dropped, and counted


class ReaderGone(Exception):
    """Nobody reads our output any more."""


class Output:
    """Chunks go out in order, each in one write. With a `state`, every one is entered there first.

    The descriptor is written only when it takes bytes: while it does not, chunks wait, and `ready` makes their
    source wait. `failed` is set once the reader is gone.
    """

    def __init__(self, fd: int, state: State | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._state = state
        self._fd, self._own_fd, self._always = _nonblocking(fd)
        self._waiting: deque[Chunk] = deque()
        self._entered = False  # the first waiting chunk is entered in the state
        self._watching = False
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.size = 0  # bytes waiting
        self.lines = 0  # written
        self.dropped = 0  # messages of our own
        self.failed: asyncio.Future[None] = self._loop.create_future()

    def put(self, chunks: Iterable[Chunk]) -> None:
        """Appends chunks and writes what can be written now. Never blocks."""
        for chunk in chunks:
            self._waiting.append(chunk)
            self.size += len(chunk.data)
        if not self._watching:
            self._write()

    def put_own(self, data: bytes) -> None:
        """Appends whole lines of our own; drops and counts them when too much is waiting."""
        if self.size > OWN_LIMIT:
            self.dropped += 1
            return
        if self.dropped:
            text = f"WARNING:corelog:{self.dropped} messages of the log controller dropped: its output was blocked\n"
            data, self.dropped = text.encode() + data, 0
        pos = 0
        while pos < len(data):
            end = data.rfind(b"\n", pos, pos + CHUNK) + 1 or data.find(b"\n", pos) + 1 or len(data)
            self.put([Chunk(data[pos:end], data.count(b"\n", pos, end))])
            pos = end

    async def ready(self) -> None:
        """Waits until there is room for more. Raises ReaderGone."""
        if self.size > HIGH_WATER and not self.failed.done():
            self._room.clear()
            await self._room.wait()
        if self.failed.done():
            raise ReaderGone

    async def drain(self, timeout: float) -> bool:
        """Waits until everything is written; whether it was, within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Stops writing. What waits is discarded: the cursor has not passed it."""
        if not self.failed.done() and self._own_fd and _no_reader(self._fd):
            self._reader_gone(errno.EPIPE)
        if self._watching:
            self._loop.remove_writer(self._fd)
            self._watching = False
        if self._own_fd:
            os.close(self._fd)

    def _write(self) -> None:
        waiting, state = self._waiting, self._state
        while waiting and not self.failed.done():
            chunk = waiting[0]
            if state is not None and not self._entered:
                state.enter(chunk.lines, len(chunk.data), chunk.cursor)
                self._entered = True
            try:
                count = os.write(self._fd, chunk.data) if self._takes() else 0
            except BlockingIOError:
                count = 0
            except OSError as exc:
                self._reader_gone(exc.errno)
                break
            self.size -= count
            if count < len(chunk.data):
                if count:  # a single line longer than a pipe takes at once
                    waiting[0] = Chunk(chunk.data[count:], chunk.lines, chunk.cursor)
                break
            waiting.popleft()
            self._entered = False
            self.lines += chunk.lines
            if state is not None:
                state.written()
        self._after()

    def _takes(self) -> bool:
        if self._own_fd or self._always:
            return True
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(0))

    def _after(self) -> None:
        blocked = bool(self._waiting) and not self.failed.done()
        if blocked and not self._watching:
            self._loop.add_writer(self._fd, self._write)
        elif not blocked and self._watching:
            self._loop.remove_writer(self._fd)
        self._watching = blocked
        if self._waiting:
            self._empty.clear()
        else:
            self._empty.set()
        if self.size <= HIGH_WATER // 2 or self.failed.done():
            self._room.set()

    def _reader_gone(self, number: int | None) -> None:
        if self._state is not None and number == errno.EPIPE:
            # a chunk that is entered but did not go out counts as unread
            rest = len(self._waiting[0].data) if self._entered else 0
            self._state.roll_back(_unread(self._fd) + rest)
        self.failed.set_result(None)


def _nonblocking(fd: int) -> tuple[int, bool, bool]:
    """Descriptor to write to, whether it is a new one, whether it never blocks.

    A pipe is opened anew: O_NONBLOCK belongs to the open file, which others may share with us.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISFIFO(mode):
        try:
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC), True, False
        except OSError:
            return fd, False, False
    return fd, False, stat.S_ISREG(mode) or os.path.samestat(os.fstat(fd), os.stat(os.devnull))


def is_pipe(fd: int) -> bool:
    """Whether a program reads what is written there."""
    return stat.S_ISFIFO(os.fstat(fd).st_mode)


def _no_reader(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _unread(fd: int) -> int:
    """Bytes in a pipe that its reader has left there."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(fd, termios.FIONREAD, count)
    except OSError:
        return 0
    return count[0]


class OwnStream(io.TextIOBase):
    """A text stream (for `sys.stderr` and logging handlers) whose whole lines go through the Output, in order."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        whole, newline, self._rest = (self._rest + text).rpartition("\n")
        if newline:
            self._output.put_own((whole + newline).encode(errors="backslashreplace"))
        return len(text)
