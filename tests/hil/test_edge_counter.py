"""An edge counter through its driver, at an input of the simulated board that is wired to an output."""

import asyncio
import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from corelog import device_db
from corelog.coredevice.edge_counter import CounterOverflow
from corelog.experiment import delay, delay_mu, kernel, ms, now_mu
from corelog.language.devices import DeviceManager, LocalDeviceDB
from support.bench import Bench

pytestmark = [
    pytest.mark.board, pytest.mark.simulated("it needs an input with a counter, wired to an output"),
    pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

COARSE = 8  # machine units, and the shortest time between two edges
RISING, FALLING = (True, False), (False, True)


class Counting:
    def __init__(self, devices: DeviceManager):
        self.core, self.out, self.counter = (devices.get(name) for name in ("core", "ttl7", "ttl8_counter"))

    @kernel
    def gate(self, edges: tuple[bool, bool], levels: list[int], opened: int, closed: int) -> tuple[int, int, int]:
        """(end of the gate, time of the count, count). `levels` of the output, one a coarse cycle, from low on; the
        gate is open from cycle `opened` to the start of cycle `closed`."""
        self.core.reset()
        self.out.off()
        delay(80 * ms)  # to submit all events before the first is due
        end = now_mu()
        for n, (before, level) in enumerate(pairwise([0, *levels])):
            if n == opened:
                self.counter.set_config(*edges, False, True)
            if n == closed:
                end = now_mu()
                self.counter.set_config(False, False, True, False)
            if level != before:
                self.out.set_o(level)
            delay_mu(COARSE)
        return int(end), *self.counter.fetch_timestamped_count()


@pytest.fixture
def counting(bench: Bench) -> Iterator[Counting]:
    with devices_of(bench) as devices:
        yield Counting(devices)


def devices_of(bench: Bench, **overrides: Any) -> DeviceManager:
    database = device_db.load(bench.device_db)
    database["core"]["arguments"]["host"] = bench.address
    return DeviceManager(LocalDeviceDB(database), overrides=overrides)


def expected(edges: tuple[bool, bool], levels: list[int], opened: int, closed: int) -> int:
    inside = list(pairwise([0, *levels]))[opened:closed]
    return sum((edges[0] and level > before) or (edges[1] and level < before) for before, level in inside)


TOGGLING = [1 - n % 2 for n in range(100)]  # no more events than a lane holds
RANDOM = random.Random(1).choices((0, 1), k=180)


@pytest.mark.parametrize(("edges", "levels", "opened", "closed", "count"), [
    ((True, True), TOGGLING, 10, 90, 80), (RISING, TOGGLING, 11, 91, 40), (FALLING, TOGGLING, 11, 90, 40),
    ((True, True), [*TOGGLING[:20], *[0] * 40, *TOGGLING[:20]], 20, 60, 0),
    (RISING, RANDOM, 13, 160, None)],
    ids=["both, from an edge to an edge", "rising", "falling", "none inside", "random"])  # fmt: skip
async def test_a_counter_counts_each_edge_of_a_gate_and_none_beside_it(
        counting: Counting, edges: tuple[bool, bool], levels: list[int], opened: int, closed: int,
        count: int | None) -> None:
    end, time, found = await asyncio.to_thread(counting.gate, edges, levels, opened, closed)
    assert found == expected(edges, levels, opened, closed)
    assert count in (None, found)
    assert time == end // COARSE * COARSE


async def test_a_count_of_all_that_the_counter_has_room_for_is_an_error(bench: Bench) -> None:
    """The driver is told of fewer bits than there are: 2**31 edges would take an hour."""
    with devices_of(bench, ttl8_counter={"gateware_width": 4}) as devices:
        counting = Counting(devices)
        _, _, count = await asyncio.to_thread(counting.gate, (True, True), TOGGLING, 10, 24)
        assert count == 14
        with pytest.raises(CounterOverflow, match="channel 0x000a reached its maximum, 15"):
            await asyncio.to_thread(counting.gate, (True, True), TOGGLING, 10, 25)
