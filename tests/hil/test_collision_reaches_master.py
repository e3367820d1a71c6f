"""The main job: an RTIO error that arises after the experiment's call has returned stands in the master's log."""

import re
import statistics
import time
from pathlib import Path

import pytest

from corelog.coredevice.session import AsyncSession
from corelog.lab.system import LogEntry, System
from support.bench import ERRORS, failing
from support.conditions import host_time_of_counter

pytestmark = [pytest.mark.board, pytest.mark.timing, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]



def is_error(entry: LogEntry, message: str) -> bool:
    return (entry.level == 40 and entry.source == "controller(core_log)"
            and re.match(r"firmware\.runtime[a-z_.]*:" + re.escape(message), entry.text) is not None)


@pytest.mark.parametrize("example", sorted(ERRORS))
async def test_error_of_an_example_reaches_the_broadcast_log(system: System, tmp_path: Path, example: str) -> None:
    script, message = failing(system, tmp_path, example)
    first = len(system.tap.entries)
    await system.run(script)
    entry = await system.tap.wait_for(lambda e: is_error(e, message), 20.0, first)
    assert re.search(r" at \d+ mu", entry.text), entry.text


async def test_the_call_returns_before_the_colliding_events_are_due(system: System, tmp_path: Path) -> None:
    script, message = failing(system, tmp_path, "collision")
    first = len(system.tap.entries)
    await system.run(script)
    async with AsyncSession(system.board_address) as session:
        clock = await host_time_of_counter(session)
    returned = time.monotonic()
    entry = await system.tap.wait_for(lambda e: is_error(e, message), 20.0, first)
    due = clock(event_time(entry))
    assert returned < due, f"the run ended {returned - due:.3f} s after the events were due"
    assert entry.arrived > due - CLOCK_KNOWN_TO


# Seconds; an exchange of the session takes some.
CLOCK_KNOWN_TO = 0.005


def event_time(entry: LogEntry) -> int:
    """RTIO time of the event in mu."""
    found = re.search(r" at (\d+) mu", entry.text)
    assert found is not None, entry.text
    return int(found[1])


async def test_median_delay_from_error_to_broadcast_is_below_50_ms(system: System, tmp_path: Path) -> None:
    script, message = failing(system, tmp_path, "collision")
    delays = []
    async with AsyncSession(system.board_address) as session:
        for _ in range(12):
            first = len(system.tap.entries)
            await system.run(script)
            clock = await host_time_of_counter(session)
            entry = await system.tap.wait_for(lambda e: is_error(e, message), 20.0, first)
            delays.append(entry.arrived - clock(event_time(entry)))
    print(f"error to broadcast, 12 collisions: median {statistics.median(delays) * 1e3:.1f} ms, "
          f"worst {max(delays) * 1e3:.1f} ms")
    assert statistics.median(delays) < 0.050
