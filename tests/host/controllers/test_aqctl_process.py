"""The real `aqctl_corelog` process against a fake device, over real sockets and a real pipe."""

import asyncio
import os
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from controller_process import Controller, flood_numbers, free_port, state_of

from corelog.testing.fakedevice import FakeDevice
from corelog.wire.frames import Level


async def test_records_of_every_level_are_written_at_default_verbosity() -> None:
    async with FakeDevice() as device:
        for level in Level:
            device.write(level, "runtime::rtio_mgt", f"text {level.name}")
        c = await Controller.start(device)
        await c.until(lambda c: len(c.records) == 5)
        assert c.records == [f"{n}:firmware.runtime.rtio_mgt:text {t}".encode() for n, t in (
            ("ERROR", "ERROR"), ("WARNING", "WARN"), ("INFO", "INFO"), ("DEBUG", "DEBUG"), ("TRACE", "TRACE"))]
        assert await c.end() == 0


async def test_message_of_several_lines_counts_them() -> None:
    async with FakeDevice() as device:
        device.write(Level.ERROR, "runtime", "CRC failed:\nexpected 1\n")
        c = await Controller.start(device)
        await c.until(lambda c: b"" in c.lines)
        assert c.lines[1:] == [b"ERROR<3>:firmware.runtime:CRC failed:", b"expected 1", b""]
        await c.end()


@pytest.mark.parametrize("seed", range(5))
async def test_killed_during_a_flood_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    async with FakeDevice(capacity=1 << 30) as device:
        device.flood(120_000, body_length=rng.choice([0, 40, 200]), warn_every=7)
        lines: list[bytes] = []
        controller = None
        for _ in range(4):
            controller = await Controller.start(device, *state_of(tmp_path), resume=controller)
            target = rng.randrange(1000, 20_000)
            await controller.until(lambda c, n=target: len(c.lines) >= n)
            await controller.kill()
            lines += controller.lines
        controller = await Controller.start(device, *state_of(tmp_path), resume=controller)
        await controller.until(lambda c: flood_numbers([c.last]) == [119_999])
        assert await controller.end() == 0
        lines += controller.lines
        assert flood_numbers(lines) == list(range(120_000)), f"seed {seed}"
        assert not [line for line in lines if b"lost" in line]


