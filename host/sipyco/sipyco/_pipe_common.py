"""What the channels to a child process have in common on all systems: see `pipe_ipc`."""

import asyncio
from typing import Any

LINE_LIMIT = 100 * 1024 * 1024
"""Longest line that is read, in bytes."""
READ_SIZE = 65536


class AsyncioComm:
    """The I/O of one end, once `_reader` and `_writer` are there."""

    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None

    def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            raise ConnectionError("the channel is not open: start the child process or connect first")
        return self._reader, self._writer

    def write(self, data: bytes) -> None:
        """Queue bytes for the other side."""
        self._connected()[1].write(data)

    async def drain(self) -> None:
        """Wait until the other side has taken most of what was written. OSError if it has gone."""
        await self._connected()[1].drain()

    async def readline(self) -> bytes:
        """The next line with its end; what there is of it, perhaps b"", when the other side has closed.

        ValueError for a line above 100 MiB.
        """
        return await self._connected()[0].readline()

    async def read(self, n: int) -> bytes:
        """Up to `n` bytes, as soon as there are some; b"" when the other side has closed."""
        return await self._connected()[0].read(n)


class BlockingComm:
    """The blocking end, on top of `_receive` and `_send`."""

    def __init__(self) -> None:
        self._received = bytearray()

    def _receive(self, n: int) -> bytes:
        raise NotImplementedError

    def _send(self, data: memoryview) -> int:
        raise NotImplementedError

    def _take(self, n: int) -> bytes:
        data = bytes(self._received[:n])
        del self._received[:n]
        return data

    def read(self, n: int) -> bytes:
        """Up to `n` bytes, as soon as there are some; b"" when the parent has closed."""
        return self._take(n) if self._received else self._receive(n)

    def readline(self) -> bytes:
        """The next line with its end; what there is of it, perhaps b"", when the parent has closed."""
        searched = 0
        while True:
            end = self._received.find(b"\n", searched) + 1
            if end:
                return self._take(end)
            searched = len(self._received)
            data = self._receive(READ_SIZE)
            if not data:
                return self._take(searched)
            self._received += data

    def write(self, data: Any) -> None:
        """Write all bytes. OSError if the parent has gone."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self._send(rest):]
