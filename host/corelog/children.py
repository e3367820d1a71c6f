"""Processes that do not outlive the one that started them, whichever way that one ends.

Linux: the kernel signals the child when its parent dies, and the child is head of a process group of its own, which is
killed as a whole. Windows: each child is in a job that ends with the last handle to it, which is ours; not run on
Windows so far, only against a model of its calls. Elsewhere a parent that is killed leaves its children.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from corelog.windows_job import Job, kernel32

_PR_SET_PDEATHSIG = 1
# Looked up here, since little may be done between fork and exec.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

CREATE_NEW_PROCESS_GROUP = 0x200
CTRL_BREAK_EVENT = 1


def die_with_parent(parent: int | None = None) -> None:
    """In the child before exec: the kernel ends it when its parent (the process `parent`) dies."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if parent not in (None, os.getppid()):  # it died before the call
            os._exit(1)


class _Tree(Protocol):
    """A process and all that it has started."""

    def ask_to_end(self) -> None: ...
    def kill(self) -> None: ...


class PosixTree:
    def __init__(self, process: asyncio.subprocess.Process):
        self._process = process

    def ask_to_end(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if sys.platform != "win32":
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class WindowsTree:
    def __init__(self, process: asyncio.subprocess.Process, job: Job):
        self._process = process
        self._job = job

    def ask_to_end(self) -> None:
        # Ctrl-Break reaches the process group that the child heads; other signals cannot be sent on Windows.
        self._process.send_signal(CTRL_BREAK_EVENT)

    def kill(self) -> None:
        self._job.terminate()


class Child:
    """A running child, `process`."""

    def __init__(self, process: asyncio.subprocess.Process, tree: _Tree):
        self.process = process
        self._tree = tree

    @classmethod
    async def start(cls, argv: Sequence[str], **options: Any) -> Child:
        """Arguments as for asyncio.create_subprocess_exec. Raises OSError if the program cannot be started."""
        try:
            if sys.platform == "win32":
                return await cls.start_on_windows(argv, kernel32(), **options)
            parent = os.getpid()
            process = await asyncio.create_subprocess_exec(
                *argv, start_new_session=True, preexec_fn=lambda: die_with_parent(parent), **options)
        except ValueError as error:  # a null byte in an argument
            raise OSError(f"{error}") from None
        return cls(process, PosixTree(process))

    @classmethod
    async def start_on_windows(cls, argv: Sequence[str], api: Any, **options: Any) -> Child:
        """As `start`; `api` is kernel32."""
        job = Job(api)
        process = await asyncio.create_subprocess_exec(*argv, creationflags=CREATE_NEW_PROCESS_GROUP, **options)
        try:
            job.adopt(process.pid)
        except OSError:
            if process.returncode is None:  # it has not ended meanwhile: nobody would end it later
                process.kill()
            raise
        return cls(process, WindowsTree(process, job))

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    def ask_to_end(self) -> None:
        """SIGTERM, or what corresponds to it. Does nothing when it has ended."""
        if self.running:
            self._tree.ask_to_end()

    def kill(self) -> None:
        """Ends it at once, and all that it has started."""
        self._tree.kill()
