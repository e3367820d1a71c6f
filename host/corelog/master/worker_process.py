"""Processes for workers: forked from a zygote where that exists, else new interpreters, one started in advance.

Both are one process per worker. `processes()` chooses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import signal
import subprocess
import sys
from typing import Any, Protocol


class Process(Protocol):
    """A worker's process, its pipe and its output."""

    pid: int
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    async def readline(self) -> bytes:
        """A line; something without a newline at the end when the process has ended."""

    async def wait(self) -> int:
        """The exit status, negative for a signal."""

    def terminate(self) -> None:
        """SIGTERM."""

    def kill(self) -> None:
        """SIGKILL, also to the processes it started (those of its session)."""


class Processes(Protocol):
    """Where workers' processes come from."""

    def warm_up(self) -> None:
        """Makes the first start as quick as the next ones."""

    async def start(self, log_level: int) -> Process:
        """Raises OSError."""

    async def close(self) -> None: ...


def processes() -> Processes:
    """The best that this system has. (The libraries of macOS do not survive a fork.)"""
    if platform.system() == "Darwin" or not hasattr(os, "fork"):
        return SpawnedProcesses()
    from corelog.master.worker_forked import ForkedProcesses

    return ForkedProcesses()


class SpawnedProcess:
    """A new interpreter."""

    def __init__(self, comm: Any):
        self._comm = comm
        self._process: asyncio.subprocess.Process = comm.process
        self.pid = self._process.pid
        assert self._process.stdout is not None and self._process.stderr is not None
        self.stdout, self.stderr = self._process.stdout, self._process.stderr

    def write(self, data: bytes) -> None:
        self._comm.write(data)

    async def drain(self) -> None:
        await self._comm.drain()

    async def readline(self) -> bytes:
        data: bytes = await self._comm.readline()
        return data

    async def wait(self) -> int:
        return await self._process.wait()

    def terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._process.kill()


class SpawnedProcesses:
    """Where there is no fork: one process waits in advance, with the log level of the last that was asked for."""

    def __init__(self, *, ahead: bool = True) -> None:
        self._ahead = ahead
        self._waiting: tuple[int, asyncio.Task[SpawnedProcess]] | None = None

    def warm_up(self) -> None:
        if self._ahead and self._waiting is None:
            self._waiting = logging.WARNING, asyncio.create_task(self._spawn(logging.WARNING))

    async def start(self, log_level: int) -> SpawnedProcess:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and waiting[0] == log_level:
            process = await waiting[1]
        else:
            await self._discard(waiting)
            process = await self._spawn(log_level)
        if self._ahead and self._waiting is None:
            self._waiting = log_level, asyncio.create_task(self._spawn(log_level))
        return process

    async def _spawn(self, log_level: int) -> SpawnedProcess:
        from sipyco.pipe_ipc import AsyncioParentComm

        comm = AsyncioParentComm()
        await comm.create_subprocess(
            sys.executable, "-m", "corelog.master.worker_impl", comm.get_address(), str(log_level),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"})
        return SpawnedProcess(comm)

    @staticmethod
    async def _discard(waiting: tuple[int, asyncio.Task[SpawnedProcess]] | None) -> None:
        if waiting is not None:
            try:
                process = await waiting[1]
            except OSError:
                return
            process.kill()
            await process.wait()

    async def close(self) -> None:
        waiting, self._waiting = self._waiting, None
        await self._discard(waiting)
