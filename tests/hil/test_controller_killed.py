"""A killed controller and a rebooted board: every record that the ring still held is in the master's log, once."""

import asyncio
import os
import re
import signal
import time
from pathlib import Path

import pytest

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.lab.system import LogEntry, System

pytestmark = [pytest.mark.board, pytest.mark.timing, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

FLOOD = re.compile(r"flood (\d+)/(\d+)$")
LOST = re.compile(r"(\d+) records? lost")


def controller_pid(address: str) -> int:
    """Process of the log controller that serves this set-up's board."""
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                words = (directory / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.endswith(b"aqctl_corelog") for word in words[:2]) and address.encode() in words:
                return int(directory.name)
    raise LookupError(f"no aqctl_corelog for {address}")


def check_flood(entries: list[LogEntry], count: int) -> int:
    """Each record of the flood once and in order, but for those declared lost. Returns the number lost."""
    numbers = [int(m[1]) for e in entries if (m := FLOOD.search(e.text)) and int(m[2]) == count]
    assert len(numbers) == len(set(numbers)), "a record came twice"
    assert numbers == sorted(numbers)
    lost = sum(int(m[1]) for e in entries if "firmware.corelog" in e.text and (m := LOST.search(e.text)))
    assert len(numbers) + lost >= count, f"{count - len(numbers)} missing, {lost} declared lost"
    return lost


async def flood(address: str, count: int, interval: int) -> None:
    async with AsyncMgmt(address, timeout=120.0) as device:
        await device.debug_flood(count, interval=interval)


async def seen(system: System, number: int, count: int, first: int, timeout: float = 60.0) -> LogEntry:
    return await system.tap.wait_for(lambda e: e.text.endswith(f"flood {number}/{count}"), timeout, first)


@pytest.mark.parametrize("count", [601, 602])
async def test_controller_killed_during_a_flood_loses_and_repeats_nothing(system: System, count: int) -> None:
    first = len(system.tap.entries)
    writing = asyncio.create_task(flood(system.board_address, count, 2000))
    await seen(system, count // 4, count, first)
    os.kill(controller_pid(system.address), signal.SIGKILL)
    await seen(system, count, count, first)
    await writing
    assert check_flood(system.tap.entries[first:], count) == 0


async def test_board_rebooted_during_a_flood_loses_nothing_that_the_ring_held(system: System) -> None:
    first = len(system.tap.entries)
    count = 20_011
    writing = asyncio.create_task(flood(system.board_address, count, 500))
    await seen(system, 400, count, first)
    await system.mgmt("reboot")
    await asyncio.gather(writing, return_exceptions=True)
    await system.tap.wait_for(lambda e: "ARTIQ runtime starting" in e.text and "[previous boot]" not in e.text,
                              60.0, first)
    await system.tap.wait_for(lambda e: e.text.endswith("restarting"), 10.0, first)
    entries = system.tap.entries[first:]
    restart = next(i for i, e in enumerate(entries) if e.text.endswith("restarting"))
    numbers = [int(m[1]) for e in entries if (m := FLOOD.search(e.text))]
    lost = sum(int(m[1]) for e in entries[:restart] if "firmware.corelog" in e.text and (m := LOST.search(e.text)))
    assert numbers == sorted(set(numbers)), "a record came twice or out of order"
    assert lost == numbers[-1] - len(numbers), f"last {numbers[-1]}, {len(numbers)} came, {lost} declared lost"


async def test_controller_reads_again_within_half_a_second_of_the_boards_return(system: System) -> None:
    async with AsyncMgmt(system.board_address) as device:
        boot_id = (await device.identify()).boot_id
    await system.mgmt("reboot")
    down = time.monotonic()
    first = len(system.tap.entries)
    back: float | None = None
    while back is None:
        assert time.monotonic() - down < 30.0, "the board did not come back"
        try:
            async with AsyncMgmt(system.board_address, timeout=0.2) as device:
                if (await device.identify()).boot_id != boot_id:  # the old boot may still answer
                    back = time.monotonic()
        except OSError:
            continue
    entry = await system.tap.wait_for(lambda e: "software ident" in e.text, 30.0, first)
    print(f"board back {back - down:.3f} s after the reboot, its log in the master {entry.arrived - back:+.3f} s later")
    assert entry.arrived - back < 0.5
