"""The log controller under the controller manager: from a device's stream to the master's broadcast, exactly once."""

import asyncio
import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from corelog.lab.system import LogEntry
from corelog.testing.fakedevice import FakeDevice
from support.management import Management, management

SOURCE = "controller(core_log)"
RECORD = re.compile(r"firmware\.runtime\.mgmt:flood (\d+)/(\d+)")


def log_controller(system: Management) -> None:
    system.controllers["core_log"] = {
        "type": "controller", "host": system.address, "port": 1068, "retry_timer": 0.05,
        "command": f"aqctl_corelog -p {{port}} --bind {{bind}} --no-localhost-bind {system.address}",
        "environment": {"XDG_STATE_HOME": str(system.directory)}}


def flood_numbers(entries: list[LogEntry]) -> list[int]:
    return [int(found[1]) for entry in entries if entry.source == SOURCE and (found := RECORD.match(entry.text))]


async def test_error_of_the_device_reaches_the_broadcast_as_specified(tmp_path: Path) -> None:
    async with management(tmp_path) as system, FakeDevice(system.address, 1380) as device:
        log_controller(system)
        await system.start()
        device.write(1, "runtime::rtio_mgt", "RTIO collision involving channel 0x0004:ttl4")
        entry = await system.seen("RTIO collision")
        assert (entry.level, entry.source) == (40, SOURCE)
        assert entry.text == "firmware.runtime.rtio_mgt:RTIO collision involving channel 0x0004:ttl4"


async def test_delay_from_stream_frame_to_broadcast(tmp_path: Path) -> None:
    async with management(tmp_path) as system, FakeDevice(system.address, 1380) as device:
        log_controller(system)
        await system.start()
        device.write(1, "t", "first")
        await system.seen("t:first")
        delays = []
        for i in range(50):
            first = len(system.tap.entries)
            written = time.monotonic()
            device.write(1, "t", f"record {i}")
            entry = await system.seen(f"record {i}", start=first)
            delays.append(entry.arrived - written)
        print(f"stream frame to broadcast: median {sorted(delays)[25] * 1e3:.2f} ms, worst {max(delays) * 1e3:.2f} ms")
        assert sorted(delays)[25] < 0.05


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_log_controller_killed_again_and_again_in_a_flood_loses_and_repeats_nothing(
        tmp_path: Path, seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    count = 30_000
    async with management(tmp_path) as system, FakeDevice(system.address, 1380) as device:
        log_controller(system)
        await system.start()
        device.write(1, "t", "ready")
        await system.seen("t:ready")

        async def write() -> None:
            for begin in range(0, count, 100):
                for i in range(begin, begin + 100):
                    device.write(3, "runtime::mgmt", f"flood {i}/{count} " + "." * rng.randrange(200), more=True)
                device.wake()
                await asyncio.sleep(0.005)

        async def kill() -> None:
            for at in sorted(rng.randrange(count) for _ in range(5)):
                await system.tap.wait_for(lambda e, at=at: e.text.startswith(f"firmware.runtime.mgmt:flood {at}/"), 60)
                pid = (await system.status("core_log"))["pid"]
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)

        await asyncio.gather(write(), kill())
        await system.seen(f"flood {count - 1}/", 60.0)
        assert flood_numbers(system.tap.entries) == list(range(count))
        restarts = sum("exited (killed by SIGKILL)" in e.text for e in system.tap.entries)
        print(f"{restarts} restarts")
        assert restarts >= 1


async def test_25000_records_per_second_pass_whole(tmp_path: Path) -> None:
    rate, seconds = 25_000, 4
    async with management(tmp_path) as system, FakeDevice(system.address, 1380) as device:
        log_controller(system)
        await system.start()
        device.write(1, "t", "ready")
        await system.seen("t:ready")
        count, written = rate * seconds, 0
        begin = time.monotonic()
        while written < count:
            due = min(count, int((time.monotonic() - begin) * rate))
            for i in range(written, due):
                device.write(3, "runtime::mgmt", f"flood {i}/{count}" + "." * 40, more=True)
            written = due
            device.wake()
            await asyncio.sleep(0.01)
        produced = time.monotonic() - begin
        last = await system.seen(f"flood {count - 1}/", 60.0)
        late = last.arrived - begin - produced
        print(f"{count} records produced in {produced:.2f} s, the last broadcast {late:.2f} s later")
        assert flood_numbers(system.tap.entries) == list(range(count))
