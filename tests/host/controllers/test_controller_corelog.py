"""The controller in this process, over a real socket and pipe: faults of the link and of the device."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from controller_process import flood_numbers

from corelog.controllers.corelog import CoreLog
from corelog.controllers.output import Output
from corelog.coredevice.follow import Device
from corelog.testing.fakedevice import FakeDevice
from corelog.wire.frames import Cursor, Level


class Running:
    """The controller, and the complete lines it has written."""

    def __init__(self, reader: int, controller: CoreLog) -> None:
        self.controller = controller
        self.lines: list[bytes] = []
        self._rest = b""
        self._reader = reader
        os.set_blocking(reader, False)
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(reader, self._read)

    def _read(self) -> None:
        try:
            *whole, self._rest = (self._rest + os.read(self._reader, 1 << 16)).split(b"\n")
        except BlockingIOError:
            return
        self.lines += whole
        self._news.set()

    async def until(self, text: str, timeout: float = 10.0) -> list[str]:
        """Lines up to the first one that contains the text."""
        async with asyncio.timeout(timeout):
            while True:
                for i, line in enumerate(self.lines):
                    if text.encode() in line:
                        return [x.decode() for x in self.lines[: i + 1]]
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def running(device: FakeDevice, cursors: Sequence[Cursor] = (), silence: float = 3.0) -> AsyncIterator[Running]:
    reader, writer = os.pipe()
    output = Output(writer)
    controller = CoreLog(Device(device.host, device.port, silence=silence), output, cursors=cursors)
    r = Running(reader, controller)
    task = asyncio.create_task(controller.run())
    try:
        yield r
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        asyncio.get_running_loop().remove_reader(reader)
        output.close()
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("cut", [1, 3, 39, 40, 41, 87, 90, 200, 5000, 5001, 60_003])
async def test_link_cut_in_the_middle_of_a_frame_loses_and_repeats_nothing(cut: int) -> None:
    async with FakeDevice() as device:
        device.flood(1000, warn_every=3)
        device.faults.cut_after = cut
        async with running(device) as r:
            await r.until("flood 1000/1000")
            assert flood_numbers(r.lines) == list(range(1000))
            assert device.connections == 2
            assert r.controller.status()["duplicates"] == 0


async def test_device_that_dribbles_single_bytes_is_read() -> None:
    async with FakeDevice() as device:
        device.faults.dribble = 1
        device.flood(50)
        async with running(device) as r:
            await r.until("flood 50/50")
            assert flood_numbers(r.lines) == list(range(50))


async def test_device_that_falls_silent_is_left_and_read_again() -> None:
    async with FakeDevice(heartbeat=60) as device:
        async with running(device, silence=0.3) as r:
            await r.until("device booted")
            device.faults.mute = True
            assert "lost (nothing from the device for" in (await r.until("trying again"))[-1]
            device.faults.mute = False
            device.write(Level.INFO, "a", "b")
            await r.until("firmware.a:b")


async def test_quiet_device_with_heartbeats_is_not_left() -> None:
    async with FakeDevice(heartbeat=0.1) as device:
        async with running(device, silence=0.4) as r:
            await r.until("device booted")
            await asyncio.sleep(1.0)  # longer than the silence that would mean death
            assert device.connections == 1
            assert len(r.lines) == 1


async def test_cursor_ahead_of_the_device_goes_on_with_its_next_record() -> None:
    async with FakeDevice() as device:
        device.flood(10)
        async with running(device, [Cursor(0, device.log.boot_id, 5000, 3)]) as r:
            async with asyncio.timeout(5):
                while not r.controller.status()["connected"]:
                    await asyncio.sleep(0.01)
            device.write(Level.INFO, "a", "next")
            await r.until("firmware.a:next")
            assert r.lines == [b"INFO:firmware.a:next"]


async def test_cursor_of_a_boot_that_is_gone_starts_at_the_oldest_and_says_so() -> None:
    async with FakeDevice() as device:
        device.flood(10)
        async with running(device, [Cursor(0, 1234, 77, 3)]) as r:
            lines = await r.until("flood 10/10")
            assert "the device no longer keeps its boot 00000000000004d2" in lines[0]
            assert "from device seq 77 on" in lines[0]
            assert "device booted" in lines[1]
            assert flood_numbers(r.lines) == list(range(10))


async def test_reboot_that_loses_the_memory_is_said() -> None:
    async with FakeDevice() as device:
        async with running(device) as r:
            device.flood(10)
            await r.until("flood 10/10")
            device.reboot(keep=False)
            device.write(Level.INFO, "a", "b")
            lines = await r.until("firmware.a:b")
            assert any("no longer keeps its boot" in line and "from device seq 10" in line for line in lines)


async def test_satellites_come_on_the_same_stream_each_with_its_own_boot() -> None:
    async with FakeDevice() as device:
        device.write(Level.INFO, "runtime", "core")
        device.write(Level.ERROR, "satman", "sat", origin=4)
        async with running(device) as r:
            await r.until("sat")
            assert b"ERROR:firmware.dest4.satman:sat" in r.lines
            device.drop()
            device.write(Level.INFO, "satman", "again", origin=4)
            await r.until("again")
            assert len([line for line in r.lines if b"device booted" in line]) == 2


@pytest.mark.parametrize("old", ["close", "error"])
async def test_old_device_is_read_by_pull_log_whatever_its_text(old: str) -> None:
    async with FakeDevice() as device:
        device.faults.old = old
        device.add_text(b"st of a line that was overwritten\n"
                        b"[     1.000000s] ERROR(runtime::mgmt): CRC failed:\nexpected 1, got 2\n"
                        b"[     2.000000s]  WARN(kernel): bad \xff\xfe text\n"
                        b"[     3.000000s]  INFO(runtime): the end\n")
        async with running(device) as r:
            await r.until("the end")
            assert [line for line in r.lines if b":firmware.corelog:" not in line] == [
                b"INFO:firmware:[cut] st of a line that was overwritten",
                b"ERROR<2>:firmware.runtime.mgmt:CRC failed:", b"expected 1, got 2",
                b"WARNING:firmware.kernel:[undecodable] bad \\xff\\xfe text",
                b"INFO:firmware.runtime:the end"]
            assert r.controller.status()["protocol"] == "text"
            device.add_text(b"[     4.000000s]  INFO(runtime): more\n")
            await r.until("more")
            device.drop()
            device.add_text(b"[     5.000000s]  INFO(runtime): after the cut\n")
            await r.until("after the cut")


async def test_device_with_new_firmware_is_subscribed_to_at_the_next_connection() -> None:
    async with FakeDevice() as device:
        device.faults.old = "close"
        device.add_text(b"[     4.000000s]  INFO(runtime): old\n")
        async with running(device) as r:
            await r.until("runtime:old")
            device.faults.old = ""
            device.reboot()
            device.write(Level.INFO, "runtime", "new")
            await r.until("runtime:new")
            assert r.controller.status()["protocol"] == "stream"


async def test_device_that_hangs_up_once_while_it_reboots_is_not_taken_for_an_old_one() -> None:
    async with FakeDevice() as device:
        device.flood(10)
        async with running(device) as r:
            await r.until("flood 10/10")
            device.faults.refuse = True
            device.drop()
            await r.until("trying again")
            device.faults.refuse = False
            device.write(Level.INFO, "a", "b")
            await r.until("firmware.a:b")
            assert r.controller.status()["protocol"] == "stream"


async def test_record_is_written_within_milliseconds() -> None:
    async with FakeDevice() as device:
        async with running(device) as r:
            await r.until("device booted")
            delays = []
            for i in range(50):
                began = asyncio.get_running_loop().time()
                device.write(Level.ERROR, "a", f"event {i}.")
                await r.until(f"event {i}.")
                delays.append(asyncio.get_running_loop().time() - began)
            assert sorted(delays)[25] < 0.005, delays


async def test_device_that_reset_without_a_farewell_is_noticed_before_the_silence_is_over() -> None:
    async with FakeDevice() as device:
        async with running(device, silence=60) as r:
            device.flood(5)
            await r.until("flood 5/5")
            device.reset_silently()
            device.write(Level.INFO, "a", "new boot")
            lines = await r.until("firmware.a:new boot", timeout=4)
            assert any("the device has booted again" in line for line in lines)
            assert not any("no longer keeps" in line for line in lines)


async def test_silent_stream_of_a_device_that_answers_otherwise_is_borne_for_a_while() -> None:
    async with FakeDevice(heartbeat=60) as device:
        async with running(device, silence=0.1) as r:
            await r.until("device booted")
            async with asyncio.timeout(5):
                while device.connections < 3:  # asked twice whether it lives
                    await asyncio.sleep(0.01)
            device.write(Level.INFO, "a", "b")
            await r.until("firmware.a:b")
            assert not any(b"lost" in line for line in r.lines)


@pytest.mark.parametrize("met_again", [False, True])
async def test_device_that_said_it_restarts_is_read_again_within_half_a_second_of_its_return(met_again: bool) -> None:
    async with FakeDevice() as device:
        async with running(device) as r:
            await r.until("device booted")
            await asyncio.sleep(1.0)  # a good connection
            device.write(Level.INFO, "runtime::requests", "restarting")
            await r.until("restarting")
            if met_again:  # it lives long enough to be subscribed to once more
                device.drop()
                await r.until("connected to")
            device.faults.mute = True
            device.reset_silently()
            device.write(Level.INFO, "a", "new boot")
            await asyncio.sleep(0.3)  # the boot takes so long
            device.faults.mute = False
            began = asyncio.get_running_loop().time()
            await r.until("firmware.a:new boot")
            assert asyncio.get_running_loop().time() - began < 0.5


async def test_device_that_says_restarting_and_goes_on_is_not_left() -> None:
    async with FakeDevice(heartbeat=0.2) as device:
        async with running(device) as r:
            await r.until("device booted")
            device.write(Level.INFO, "kernel", "restarting")
            async with asyncio.timeout(5):
                while device.connections < 4:
                    await asyncio.sleep(0.01)
            device.write(Level.INFO, "a", "b")
            await r.until("firmware.a:b")
            assert not any(b"lost" in line for line in r.lines)
