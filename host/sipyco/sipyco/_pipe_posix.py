"""`pipe_ipc` on POSIX systems: two anonymous pipes. The address is "<fd the child reads>,<fd the child writes>"."""

import asyncio
import contextlib
import os
from typing import Any

from sipyco._pipe_common import LINE_LIMIT, AsyncioComm, BlockingComm

_MAX_LEFT = 1024 * 1024  # no pipe holds more, unless an administrator allowed it


async def _open_reader(fd: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0))
    return reader, transport


async def _open_writer(fd: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    # Its reading half is never used; the protocol is what lets drain() wait.
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(fd, "wb", 0))
    return asyncio.StreamWriter(transport, protocol, None, loop)


class AsyncioParentComm(AsyncioComm):
    """The parent's end. It closes by itself when the child has exited and what it had written is read."""

    process: asyncio.subprocess.Process

    def __init__(self) -> None:
        child_reads, parent_writes = os.pipe()
        parent_reads, child_writes = os.pipe()
        self._child_fds = [child_reads, child_writes]
        self._parent_fds = [parent_reads, parent_writes]
        self._address = f"{child_reads},{child_writes}"
        self._read_transport: asyncio.ReadTransport | None = None
        self._end: asyncio.Task[None] | None = None

    def get_address(self) -> str:
        """What the child needs to open its end; pass it as an argument."""
        return self._address

    async def create_subprocess(self, *argv: Any, **kw: Any) -> None:
        """Start the child, as `process`; arguments as for asyncio.create_subprocess_exec. Raises as that does."""
        if not self._child_fds:
            raise RuntimeError("the child of this channel was already started")
        inherited = (*kw.pop("pass_fds", ()), *self._child_fds)
        try:
            self._reader, self._read_transport = await _open_reader(self._parent_fds.pop(0))
            self._writer = await _open_writer(self._parent_fds.pop(0))
            self.process = await asyncio.create_subprocess_exec(*argv, pass_fds=inherited, **kw)
        except BaseException:
            self.close()
            raise
        self._close_fds(self._child_fds)
        self._end = asyncio.create_task(self._close_after_child())

    async def _close_after_child(self) -> None:
        await self.process.wait()
        transport, reader = self._read_transport, self._reader
        assert transport is not None and reader is not None
        # All that the child wrote is in the pipe by now. Its end need not come: a process that the child left behind
        # may hold the other side open.
        if not transport.is_closing():
            fd, left = transport.get_extra_info("pipe").fileno(), 0
            with contextlib.suppress(BlockingIOError):
                while left < _MAX_LEFT and (data := os.read(fd, 65536)):
                    reader.feed_data(data)
                    left += len(data)
        self.close()

    def close(self) -> None:
        """Close our end; it need not be called after the child was started."""
        self._close_fds(self._child_fds)
        self._close_fds(self._parent_fds)
        if self._read_transport is not None:
            self._read_transport.close()
        if self._writer is not None:
            transport = self._writer.transport
            if not transport.is_closing() or transport.get_write_buffer_size():  # asyncio aborts nothing twice
                transport.abort()

    @staticmethod
    def _close_fds(fds: list[int]) -> None:
        while fds:
            os.close(fds.pop())


def _parse_address(address: str) -> tuple[int, int]:
    try:
        reads, writes = address.split(",")
        return int(reads), int(writes)
    except ValueError:
        raise ValueError(f"not an address from AsyncioParentComm.get_address(): {address!r}") from None


class AsyncioChildComm(AsyncioComm):
    """The child's end, with coroutines: ``await connect()``, then read and write, then ``close()``."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._read_transport: asyncio.ReadTransport | None = None

    async def connect(self) -> None:
        """Open the channel. ValueError or OSError if `address` is none."""
        reads, writes = _parse_address(self.address)
        self._reader, self._read_transport = await _open_reader(reads)
        self._writer = await _open_writer(writes)

    def close(self) -> None:
        """Close after what was written is sent."""
        if self._read_transport is not None:
            self._read_transport.close()
        if self._writer is not None:
            self._writer.close()


class ChildComm(BlockingComm):
    """The child's end, blocking."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._read_fd, self._write_fd = _parse_address(address)
        os.set_inheritable(self._read_fd, False)  # not for the child's own children
        os.set_inheritable(self._write_fd, False)
        self._closed = False

    def _receive(self, n: int) -> bytes:
        return os.read(self._read_fd, n)

    def _send(self, data: memoryview) -> int:
        return os.write(self._write_fd, data)

    def close(self) -> None:
        """Close the channel."""
        if not self._closed:
            self._closed = True
            os.close(self._read_fd)
            os.close(self._write_fd)
