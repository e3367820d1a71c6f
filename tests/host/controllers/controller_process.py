"""The real aqctl_corelog process, its stderr read and counted as a controller manager does."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from corelog.children import die_with_parent
from corelog.testing.fakedevice import FakeDevice
from sipyco.pc_rpc import AsyncioClient

DEADLINE = 20.0


class Controller:
    """`lines`: complete lines of its stderr so far. `reading`: clear it to leave the pipe unread."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self._rest = b""
        self._changed = asyncio.Event()
        self.process: asyncio.subprocess.Process
        self._task: asyncio.Task[None]
        self.port = 0

    @classmethod
    async def start(cls, device: FakeDevice, *args: str, port: int | None = None, resume: "Controller | None" = None,
                    env: dict[str, str] | None = None, stderr: int = asyncio.subprocess.PIPE) -> "Controller":
        self = cls()
        environment = {**os.environ, **(env or {})}
        if resume is not None:
            environment |= {"CORELOG_RESUME_LINES": str(len(resume.lines)),
                            "CORELOG_RESUME_PID": str(resume.process.pid)}
        self.port = port if port is not None else free_port()
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "corelog.frontend.aqctl_corelog", "-p", str(self.port), "--no-localhost-bind",
            "--bind", "127.0.0.1", "--port-mgmt", str(device.port), *args, device.host,
            stderr=stderr, env=environment, limit=1 << 16, preexec_fn=die_with_parent)
        self._task = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        while self.process.stderr is not None:
            await self.reading.wait()
            data = await self.process.stderr.read(1 << 16)
            if not data:
                return
            *whole, self._rest = (self._rest + data).split(b"\n")
            self.lines += whole
            self._changed.set()

    @property
    def records(self) -> list[bytes]:
        """Lines of the device's own records."""
        return [line for line in self.lines if re.match(rb"[A-Z]+(<\d+>)?:firmware\.(?!(dest\d+\.)?corelog:)", line)]

    @property
    def last(self) -> bytes:
        """The last complete line."""
        return self.lines[-1] if self.lines else b""

    @property
    def losses(self) -> list[tuple[int, int, int]]:
        """What was declared lost: (first seq, records, errors and warnings among them)."""
        pattern = re.compile(rb":(?:\[.*\] )?(\d+) records? lost \((\d+) errors or warnings\) from device seq (\d+)$")
        found = (pattern.search(line) for line in self.lines)
        return [(int(m.group(3)), int(m.group(1)), int(m.group(2))) for m in found if m]

    def said(self, text: str) -> list[str]:
        """Lines about the log itself that contain the text."""
        return [line.decode() for line in self.lines if b"corelog:" in line and text.encode() in line]

    async def until(self, condition: Callable[["Controller"], object], timeout: float = DEADLINE) -> None:
        try:
            async with asyncio.timeout(timeout):
                while not condition(self):
                    self._changed.clear()
                    if self._task.done():
                        raise AssertionError(f"the controller ended: {self.lines[-5:]}")
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not within {timeout} s; {len(self.lines)} lines, last {self.lines[-3:]}") from None

    async def kill(self) -> None:
        """SIGKILL; everything that it has written is read."""
        self.process.kill()
        await self.process.wait()
        self.reading.set()
        await asyncio.wait_for(self._task, DEADLINE)

    async def end(self) -> int:
        """SIGTERM; returns the exit status."""
        self.reading.set()
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE):
            status = await self.process.wait()
            await self._task
        return status

    async def rpc(self, method: str) -> object:
        """Calls a method of target `corelog`, within 2 s."""
        client = AsyncioClient()
        async with asyncio.timeout(2.0):
            await client.connect_rpc("127.0.0.1", self.port, "corelog")
            try:
                return await getattr(client, method)()
            finally:
                await client.close_rpc()


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def flood_numbers(lines: list[bytes]) -> list[int]:
    """The numbers i of the records `flood i/count`, in order, counted from 0."""
    found = (re.search(rb"flood (\d+)/", line) for line in lines)
    return [int(m.group(1)) - 1 for m in found if m]


def state_of(folder: Path) -> tuple[str, str]:
    return "--state", str(folder / "state")
