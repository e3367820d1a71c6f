"""A controller's process: started so that it cannot be orphaned, its output read to the end, its end waited for."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from corelog.ctlmgr.output import Output, Stream

logger = logging.getLogger(__name__)

READ_SIZE = 64 * 1024
AFTER_EXIT = 1.0
"""Seconds that output is still read after the process has ended, if a child of it keeps the pipe open."""

_PR_SET_PDEATHSIG = 1
# Looked up here, since little may be done between fork and exec.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def _die_with(parent: int) -> None:
    """In the child before exec: the kernel ends it when the controller manager dies."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)


class ControllerProcess:
    """A running process in a session of its own, whose output is read all the time."""

    def __init__(self, process: asyncio.subprocess.Process, output: Output):
        self._process = process
        self._output = output
        assert process.stdout is not None and process.stderr is not None
        self._readers = [asyncio.create_task(self._read(process.stdout, output.stdout)),
                         asyncio.create_task(self._read(process.stderr, output.stderr))]
        self._ended = asyncio.create_task(self._wait())

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], output: Output) -> ControllerProcess:
        """Raises OSError if the program cannot be started."""
        parent = os.getpid()
        # controllers installed beside this program are found also where its environment is not activated
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), os.path.dirname(sys.executable)])
        try:
            process = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **environment},
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                limit=READ_SIZE, start_new_session=True, preexec_fn=lambda: _die_with(parent))
        except ValueError as error:  # a null byte in an argument
            raise OSError(f"{error}") from None
        return cls(process, output)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stderr_lines(self) -> int:
        """Complete lines read from its standard error."""
        return self._output.stderr.complete_lines

    @property
    def status(self) -> int | None:
        """Exit status (negative: ended by that signal), None while it runs."""
        return self._process.returncode

    async def _read(self, pipe: asyncio.StreamReader, stream: Stream) -> None:
        while data := await pipe.read(READ_SIZE):
            try:
                stream.feed(data)
            except Exception:  # an output nobody reads would block the controller
                logger.exception("some output of process %d could not be logged", self.pid)
            await self._output.throttle()

    async def _wait(self) -> int:
        status = await self._process.wait()
        _, late = await asyncio.wait(self._readers, timeout=AFTER_EXIT)
        for reader in late:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for stream in (self._output.stdout, self._output.stderr):
            stream.end(killed=status < 0)
        return status

    async def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status (negative: ended by that signal), once all its output was taken; None if it still runs
        after `timeout` seconds."""
        done, _ = await asyncio.wait([self._ended], timeout=timeout)
        return self._ended.result() if done else None

    def signal(self, number: int) -> None:
        """Sends a signal to the process."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kills the process and all that it started in its session."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
