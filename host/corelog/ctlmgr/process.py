"""A controller's process: started so that it cannot be orphaned, its output read to the end, its end waited for."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence

from corelog.children import Child
from corelog.ctlmgr.output import Output, Stream

logger = logging.getLogger(__name__)

READ_SIZE = 64 * 1024
AFTER_EXIT = 1.0
"""Seconds that output is still read after the process has ended, if a child of it keeps the pipe open."""


class ControllerProcess:
    """A running process in a session of its own, whose output is read all the time."""

    def __init__(self, child: Child, output: Output):
        self._child = child
        self._output = output
        process = child.process
        assert process.stdout is not None and process.stderr is not None
        self._readers = [asyncio.create_task(self._read(process.stdout, output.stdout)),
                         asyncio.create_task(self._read(process.stderr, output.stderr))]
        self._ended = asyncio.create_task(self._wait())

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], output: Output) -> ControllerProcess:
        """Raises OSError if the program cannot be started."""
        # controllers installed beside this program are found also where its environment is not activated
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), os.path.dirname(sys.executable)])
        child = await Child.start(
            command, env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **environment},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=READ_SIZE)
        return cls(child, output)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def stderr_lines(self) -> int:
        """Complete lines read from its standard error."""
        return self._output.stderr.complete_lines

    @property
    def status(self) -> int | None:
        """Exit status (negative: ended by that signal), None while it runs."""
        return self._child.process.returncode

    async def _read(self, pipe: asyncio.StreamReader, stream: Stream) -> None:
        while data := await pipe.read(READ_SIZE):
            try:
                stream.feed(data)
            except Exception:  # an output nobody reads would block the controller
                logger.exception("some output of process %d could not be logged", self.pid)
            await self._output.throttle()

    async def _wait(self) -> int:
        status = await self._child.process.wait()
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

    def ask_to_end(self) -> None:
        """SIGTERM, or what corresponds to it."""
        self._child.ask_to_end()

    def kill(self) -> None:
        """Kills the process and all that it has started."""
        self._child.kill()
