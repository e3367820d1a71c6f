"""`corelog log` as a process: what a person and a program see."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from corelog.testing.fakedevice import FakeDevice
from corelog.wire.frames import Level


async def start(device: FakeDevice, *args: str, cwd: Path | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "corelog.frontend.main", "log", "--port", str(device.port), *args,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd)


async def once(device: FakeDevice, *args: str, cwd: Path | None = None) -> tuple[int, str, str]:
    process = await start(device, "--no-follow", *args, cwd=cwd)
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def following(device: FakeDevice, *args: str) -> AsyncIterator[asyncio.StreamReader]:
    process = await start(device, *args)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            yield process.stdout
    finally:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            await process.communicate()
        assert process.returncode == 130


async def line_with(stream: asyncio.StreamReader, text: str) -> str:
    while line := (await stream.readline()).decode():
        if text in line:
            return line.rstrip("\n")
    raise AssertionError(f"ended without {text!r}")


async def test_snapshot_shows_everything_that_is_kept_and_ends() -> None:
    async with FakeDevice() as device:
        device.write(Level.ERROR, "runtime::rtio_mgt", "RTIO collision involving channel 0x0004:ttl4", repeat=3)
        device.reboot(panic="panic at x")
        device.flood(2000)
        device.write(Level.WARN, "satman", "of a satellite\nin two lines", origin=3)
        status, out, err = await once(device, device.host)
        assert (status, err) == (0, "")
        assert "ERROR runtime::rtio_mgt: [previous boot] RTIO collision involving channel 0x0004:ttl4 " \
               "(repeated 3 times)\n" in out
        assert "which ended in a panic" in out
        assert len(re.findall(r"INFO  runtime::mgmt: flood \d+/2000", out)) == 2000
        assert re.search(r"WARN  dest 3 \(own time\) satman: of a satellite\n +in two lines\n", out)


async def test_host_time_of_a_record_is_when_it_was_written() -> None:
    async with FakeDevice(heartbeat=0.1) as device:
        async with following(device, "--utc", "--since", "now", device.host) as stream:
            async with asyncio.timeout(10):
                while device.connections == 0:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)  # some heartbeats
            device.write(Level.INFO, "a", "now")
            written = datetime.now(UTC)
            line = await line_with(stream, "INFO  a: now")
            shown = datetime.fromisoformat(line.split("Z")[0] + "+00:00")
            assert abs((shown - written).total_seconds()) < 0.05, line


async def test_level_is_selected_and_snapshot_still_ends() -> None:
    async with FakeDevice(heartbeat=0.2) as device:
        device.flood(100, warn_every=10)
        status, out, _ = await once(device, device.host, "--level", "warn")
        assert status == 0
        assert out.count("flood") == 10


async def test_json_lines_carry_every_field() -> None:
    async with FakeDevice() as device:
        device.write(Level.INFO, "a::b", "two\nlines", repeat=4, truncated=True)
        _, out, _ = await once(device, device.host, "--json")
        boot, record = map(json.loads, out.splitlines())
        assert (boot["type"], boot["boot_id"]) == ("boot", f"{device.log.boot_id:016x}")
        assert record | {"host_time": "", "device_us": 0} == {
            "type": "record", "host_time": "", "device_us": 0, "level": "INFO", "target": "a::b",
            "message": "two\nlines", "origin": 0, "seq": 0, "boot_id": f"{device.log.boot_id:016x}", "repeat": 4,
            "truncated": True, "previous_boot": False, "core_us": record["device_us"], "uncertainty_ns": 0}


async def test_snapshot_of_a_tree_is_in_the_order_of_its_time_with_core_time_and_uncertainty() -> None:
    async with FakeDevice() as device:
        await asyncio.sleep(0.05)
        device.add_satellite(2)
        device.add_satellite(3, synchronised=False)
        for i in range(30):
            device.write(Level.INFO, "a", f"record {i}", (0, 2)[i % 2])
            await asyncio.sleep(0.001)
        device.write(Level.WARN, "satman", "alone", 3)
        _, out, _ = await once(device, device.host, "--json")
        rows = [row for row in map(json.loads, out.splitlines()) if row["type"] == "record"]
        tied = [row for row in rows if row["origin"] != 3]
        assert [row["message"] for row in tied] == [f"record {i}" for i in range(30)]
        assert [row["origin"] for row in tied] == [0, 2] * 15
        assert sorted(row["core_us"] for row in tied) == [row["core_us"] for row in tied]
        assert all(row["core_us"] - row["device_us"] > 45_000 for row in tied if row["origin"] == 2)
        assert {row["uncertainty_ns"] for row in tied if row["origin"] == 0} == {0}
        assert all(1000 < row["uncertainty_ns"] < 10_000_000 for row in tied if row["origin"] == 2)
        assert [row["core_us"] for row in rows if row["origin"] == 3] == [None]
        text = (await once(device, device.host))[1]
        assert re.search(r"INFO  dest 2 a: record 29\n", text)
        assert re.search(r"WARN  dest 3 \(own time\) satman: alone\n", text)


async def test_single_destination_is_shown_with_the_core_device_time() -> None:
    async with FakeDevice(heartbeat=0.2) as device:
        device.add_satellite(2)
        device.write(Level.INFO, "a", "core")
        device.write(Level.INFO, "a", "sat", 2)
        async with following(device, device.host, "-s", "2", "--json") as stream:
            await line_with(stream, "sat")
            await asyncio.sleep(0.6)  # clocks come with the heartbeats
            device.write(Level.INFO, "a", "again", 2)
            row = json.loads(await line_with(stream, "again"))
            assert (row["origin"], row["uncertainty_ns"] > 0) == (2, True)
        for option in ("-s", "--origin"):
            assert re.findall(r"a: \w+", (await once(device, device.host, option, "0"))[1]) == ["a: core"]


async def test_loss_and_reboot_are_shown_and_it_goes_on() -> None:
    async with FakeDevice(capacity=10) as device:
        device.flood(100)
        async with following(device, device.host) as stream:
            await line_with(stream, "flood 100/100")
            device.drop()
            await line_with(stream, "connection lost")
            device.flood(50)
            await line_with(stream, "records lost (")
            await line_with(stream, "flood 50/50")
            device.reboot()
            await line_with(stream, f"boot {device.log.boot_id:016x}")


async def test_device_text_cannot_command_the_terminal() -> None:
    async with FakeDevice() as device:
        device.write(Level.INFO, "a\x1b[2J", "b\x1b]0;title\x07\x9b31m")
        _, out, _ = await once(device, device.host)
        assert "\x1b" not in out
        assert "a\\x1b[2J: b\\x1b]0;title\\x07\\x9b31m" in out


async def test_colour_only_if_asked_or_on_a_terminal() -> None:
    async with FakeDevice() as device:
        device.write(Level.ERROR, "a", "b")
        assert "\x1b[31;1mERROR\x1b[0m" in (await once(device, device.host, "--color", "always"))[1]
        assert "\x1b" not in (await once(device, device.host))[1]


async def test_old_device_is_shown_without_taking_its_log_away() -> None:
    async with FakeDevice() as device:
        device.faults.old = "close"
        device.add_text(b"[     1.000000s]  INFO(runtime): hi\n[     2.000000s]  WARN(runtime): ho\n")
        status, out, _ = await once(device, device.host, "--level", "warn")
        assert status == 0
        assert "WARN  runtime: ho" in out
        assert "hi" not in out
        assert device.text != b""


async def test_address_comes_from_the_device_database(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        device.write(Level.INFO, "a", "b")
        database = tmp_path / "device_db.py"
        database.write_text('device_db = {"core": {"type": "local", "module": "m", "class": "c", '
                            f'"arguments": {{"host": "{device.host}"}}}}}}')
        assert "INFO  a: b" in (await once(device, cwd=tmp_path))[1]
        status, _, err = await once(device, "--device-db", "absent.py", cwd=tmp_path)
        assert status == 1
        assert err.startswith("corelog log: error: device database absent.py does not exist")
        assert err.count("\n") == 1


async def test_snapshot_of_a_device_that_is_not_there_fails_in_time() -> None:
    device = FakeDevice()
    await device.start()
    await device.stop()
    status, _, err = await once(device, device.host, "--timeout", "1")
    assert status == 1
    assert err.startswith("corelog log: error: 127.0.0.1: ")
