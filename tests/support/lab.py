"""The boards of a labgrid environment as benches for the tests of tests/hil (`make hil`)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest
from labgrid import Environment

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.lab.drivers import CoreDeviceStrategy, Status
from corelog.lab.environment import strategy
from support.conditions import eventually
from support.trees import BOOT_TIMEOUT, identify

# labgrid's drivers are called where they may start processes in the main thread (a child ends with the thread that
# started it), else in another one, so that the test goes on reading.


class LabBench:
    """A core device of an environment, at the network."""

    def __init__(self, role: str, strategy: CoreDeviceStrategy):
        self.role = role
        self.strategy = strategy
        self.address: str | None = strategy.device.address
        self.satellites: int = strategy.device.satellites
        self.chain: bool = strategy.device.chain
        self.simulated: bool = strategy.device.simulated

    @property
    def device_db(self) -> Path:
        return self.strategy.device.path(self.strategy.device.device_db)

    @property
    def links(self) -> Collection[int]:
        return self.strategy.links

    @property
    def restarts(self) -> bool:
        return any(driver.restarts for driver in self.strategy.links.values())

    @property
    def has_power(self) -> bool:
        return self.strategy.power is not None

    async def cut(self, link: int) -> None:
        await asyncio.to_thread(self.strategy.cut, link)

    async def restore(self, link: int) -> None:
        await asyncio.to_thread(self.strategy.restore, link)

    async def power_cycle(self) -> None:
        self.strategy.power_cycle()

    async def flash(self) -> bytes:
        if self.strategy.flasher is None:
            pytest.skip(f"the environment has nothing that flashes target {self.role}")
        return self.strategy.flash().read_bytes()

    async def introduced(self) -> tuple[str, str] | None:
        return self.strategy.introduced

    async def fresh(self) -> None:
        """A board as after power-on, whatever was before; its debug requests are served."""
        if self.has_power and self.strategy.status != Status.unknown:
            await self.power_cycle()
        else:
            self.strategy.transition(Status.network)
        if not self.simulated:
            await self._serve_debug_requests()
        if not self.has_power:
            await self._reboot()
        for destination in range(self.satellites + 1):
            async def up(destination: int = destination) -> bool:
                return await identify(self.address, destination) is not None
            await eventually(up, BOOT_TIMEOUT, f"an answer of destination {destination}")

    async def _serve_debug_requests(self) -> None:
        for destination in range(self.satellites + 1):
            async with AsyncMgmt(str(self.address), destination=destination, timeout=BOOT_TIMEOUT) as device:
                await device.config_write("debug_requests", b"1")

    async def _reboot(self) -> None:
        before = await identify(self.address, 0)
        async with AsyncMgmt(str(self.address), timeout=BOOT_TIMEOUT) as device:
            await device.reboot()

        async def again() -> bool:
            now = await identify(self.address, 0)
            return now is not None and before is not None and now.boot_id != before.boot_id

        await eventually(again, BOOT_TIMEOUT, "a new boot of the board")


class Lab:
    """The benches of an environment. One is used at a time; the others are off meanwhile, if they can be."""

    def __init__(self, environment: Environment):
        roles = environment.config.get_targets()
        self.benches = [LabBench(role, strategy(environment, role)) for role in roles]

    @contextlib.asynccontextmanager
    async def bench(self, satellites: int = 0, chain: bool | None = None,
                    at_least: int | None = None) -> AsyncIterator[LabBench]:
        """The one with so many satellites (or `at_least` some) in that shape; skips the test if there is none."""
        wanted = range(satellites if at_least is None else at_least, 256 if at_least is not None else satellites + 1)
        found = [bench for bench in self.benches
                 if bench.satellites in wanted and (chain is None or bench.chain == chain or bench.satellites < 2)]
        if not found and satellites == 0:
            found = self.benches[:1]  # a core device with satellites does what one without does
        if not found:
            shape = {None: "", True: " in a chain", False: " in a star"}[chain]
            pytest.skip(f"the environment has no core device with {wanted[0]} satellites{shape}")
        bench = found[0]
        for other in self.benches:
            if other is not bench and other.has_power and other.strategy.status != Status.off:
                other.strategy.transition(Status.off)
        await bench.fresh()
        yield bench
