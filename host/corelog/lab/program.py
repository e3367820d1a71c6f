"""One process of a set-up, watched from its start to its end."""

import asyncio
import collections
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from corelog.children import Child

LINES_KEPT = 400
LINE_BYTES_MAX = 1 << 20


class ProgramError(Exception):
    """A program did not start, did not become ready, or ended when it should not have. The text says which and why."""


def executable(name: str) -> str:
    """The program `name` that belongs to the running interpreter's environment."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


class Program:
    """A supervised process.

    ``ready`` is the text that its output line contains when it serves; ``on_line(name, line)`` sees every line of its
    standard output and error. The last LINES_KEPT lines are kept in ``lines``.
    """

    def __init__(self, name: str, argv: Sequence[str], *, ready: str | None = None, cwd: Path | None = None,
                 env: Mapping[str, str] | None = None, on_line: Callable[[str, str], None] | None = None):
        self.name = name
        self.argv = [executable(argv[0]), *argv[1:]]
        self.ready = ready
        self.cwd = cwd
        self.env = env
        self.on_line = on_line
        self.lines: collections.deque[str] = collections.deque(maxlen=LINES_KEPT)
        self._child: Child
        self.process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._is_ready = asyncio.Event()

    async def start(self, timeout: float = 60.0) -> None:
        """Starts the process and returns when it is ready; ProgramError after ``timeout`` seconds or if it ended."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(self.env or {})}
        try:
            self._child = await Child.start(
                self.argv, cwd=self.cwd, env=environment, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=LINE_BYTES_MAX)
        except OSError as error:
            raise ProgramError(f"{self.name} could not be started: {error}") from error
        self.process = self._child.process
        assert self.process.stdout is not None and self.process.stderr is not None
        self._is_ready.clear()
        self._readers = [asyncio.create_task(self._read(stream))
                         for stream in (self.process.stdout, self.process.stderr)]
        if self.ready is None:
            return
        waits = [asyncio.create_task(self._is_ready.wait()), asyncio.create_task(self.process.wait())]
        done, pending = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        if not self._is_ready.is_set():
            if waits[1] in done:
                await asyncio.wait(self._readers, timeout=1.0)
                raise ProgramError(f"{self.name} ended with status {self.process.returncode} before it was ready: "
                                   f"{self.last_line()}")
            await self.stop()
            raise ProgramError(f"{self.name} was not ready within {timeout:g} s: {self.last_line()}")

    def last_line(self) -> str:
        return self.lines[-1] if self.lines else "it printed nothing"

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                raw = await stream.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                raw = end.partial
            except asyncio.LimitOverrunError as over:
                raw = await stream.read(over.consumed)
            if not raw:
                return
            line = raw.decode(errors="replace").rstrip("\r\n")
            self.lines.append(line)
            if self.on_line is not None:
                self.on_line(self.name, line)
            if self.ready is not None and self.ready in line:
                self._is_ready.set()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def wait(self, timeout: float) -> int:
        """Exit status; ProgramError if the process still runs after ``timeout`` seconds."""
        assert self.process is not None
        try:
            await asyncio.wait_for(self.process.wait(), timeout)
        except TimeoutError:
            raise ProgramError(f"{self.name} still runs after {timeout:g} s: {self.last_line()}") from None
        await asyncio.wait(self._readers, timeout=1.0)
        assert self.process.returncode is not None
        return self.process.returncode

    def signal(self, number: int) -> None:
        if self.running:
            assert self.process is not None
            self.process.send_signal(number)

    def kill(self) -> None:
        """Ends it at once if it still runs, with all that it has started."""
        if self.running:
            self._child.kill()

    async def stop(self, timeout: float = 10.0) -> int | None:
        """SIGTERM, and after ``timeout`` seconds SIGKILL to its whole process group. Returns the exit status."""
        if self.process is None:
            return None
        self._child.ask_to_end()
        try:
            return await self.wait(timeout)
        except ProgramError:
            self._child.kill()
            return await self.wait(timeout)
