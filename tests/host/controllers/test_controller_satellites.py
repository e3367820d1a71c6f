"""The real `aqctl_corelog` process for a core device with satellites: exact for every origin, in order of time."""

import asyncio
import random
import re
from collections import defaultdict
from pathlib import Path

import pytest
from controller_process import Controller, state_of

from corelog.coredevice.order import HOLD
from corelog.testing.fakedevice import FakeDevice
from corelog.wire.frames import Level

ORIGINS = (0, 1, 2)


def numbers(lines: list[bytes]) -> dict[int, list[int]]:
    """Origin -> the numbers N of its records `record N`, in order."""
    found = defaultdict(list)
    for line in lines:
        if match := re.search(rb":firmware\.(?:dest(\d+)\.)?[a-z:.]+:record (\d+)", line):
            found[int(match[1] or 0)].append(int(match[2]))
    return found


def tree(**more: object) -> FakeDevice:
    device = FakeDevice(**more)
    for origin in ORIGINS[1:]:
        device.add_satellite(origin)
    return device


async def write(device: FakeDevice, written: dict[int, int], count: int, rng: random.Random) -> None:
    """Each origin writes up to `count` records, mixed, while everything else goes on."""
    while any(written[origin] < count for origin in ORIGINS):
        origin = rng.choice([o for o in ORIGINS if written[o] < count])
        for _ in range(min(rng.randint(1, 40), count - written[origin])):
            device.write(rng.choice(list(Level)), "a", f"record {written[origin]}", origin, more=True)
            written[origin] += 1
        device.wake()
        await asyncio.sleep(rng.choice([0, 0, 0.001]))


