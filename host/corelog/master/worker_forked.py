"""Worker processes forked from a zygote (`worker_zygote`): ready in milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

from corelog.master.worker_zygote import ANSWER, ENDED, REQUEST, STARTED

logger = logging.getLogger(__name__)

LINE_LIMIT = 100 * 1024 * 1024
OUTPUT_LIMIT = 64 * 1024
"""Bytes of standard output, and of standard error, that wait here; then the process waits."""
START_DEADLINE = 15.0
LEFTOVER = 0.5
"""Seconds after the end of a process until its pipes are closed; what it left behind may hold them open."""


class ForkedProcess:
    """Made by the zygote, which tells when it has ended."""

    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    def __init__(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        self.pid = 0
        self.number = number
        self.started: asyncio.Future[int] = loop.create_future()
        self._status: asyncio.Future[int] = loop.create_future()
        self._transports: list[asyncio.BaseTransport] = []

    async def open(self) -> list[int]:
        """Opens the pipes; returns the other sides of them, which the caller closes."""
        others: list[int] = []
        try:
            reads, writes = os.pipe()
            others.append(reads)
            self._writer = await self._open_writer(writes)
            self._reader, self.stdout, self.stderr = [
                await self._open_reader(others, limit) for limit in (LINE_LIMIT, OUTPUT_LIMIT, OUTPUT_LIMIT)]
        except BaseException:
            for descriptor in others:
                os.close(descriptor)
            self.close()
            raise
        return others

    async def _open_writer(self, descriptor: int) -> asyncio.StreamWriter:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(descriptor, "wb", 0))
        self._transports.append(transport)
        return asyncio.StreamWriter(transport, protocol, None, loop)

    async def _open_reader(self, others: list[int], limit: int) -> asyncio.StreamReader:
        reads, writes = os.pipe()
        others.append(writes)
        reader = asyncio.StreamReader(limit=limit)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reads, "rb", 0))
        self._transports.append(transport)
        return reader

    def ended(self, status: int) -> None:
        """From the zygote."""
        if not self._status.done():
            self._status.set_result(status)
            asyncio.get_running_loop().call_later(LEFTOVER, self.close)

    def close(self) -> None:
        for transport in self._transports:
            if transport.is_closing():  # asyncio aborts nothing twice
                continue
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
            else:
                transport.close()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    async def readline(self) -> bytes:
        return await self._reader.readline()

    async def wait(self) -> int:
        return await asyncio.shield(self._status)

    def _signal(self, send: Callable[[int, int], None], number: int) -> None:
        if not self._status.done():
            with contextlib.suppress(ProcessLookupError):
                send(self.pid, number)

    def terminate(self) -> None:
        self._signal(os.kill, signal.SIGTERM)

    def kill(self) -> None:
        self._signal(os.killpg, signal.SIGKILL)


class ForkedProcesses:
    """Runs the zygote, and a new one if it ends; its workers end with it."""

    def __init__(self) -> None:
        self._zygote: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._known: dict[int, ForkedProcess] = {}
        self._next = 0
        self._received = b""

    async def start(self, log_level: int) -> ForkedProcess:
        process = ForkedProcess(self._next)
        self._next += 1
        descriptors = await process.open()
        try:
            connection = self._connection or self._start_zygote()
            socket.send_fds(connection, [REQUEST.pack(process.number, log_level)], descriptors)
            self._known[process.number] = process
            process.pid = await asyncio.wait_for(asyncio.shield(process.started), START_DEADLINE)
        except BaseException as error:
            process.close()
            if isinstance(error, TimeoutError):
                self._lose_zygote()
            raise
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return process

    def warm_up(self) -> None:
        """Starts the zygote already now."""
        if self._connection is None:
            self._start_zygote()

    def _start_zygote(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._zygote = subprocess.Popen(
                [sys.executable, "-m", "corelog.master.worker_zygote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"})
        ours.setblocking(False)
        self._connection, self._received = ours, b""
        asyncio.get_running_loop().add_reader(ours, self._receive)
        return ours

    def _receive(self) -> None:
        assert self._connection is not None
        try:
            data = self._connection.recv(4096)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            logger.error("the program that starts workers has ended, and all workers with it; it is started again")
            self._lose_zygote()
            return
        data = self._received + data
        whole = len(data) - len(data) % ANSWER.size
        self._received = data[whole:]
        for number, kind, value in ANSWER.iter_unpack(data[:whole]):
            self._note(number, kind, value)

    def _note(self, number: int, kind: int, value: int) -> None:
        process = self._known[number]
        if kind == STARTED:
            process.pid = value
            if not process.started.cancelled():
                process.started.set_result(value)
            return
        del self._known[number]
        if kind == ENDED:
            process.ended(value)
        else:
            process.started.set_exception(OSError(value, f"no process can be started: {os.strerror(value)}"))

    def _lose_zygote(self) -> None:
        """Whatever it is doing, it and its workers end now."""
        connection, self._connection = self._connection, None
        zygote, self._zygote = self._zygote, None
        if connection is not None:
            asyncio.get_running_loop().remove_reader(connection)
            connection.close()
        if zygote is not None:
            zygote.kill()
            zygote.wait()
        known, self._known = self._known, {}
        for process in known.values():
            if process.started.done():
                process.kill()
                process.ended(-signal.SIGKILL)
            else:
                process.started.set_exception(OSError("the program that starts workers has ended"))

    async def close(self) -> None:
        """All workers have ended before, or do so now."""
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._connection)
            self._connection.close()  # the zygote ends its workers, and itself
            self._connection = None
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            try:
                await asyncio.wait_for(asyncio.to_thread(zygote.wait, 5.0), 6.0)
            except (TimeoutError, subprocess.TimeoutExpired):
                zygote.kill()
                zygote.wait()
        for process in self._known.values():
            process.ended(-signal.SIGKILL)
        self._known.clear()