async def test_killed_under_a_manager_that_counts_nothing_repeats_at_most_one_chunk(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        device.flood(100_000)
        first = await Controller.start(device, *state_of(tmp_path))
        await first.until(lambda c: len(c.lines) > 5000)
        await first.kill()
        second = await Controller.start(device, *state_of(tmp_path))
        await second.until(lambda c: flood_numbers([c.last]) == [99_999])
        await second.end()
        numbers = flood_numbers(first.lines + second.lines)
        twice = [n for n, count in Counter(numbers).items() if count > 1]
        assert sorted(set(numbers)) == list(range(100_000))
        assert len(twice) * len(b"INFO:firmware.runtime.mgmt:flood 0/100000\n") <= 4096


async def test_killed_while_the_ring_overflows_says_what_was_lost_exactly_once(tmp_path: Path) -> None:
    async with FakeDevice(capacity=2000) as device:
        device.flood(1000, warn_every=10)
        first = await Controller.start(device, *state_of(tmp_path))
        await first.until(lambda c: len(c.records) == 1000)
        await first.kill()
        device.flood(50_000, warn_every=10)
        second = await Controller.start(device, *state_of(tmp_path), resume=first)
        await second.until(lambda c: b"flood 50000/50000" in c.last)
        await second.end()
        losses = second.losses
        assert losses[0][0] == 1000
        assert all(a[0] + a[1] < b[0] + 1 for a, b in pairwise(losses)), "one entry per gap"
        assert sum(count for _, count, _ in losses) + len(first.records) + len(second.records) == device.log.produced
        warnings = [line for line in first.records + second.records if line.startswith(b"WARNING:")]
        assert sum(retained for _, _, retained in losses) + len(warnings) == device.log.warnings
        assert len(second.said(" lost ")) == len(losses)


async def test_clean_restart_goes_on_without_repeating_or_losing(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        device.flood(5000)
        first = await Controller.start(device, *state_of(tmp_path))
        await first.until(lambda c: len(c.records) == 5000)
        assert await first.end() == 0
        device.write(Level.INFO, "a", "meanwhile")
        second = await Controller.start(device, *state_of(tmp_path))
        await second.until(lambda c: c.records)
        assert second.lines == [b"INFO:firmware.a:meanwhile"]
        await second.end()


async def test_device_reboot_during_a_flood_gives_the_rest_of_the_previous_boot() -> None:
    async with FakeDevice() as device:
        c = await Controller.start(device)
        device.flood(20_000)
        await c.until(lambda c: len(c.records) > 1000)
        device.flood(20_000)
        device.reboot()
        device.write(Level.INFO, "runtime", "new boot")
        await c.until(lambda c: b"new boot" in c.last)
        assert flood_numbers(c.lines) == [*range(20_000), *range(20_000)]
        assert any(b"[previous boot] flood" in line for line in c.lines)
        assert b"[previous boot]" not in c.last
        assert len(c.said("device booted")) == 2
        assert not c.losses
        await c.end()


async def test_panic_is_said_and_its_text_follows() -> None:
    async with FakeDevice() as device:
        c = await Controller.start(device)
        await c.until(lambda c: c.said("device booted"))
        device.reboot(panic="panic at src/main.rs:1:1: test")
        await c.until(lambda c: len(c.said("device booted")) == 2)
        assert c.said("the device panicked")
        assert b"ERROR:firmware.runtime.panic:[previous boot] panic at src/main.rs:1:1: test" in c.lines
        await c.end()


async def test_device_back_after_a_reboot_is_read_within_half_a_second() -> None:
    async with FakeDevice() as device:
        c = await Controller.start(device)
        await c.until(lambda c: c.said("device booted"))
        await device.stop()
        await c.until(lambda c: c.said("connection to 127.0.0.1 lost"))
        device.reboot()
        await asyncio.sleep(1.0)  # the outage itself
        device.write(Level.INFO, "a", "back")
        await device.start()
        began = asyncio.get_running_loop().time()
        await c.until(lambda c: c.records == [b"INFO:firmware.a:back"])
        assert asyncio.get_running_loop().time() - began < 0.5
        await c.end()


async def test_mute_device_does_not_hold_up_the_next_attempt() -> None:
    async with FakeDevice() as device:
        device.faults.mute = True
        c = await Controller.start(device)
        await c.until(lambda c: c.said("no connection to 127.0.0.1 yet"))
        device.faults.mute = False
        device.write(Level.INFO, "a", "b")
        await c.until(lambda c: c.records, timeout=5)
        await c.end()


async def test_ping_is_answered_while_nobody_reads_the_output(tmp_path: Path) -> None:
    async with FakeDevice(capacity=1000) as device:
        c = await Controller.start(device, *state_of(tmp_path))
        await c.until(lambda c: c.said("device booted"))
        c.reading.clear()
        async with asyncio.timeout(20):
            while (await c.rpc("status"))["bytes_waiting"] < 1 << 20:
                device.flood(1000, body_length=200, warn_every=100)
                assert await c.rpc("ping") is True
        for _ in range(100):  # once the socket's buffers are full too, the device's ring must declare the rest
            device.flood(1000, body_length=200, warn_every=100)
            await asyncio.sleep(0)
        assert await c.rpc("ping") is True
        status = await c.rpc("status")
        assert status["bytes_waiting"] < 4 << 20
        c.reading.set()
        device.write(Level.INFO, "a", "the end")
        await c.until(lambda c: b"the end" in c.last)
        lost = sum(count for _, count, _ in c.losses)
        assert lost > 0
        assert lost + len(c.records) == device.log.produced
        await c.end()


async def test_manager_that_dies_leaves_its_unread_lines_to_the_next(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        device.flood(50_000)
        reader, writer = os.pipe()
        first = await Controller.start(device, *state_of(tmp_path), stderr=writer)
        os.close(writer)
        data = b""
        while len(data) < 100_000:
            data += await asyncio.to_thread(os.read, reader, 10_000)
        async with asyncio.timeout(10):
            while (await first.rpc("status"))["bytes_waiting"] == 0:
                await asyncio.sleep(0.01)
        os.close(reader)
        async with asyncio.timeout(10):
            assert await first.process.wait() == 1
        second = await Controller.start(device, *state_of(tmp_path))
        await second.until(lambda c: flood_numbers([c.last]) == [49_999])
        await second.end()
        read = flood_numbers(data.split(b"\n")[:-1])
        numbers = flood_numbers(second.lines)
        assert numbers == list(range(numbers[0], 50_000))
        chunk = 4096 // len(b"INFO:firmware.runtime.mgmt:flood 0/50000\n")
        assert read[-1] - chunk <= numbers[0] - 1 <= read[-1], "only the chunk that was being read comes again"


async def test_terminate_by_rpc_ends_it_with_status_0() -> None:
    async with FakeDevice() as device:
        c = await Controller.start(device)
        await c.until(lambda c: c.lines)
        await c.rpc("terminate")
        async with asyncio.timeout(10):
            assert await c.process.wait() == 0
        await c.end()


async def test_another_board_at_the_address_is_read_from_its_beginning(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        device.flood(100)
        first = await Controller.start(device, *state_of(tmp_path))
        await first.until(lambda c: len(c.records) == 100)
        await first.end()
        device.board_id += 1
        second = await Controller.start(device, *state_of(tmp_path))
        await second.until(lambda c: len(c.records) == 100)
        assert second.said("this is another board")
        await second.end()


async def test_second_controller_with_the_same_state_says_so_in_one_line(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        first = await Controller.start(device, *state_of(tmp_path))
        await first.until(lambda c: c.lines)
        second = await Controller.start(device, *state_of(tmp_path))
        async with asyncio.timeout(20):
            assert await second.process.wait() == 1
        await second.end()
        [line] = second.lines
        assert b"is in use by another log controller" in line
        await first.end()


async def test_port_that_is_taken_is_one_line_and_status_1() -> None:
    async with FakeDevice() as device:
        port = free_port()
        first = await Controller.start(device, "--no-state", port=port)
        await first.until(lambda c: c.lines)
        second = await Controller.start(device, "--no-state", port=port)
        async with asyncio.timeout(20):
            assert await second.process.wait() == 1
        await second.end()
        assert second.lines[-1].startswith(b"aqctl_corelog: error: ")
        assert not any(b"Traceback" in line for line in second.lines)
        await first.end()


async def test_simulation_says_hello() -> None:
    async with FakeDevice() as device:
        c = await Controller.start(device, "--simulation")
        await c.until(lambda c: c.lines == [b"INFO:firmware.simulation:hello 127.0.0.1"])
        assert await c.rpc("ping") is True
        assert device.connections == 0
        assert await c.end() == 0
