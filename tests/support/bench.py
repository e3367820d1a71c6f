"""The core device that a test of tests/hil speaks to: in the simulator, or that of a labgrid environment (lab.py)."""

import asyncio
import contextlib
import re
import tempfile
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any, Protocol

import pytest

from corelog import device_db
from corelog.lab.system import System
from corelog_gateware.simulator.board import Board
from corelog_gateware.simulator.build import build
from support.conditions import eventually

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
CORE_ADDRESS = re.compile(r'^core_addr = ".*"$', re.MULTILINE)
INTRODUCED = re.compile("board ([0-9a-f]{16}), boot ([0-9a-f]{16})")
OUTPUTS = ("TTLOut", "TTLInOut")


class Bench(Protocol):
    """A core device that runs, with what can be done to it from outside.

    Satellite n has destination n; link n is the one between it and the board before it. `links` are those that can be
    cut, `restarts` says whether a satellite starts anew when its link comes back.
    """

    address: str | None
    satellites: int
    chain: bool
    simulated: bool
    restarts: bool

    @property
    def links(self) -> Collection[int]: ...
    @property
    def device_db(self) -> Path: ...
    @property
    def has_power(self) -> bool: ...
    async def cut(self, link: int) -> None: ...
    async def restore(self, link: int) -> None: ...

    async def power_cycle(self) -> None:
        """Pulls the plug and puts it in again; returns when the core device answers."""

    async def flash(self) -> bytes:
        """Writes gateware and firmware and starts them; returns the firmware's image when the core device answers."""

    async def introduced(self) -> tuple[str, str] | None:
        """(board, boot) in hexadecimal, as the UART said at the last power-on; None without a console."""


class SimulatedBench(Board):
    """A simulated board of the test's own."""

    simulated = True
    restarts = False
    has_power = True
    device_db = EXAMPLES / "device_db.py"

    @property
    def links(self) -> Collection[int]:
        return range(1, self.satellites + 1)

    async def cut(self, link: int) -> None:
        await self.control.command(f"link {link} cut")

    async def restore(self, link: int) -> None:
        await self.control.command(f"link {link} restore")

    async def power_cycle(self) -> None:
        await self.kill()
        await self.start()

    async def flash(self) -> bytes:
        built = await asyncio.to_thread(build, tree=self.satellites > 0)
        await self.power_cycle()
        return built.firmware.read_bytes()

    async def introduced(self) -> tuple[str, str] | None:
        assert self.uart is not None
        text = self.uart

        async def said() -> bool:
            return INTRODUCED.search(text.read_text()) is not None

        await eventually(said, 30.0, "on the UART, which board and boot it is")
        found = INTRODUCED.search(text.read_text())
        assert found is not None
        return found[1], found[2]


@contextlib.asynccontextmanager
async def simulated_bench(**options: Any) -> AsyncIterator[SimulatedBench]:
    """Options as of Board. At the end the board must still run."""
    with tempfile.TemporaryDirectory(prefix="corelog-bench-") as folder:
        files = {"storage": Path(folder) / "storage", "uart": Path(folder) / "uart.log"}
        bench = SimulatedBench(**files, **options)
        async with bench:
            yield bench


def database(bench: Bench, address: str, more: str = "") -> str:
    """The bench's device database for programs on a loopback address; `more` is Python text at its end."""
    text, found = CORE_ADDRESS.subn(f'core_addr = "{bench.address}"', bench.device_db.read_text())
    assert found == 1, f'{bench.device_db} has no line core_addr = "..."'
    controller = {
        "type": "controller", "host": address, "port": 1068, "retry_timer": 0.2,
        "command": f"aqctl_corelog -p {{port}} --bind {{bind}} --no-localhost-bind {bench.address}"}
    return f'{text}\ndevice_db["core_log"] = {controller!r}\n{more}'


# The examples that make an RTIO error: the device of which, and how its record begins.
ERRORS = {
    "collision": ("ttl4", "RTIO collision"),
    "busy": ("slow0", "RTIO busy error"),
    "sequence_error": ("ttl0", "RTIO sequence error"),
}


def failing(system: System, directory: Path, example: str, destination: int = 0) -> tuple[str, str]:
    """An example of ERRORS for an output of that board, and how the record of its error begins.

    Skips the test where no channel can make the error.
    """
    usual, error = ERRORS[example]
    devices = device_db.load(system.device_db_path)
    channels = {
        name: entry["arguments"]["channel"] for name, entry in devices.items()
        if isinstance(entry, dict) and entry.get("class") in (*OUTPUTS, "RawOutput")
        and entry["arguments"]["channel"] >> 16 == destination}
    if example == "busy":
        if usual not in channels:
            pytest.skip(f"no channel of destination {destination} is ever busy: none is called {usual}")
        name = usual
    else:
        assert channels, f"{system.device_db_path} has no TTL output of destination {destination}"
        name = usual if usual in channels else next(iter(channels))
    script = directory / f"{example}.py"
    script.write_text((EXAMPLES / f"{example}.py").read_text().replace(usual, name))
    return str(script), f"{error} involving channel {channels[name] & 0xffff:#06x}:{name}"
