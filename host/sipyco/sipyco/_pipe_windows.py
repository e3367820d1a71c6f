r"""`pipe_ipc` on Windows: a named pipe, ``\\.\pipe\sipyco-<pid>-<counter>``, which is the address. Needs the proactor
event loop, which is asyncio's default there.
"""

import asyncio
import itertools
import os
from typing import Any

from sipyco._pipe_common import LINE_LIMIT, AsyncioComm, BlockingComm

_counter = itertools.count()


class _Reader(asyncio.StreamReader):
    """A reader of which one can wait for the end without reading."""

    def __init__(self) -> None:
        super().__init__(limit=LINE_LIMIT)
        self.ended = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.ended.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.ended.set()


class AsyncioParentComm(AsyncioComm):
    """The parent's end. What is written before the child connects is kept for it; `drain` and reading wait for it.

    It closes by itself when the child has exited. Of several connections to the pipe only the first is taken.
    """

    process: asyncio.subprocess.Process

    def __init__(self) -> None:
        self._address = rf"\\.\pipe\sipyco-{os.getpid()}-{next(_counter)}"
        self._unsent = bytearray()
        self._opened = asyncio.Event()
        self._listeners: list[Any] = []
        self._end: asyncio.Task[None] | None = None
        self._closed = False

    def get_address(self) -> str:
        """What the child needs to open its end; pass it as an argument."""
        return self._address

    async def create_subprocess(self, *argv: Any, **kw: Any) -> None:
        """Start the child, as `process`; arguments as for asyncio.create_subprocess_exec. Raises as that does."""
        if self._end is not None or self._closed:
            raise RuntimeError("the child of this channel was already started")
        loop: Any = asyncio.get_running_loop()

        def make_protocol() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(_Reader(), self._take_connection)
        self._listeners = await loop.start_serving_pipe(make_protocol, self._address)
        try:
            self.process = await asyncio.create_subprocess_exec(*argv, **kw)
        except BaseException:
            self.close()
            raise
        self._end = asyncio.create_task(self._close_after_child())

    def _take_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._opened.is_set():
            writer.close()
            return
        self._reader, self._writer = reader, writer
        if self._unsent:
            writer.write(bytes(self._unsent))
            self._unsent.clear()
        self._opened.set()

    async def _close_after_child(self) -> None:
        await self.process.wait()
        if isinstance(self._reader, _Reader):
            # The child's end was closed with it, so the end of the stream comes, after all that the child has written.
            await self._reader.ended.wait()
        self.close()

    def close(self) -> None:
        """Close our end; it need not be called after the child was started."""
        self._closed = True
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        if self._writer is not None:
            self._writer.close()
        self._opened.set()  # whoever waits for the child waits no longer

    def write(self, data: bytes) -> None:
        """Queue bytes for the child."""
        if self._writer is not None:
            self._writer.write(data)
        elif self._closed:
            raise ConnectionError("the child has exited without opening the channel")
        else:
            self._unsent += data

    async def drain(self) -> None:
        """Wait until the child has taken most of what was written. OSError if it has gone."""
        await self._opened.wait()
        await super().drain()

    async def readline(self) -> bytes:
        """The next line with its end; what there is of it, perhaps b"", when the child has gone."""
        await self._opened.wait()
        return b"" if self._reader is None else await super().readline()

    async def read(self, n: int) -> bytes:
        """Up to `n` bytes, as soon as there are some; b"" when the child has gone."""
        await self._opened.wait()
        return b"" if self._reader is None else await super().read(n)


class AsyncioChildComm(AsyncioComm):
    """The child's end, with coroutines: ``await connect()``, then read and write, then ``close()``."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def connect(self) -> None:
        """Open the channel. OSError if `address` is none."""
        loop: Any = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        transport, protocol = await loop.create_pipe_connection(
            lambda: asyncio.StreamReaderProtocol(reader), self.address)
        self._reader, self._writer = reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    def close(self) -> None:
        """Close after what was written is sent."""
        if self._writer is not None:
            self._writer.close()


class ChildComm(BlockingComm):
    """The child's end, blocking. Reading in one thread and writing in another wait for each other on Windows."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._file = open(address, "rb+", buffering=0)  # noqa: SIM115  closed by close()

    def _receive(self, n: int) -> bytes:
        return self._file.read(n) or b""

    def _send(self, data: memoryview) -> int:
        return self._file.write(data) or 0

    def close(self) -> None:
        """Close the channel."""
        self._file.close()