@pytest.mark.parametrize("seed", range(3))
async def test_killed_while_three_boards_write_nothing_is_lost_and_nothing_comes_twice(
        tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    count, written, lines = 8000, dict.fromkeys(ORIGINS, 0), list[bytes]()
    async with tree(heartbeat=0.2) as device:
        writing = asyncio.create_task(write(device, written, count, rng))
        controller = None
        for _ in range(4):
            controller = await Controller.start(device, *state_of(tmp_path), resume=controller)
            target = rng.randrange(500, 4000)
            await controller.until(lambda c, n=target: len(c.lines) >= n)
            await controller.kill()
            lines += controller.lines
        controller = await Controller.start(device, *state_of(tmp_path), resume=controller)
        await writing
        await controller.until(lambda c: len(numbers(lines + c.lines)) == len(ORIGINS) and all(
            n[-1] == count - 1 for n in numbers(lines + c.lines).values()))
        assert await controller.end() == 0
        lines += controller.lines
        assert numbers(lines) == {origin: list(range(count)) for origin in ORIGINS}, f"seed {seed}"
        assert not [line for line in lines if b"lost" in line]
        assert len([line for line in lines if b"device booted" in line]) == len(ORIGINS)


async def test_records_held_back_for_their_order_are_not_lost_by_a_kill(tmp_path: Path) -> None:
    async with tree() as device:
        c = await Controller.start(device, *state_of(tmp_path))
        await c.until(lambda c: len(c.said("device booted")) == 3)
        for i in range(50):  # killed somewhere among them, most of them held
            device.write(Level.INFO, "a", f"record {i}", i % 3)
            await asyncio.sleep(0.002)
        await c.kill()
        again = await Controller.start(device, *state_of(tmp_path), resume=c)
        await again.until(lambda a: len(c.records) + len(a.records) == 50)
        assert await again.end() == 0
        assert {o: n for o, n in numbers(c.lines + again.lines).items()} == {
            o: list(range(o, 50, 3)) for o in ORIGINS}


@pytest.mark.timing
async def test_lines_are_in_the_order_of_the_time_of_all_boards() -> None:
    async with tree(heartbeat=0.1) as device:
        c = await Controller.start(device)
        await c.until(lambda c: len(c.said("device booted")) == 3)
        await asyncio.sleep(0.3)  # some heartbeats
        for i in range(0, 60, 3):
            device.cut(2)  # what satellite 2 writes comes later than what others write afterwards
            for n, origin in enumerate((2, 0, 1)):
                device.write(Level.INFO, "a", f"record {i + n}", origin)
                await asyncio.sleep(0.0005)  # boards' times are known to some microseconds
            await asyncio.sleep(0.01)
            device.restore(2)
            await asyncio.sleep(0.02)
        await c.until(lambda c: len(c.records) == 60)
        assert [int(line.rsplit(b" ", 1)[1]) for line in c.records] == list(range(60))
        await c.end()


@pytest.mark.timing
async def test_record_of_a_satellite_is_written_within_the_hold() -> None:
    async with tree(heartbeat=0.1) as device:
        c = await Controller.start(device)
        await c.until(lambda c: len(c.said("device booted")) == 3)
        await asyncio.sleep(0.3)
        delays = []
        for i in range(30):
            began = asyncio.get_running_loop().time()
            device.write(Level.ERROR, "a", f"event {i}.", 2)
            await c.until(lambda c, i=i: c.last.endswith(b"event %d." % i))
            delays.append(asyncio.get_running_loop().time() - began)
        assert sorted(delays)[15] < HOLD + 0.02, delays
        await c.end()


async def test_satellite_that_reboots_in_the_middle_of_the_stream_tells_its_story_in_order() -> None:
    async with tree() as device:
        c = await Controller.start(device)
        await c.until(lambda c: len(c.said("device booted")) == 3)
        device.write(Level.INFO, "satman", "record 0", 2)
        device.reboot_satellite(2, panic="panic at satman")
        device.write(Level.INFO, "satman", "record 1", 2)
        await c.until(lambda c: 1 in numbers(c.lines)[2])
        boot_id = device.boots[2].boot_id
        tail = [line.decode() for line in c.lines if b"dest2" in line][1:]
        # what was still to come of the old boot came before the new one, as its last words
        assert tail[-2:] == [f"INFO:firmware.dest2.corelog:device booted, boot id {boot_id:016x}",
                             "INFO:firmware.dest2.satman:record 1"]
        assert [line.split(":", 2)[2].removeprefix("[previous boot] ") for line in tail if "corelog" not in line] == [
            "record 0", "panic at satman", "record 1"]
        assert c.said("the device panicked; what it wrote last follows")
        assert not c.said("no longer keeps")
        await c.end()


async def test_satellite_that_loses_its_memory_has_its_boot_forgotten_in_its_own_name() -> None:
    async with tree() as device:
        c = await Controller.start(device)
        await c.until(lambda c: len(c.said("device booted")) == 3)
        device.write(Level.INFO, "satman", "record 0", 2)
        await c.until(lambda c: numbers(c.lines)[2] == [0])
        old = device.boots[2].boot_id
        device.reboot_satellite(2, keep=False)
        await c.until(lambda c: c.said("no longer keeps"))
        assert c.said("no longer keeps") == [
            f"WARNING:firmware.dest2.corelog:the device no longer keeps its boot {old:016x}: "
            "what it wrote then from device seq 1 on, if anything, is lost"]
        await c.end()


async def test_satellite_reboot_while_disconnected_is_known_by_its_own_flag(tmp_path: Path) -> None:
    async with tree() as device:
        device.write(Level.INFO, "satman", "record 0", 1)
        device.write(Level.INFO, "satman", "record 0", 2)
        c = await Controller.start(device, *state_of(tmp_path))
        await c.until(lambda c: len(c.records) == 2)
        await c.kill()
        device.reboot_satellite(2, keep=False)
        device.reboot_satellite(1, keep=True)
        device.write(Level.INFO, "satman", "record 1", 1)
        device.write(Level.INFO, "satman", "record 1", 2)
        again = await Controller.start(device, *state_of(tmp_path), resume=c)
        await again.until(lambda c: len(c.records) == 2)
        [forgotten] = again.said("no longer keeps")  # of satellite 1 nothing is missing, nor of the core device
        assert ":firmware.dest2.corelog:" in forgotten
        await again.end()


async def test_satellite_that_falls_silent_does_not_disturb_and_comes_back_complete() -> None:
    async with tree(heartbeat=0.2) as device:
        c = await Controller.start(device)
        await c.until(lambda c: len(c.said("device booted")) == 3)
        device.cut(2)
        for i in range(20):
            device.write(Level.INFO, "a", f"record {i}", 2)
            device.write(Level.INFO, "a", f"record {i}", 0)
        await c.until(lambda c: numbers(c.lines)[0] == list(range(20)))
        assert numbers(c.lines)[2] == []
        device.restore(2)
        await c.until(lambda c: numbers(c.lines)[2] == list(range(20)))
        assert not c.said("lost")
        await c.end()


async def test_losses_of_a_satellite_are_declared_in_its_name() -> None:
    async with tree(capacity=10) as device:
        c = await Controller.start(device)
        await c.until(lambda c: len(c.said("device booted")) == 3)
        device.cut(2)
        for i in range(100):
            device.write(Level.INFO, "a", f"record {i}", 2, more=True)
        device.restore(2)
        await c.until(lambda c: 99 in numbers(c.lines)[2])
        assert b"WARNING:firmware.dest2.corelog:90 records lost (0 errors or warnings) from device seq 0" in c.lines
        await c.end()


@pytest.mark.parametrize("destination", [0, 2])
async def test_single_destination_is_all_that_comes_if_asked_for(tmp_path: Path, destination: int) -> None:
    async with tree() as device:
        for origin in ORIGINS:
            device.write(Level.INFO, "a", "record 0", origin)
        c = await Controller.start(device, "-s", str(destination), *state_of(tmp_path))
        await c.until(lambda c: numbers(c.lines)[destination] == [0])
        for origin in ORIGINS:
            device.write(Level.INFO, "a", "record 1", origin)
        await c.until(lambda c: numbers(c.lines)[destination] == [0, 1])
        await c.kill()
        again = await Controller.start(device, "-s", str(destination), *state_of(tmp_path), resume=c)
        device.write(Level.INFO, "a", "record 2", destination)
        await again.until(lambda c: numbers(c.lines)[destination] == [2])
        assert len(c.records + again.records) == 3
        assert not any(device.greeted)
        await again.end()


async def test_single_destination_of_an_old_device_is_pulled_with_its_number() -> None:
    async with tree() as device:
        device.faults.old = "close"
        device.write(Level.WARN, "satman", "text", 2)
        c = await Controller.start(device, "-s", "2")
        await c.until(lambda c: c.records)
        assert c.records == [b"WARNING:firmware.dest2.satman:text"]
        assert device.greeted[-1] == 2
        await c.end()
