"""Master, controller manager and log tap as real processes, on a loopback address of their own."""

import asyncio
import contextlib
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from corelog.lab.addresses import free_address
from corelog.lab.program import Program, executable
from corelog.lab.system import LogTap
from sipyco.pc_rpc import AsyncioClient
from support.conditions import eventually

MASTER_READY = "ARTIQ master is now ready."
CTLMGR_READY = "ARTIQ controller manager is now running."

# A controller without any library: its behaviour is the body, run with the names below.
SCRIPT_HEAD = """
import os, signal, socket, sys, time
def say(text):
    os.write(2, (text + "\\n").encode())
"""


class Management:
    """`directory` holds the device database and the controllers' scripts."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.address = free_address()
        self.tap = LogTap()
        self.controllers: dict[str, dict[str, Any]] = {}
        self.ports = 20000
        self.master = self.make_master()
        self.ctlmgr = self.make_ctlmgr()

    def make_master(self, *options: str) -> Program:
        return Program("master", ["corelog", "master", "-v", "--bind", self.address, "--no-localhost-bind", *options],
                       cwd=self.directory, ready=MASTER_READY)

    def make_ctlmgr(self, *options: str) -> Program:
        return Program("ctlmgr", ["corelog", "ctlmgr", "-v", "-s", self.address, "--bind", self.address,
                                  "--no-localhost-bind", "--retry-master", "0.1", *options],
                       cwd=self.directory, ready=CTLMGR_READY, env={"XDG_STATE_HOME": str(self.directory / "state")})

    def controller(self, name: str, body: str, *, head: str = SCRIPT_HEAD, **fields: Any) -> None:
        """Puts a controller into the device database that runs the Python text `body`."""
        script = self.directory / f"{name}.py"
        script.write_text(head + textwrap.dedent(body))
        self.ports += 1
        self.controllers[name] = {"type": "controller", "host": self.address, "port": self.ports,
                                  "command": f"{sys.executable} {script} {{bind}} {{port}}", "retry_timer": 0.05,
                                  "term_timeout": 0.5, **fields}

    def write_device_db(self) -> None:
        (self.directory / "device_db.py").write_text(f"device_db = {self.controllers!r}\n")

    @staticmethod
    def master_path() -> str:
        return executable("corelog")

    async def start(self) -> None:
        self.write_device_db()
        await self.master.start()
        await self.listen()
        await self.ctlmgr.start()

    async def listen(self) -> None:
        """Connects the tap. The master says nothing to a new listener, so it is asked for records until one comes."""
        await self.tap.connect(self.address, 1067)
        _, writer = await asyncio.open_connection(self.address, 1066)
        writer.write(b"ARTIQ logging\n")

        async def heard() -> bool:
            writer.write(b"probe:ERROR:probe:are you listening?\n")
            return bool(self.tap.entries)

        await eventually(heard, 10, "the master's broadcast")
        writer.close()
        await writer.wait_closed()

    async def rescan(self) -> None:
        """Lets the master read the device database as it is now."""
        self.write_device_db()
        async with self.rpc(3251, "device_db") as device_db:
            await device_db.scan()

    @contextlib.asynccontextmanager
    async def rpc(self, port: int, target: str) -> AsyncIterator[AsyncioClient]:
        client = AsyncioClient()
        await client.connect_rpc(self.address, port, target)
        try:
            yield client
        finally:
            await client.close_rpc()

    async def status(self, name: str) -> dict[str, Any]:
        async with self.rpc(3249, "ctlmgr") as manager:
            controllers: dict[str, dict[str, Any]] = await manager.status()
        return controllers.get(name, {"state": "absent"})

    async def seen(self, text: str, timeout: float = 20.0, start: int = 0) -> Any:
        """The first log entry that contains the text."""
        try:
            return await self.tap.wait_for(lambda entry: text in entry.text, timeout, start)
        except TimeoutError:
            raise AssertionError(f"{text!r} was not logged; the last entries: {self.tap.entries[-5:]}") from None

    def messages(self, source: str) -> list[str]:
        return [entry.text for entry in self.tap.entries if entry.source == source]

    async def stop(self) -> None:
        await self.tap.close()
        await self.ctlmgr.stop()
        await self.master.stop()


@contextlib.asynccontextmanager
async def management(directory: Path) -> AsyncIterator[Management]:
    """Not started yet, so that controllers can be defined; stopped at the end."""
    system = Management(directory)
    try:
        yield system
    finally:
        await system.stop()


async def until_gone(pid: int, timeout: float = 10.0) -> None:
    """Returns when no process has the id any more (or only a zombie)."""
    async with asyncio.timeout(timeout):
        while (state := _state(pid)) not in ("", "Z"):
            assert state
            await asyncio.sleep(0.01)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
