"""The log controller under the controller manager: from a device's stream to the master's broadcast, exactly once."""

import asyncio
import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from corelog.lab.program import Program
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


async def stored_records(system: Management, count: int, **selection: Any) -> list[dict[str, Any]]:
    """The device's own records, of which there are so many, from the master's store."""
    found: list[dict[str, Any]] = []
    start = 0
    async with system.rpc(3251, "log_store") as store:
        async with asyncio.timeout(30):
            while len(found) < count:
                page = await store.read(start, 5000, 5.0, **selection)
                start = page["next"]
                found += [record for record in page["records"] if record["source"] == SOURCE and "device_us" in record]
    return found


async def test_record_in_the_store_has_the_devices_own_time_number_boot_and_place(tmp_path: Path) -> None:
    async with management(tmp_path) as system, FakeDevice(system.address, 1380) as device:
        device.add_satellite(3)
        log_controller(system)
        await system.start()
        device.write(1, "t", "first")
        await system.seen("t:first")
        before = time.time()
        device.write(1, "runtime::rtio_mgt", "RTIO\x1fseq=5:collision")
        device.write(2, "satman", "two\nlines", 3)
        await system.seen("RTIO\x1fseq=5:collision")
        entry = await system.seen("two\nlines")
        assert entry.text == "firmware.dest3.satman:two\nlines"
        core = await stored_records(system, 2, origin=0)
        satellite = (await stored_records(system, 1, origin=3))[0]
        kept, far = device.log.kept[1].record, device.boots[3].kept[0].record
        assert core[1] == core[1] | {
            "name": "firmware.runtime.rtio_mgt", "message": "RTIO\x1fseq=5:collision", "origin": 0, "seq": 1,
            "boot_id": f"{device.log.boot_id:016x}", "device_us": kept.time, "core_us": kept.time}
        assert satellite == satellite | {
            "name": "firmware.dest3.satman", "message": "two\nlines", "origin": 3, "seq": 0,
            "boot_id": f"{device.boots[3].boot_id:016x}", "device_us": far.time}
        assert abs(satellite["core_us"] - core[1]["core_us"]) < 50_000
        for record in (core[1], satellite):
            assert before - 0.05 < record["host_time"] <= record["time"] + 0.001
        shown = await client(system, "log", "--origin", "3", "--device-time")
        assert re.fullmatch(r"WARNING controller\(core_log\) \d\d/\d\d \d\d:\d\d:\d\d\.\d{6} +"
                            rf"{satellite['core_us'] / 1e6:.6f} firmware\.dest3\.satman:two", shown[-2])


async def client(system: Management, *arguments: str) -> list[str]:
    program = Program("client", ["corelog", "client", "-s", system.address, "show", *arguments], cwd=system.directory)
    await program.start()
    assert await program.wait(20) == 0, program.last_line()
    return list(program.lines)


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
        assert not any("\x1f" in entry.text for entry in system.tap.entries)
        records = await stored_records(system, device.log.produced)
        assert [record["seq"] for record in records] == list(range(device.log.produced))
        assert {record["boot_id"] for record in records} == {f"{device.log.boot_id:016x}"}
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
