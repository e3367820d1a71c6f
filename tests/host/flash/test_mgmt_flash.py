"""`corelog mgmt flash` as a process: checks, progress, the restart."""

import struct
import zlib
from pathlib import Path

import pytest

from corelog.testing.fakedevice import FakeDevice
from support.images import BOOT_BIN, PAYLOAD, SATMAN, bitstream, bootloader, firmware, write_build
from support.mgmt_process import mgmt


async def test_bitstream_is_shown_all_three_are_sent_and_the_restart_is_seen(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        boot = device.log
        status, out, err = await mgmt(device, "flash", str(write_build(tmp_path)))
        assert status == 0
        assert out.decode().splitlines() == [
            "Design: top;UserID=0", "Part name: 7a100tfgg484", "Date: 2026/07/28", "Time: 12:34:56",
            f"Bitstream payload length: {len(PAYLOAD)} bytes", "gateware: fake;gateware", "firmware: fake;firmware"]
        assert "sent 100 % of" in err
        assert device.log is not boot
        body = b"".join(struct.pack("<I", len(part)) + part for part in (PAYLOAD, bootloader(), firmware()))
        assert device.flashed == [body + struct.pack("<I", zlib.crc32(body))]


async def test_satellite_is_flashed_by_its_destination(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        device.add_satellite(3)
        boot, other = device.boots[3], device.log
        build = write_build(tmp_path, firmware=SATMAN)
        (build / "runtime.fbi").rename(build / "satman.fbi")
        assert (await mgmt(device, "-s", "3", "flash", str(build)))[0] == 0
        assert device.boots[3] is not boot
        assert (device.log, len(device.flashed)) == (other, 1)


async def test_firmware_for_the_other_role_needs_a_word(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        device.add_satellite(3)
        build = write_build(tmp_path)
        status, _, err = await mgmt(device, "-s", "3", "flash", str(build))
        assert (status, device.flashed) == (1, [])
        assert err == ("corelog mgmt: error: destination 3 is a satellite, and the firmware is a runtime.fbi: "
                       "--change-role if that is meant\n")
        (build / "satman.fbi").write_bytes(SATMAN)
        (build / "runtime.fbi").unlink()
        status, _, err = await mgmt(device, "flash", str(build))
        assert (status, device.flashed, "this is the core device" in err) == (1, [], True)
        assert (await mgmt(device, "flash", "--change-role", str(build)))[0] == 0
        assert len(device.flashed) == 1


async def test_image_of_megabytes_is_sent_with_progress(tmp_path: Path) -> None:
    async with FakeDevice() as device:
        build = write_build(tmp_path, gateware=bitstream(PAYLOAD + bytes(3 << 20)))
        status, _, err = await mgmt(device, "flash", "--no-wait", str(build))
        assert status == 0
        assert [line.split()[1] for line in err.splitlines() if line.startswith("sent")] == [
            str(percent) for percent in range(0, 101, 10)]


async def test_boot_bin_goes_without_a_length(tmp_path: Path) -> None:
    (tmp_path / "boot.bin").write_bytes(BOOT_BIN)
    async with FakeDevice() as device:
        assert (await mgmt(device, "flash", str(tmp_path)))[0] == 0
        assert device.flashed == [BOOT_BIN + struct.pack("<I", zlib.crc32(BOOT_BIN))]


@pytest.mark.parametrize(("other", "options", "text"), [
    ({"firmware": SATMAN}, [], "holds the firmware of a satman.fbi"),
    ({"bootloader": firmware()}, [], "is a firmware image (.fbi), not a bootloader"),
    ({"firmware": firmware()[:-1]}, [], "runtime.fbi is not a firmware image"),
    ({}, ["-t", "kc705"], "is for a 7a100tfgg484, but a kc705 has a 7k325t"),
    ({"gateware": bitstream(part=b"7z030")}, [], "is for a 7z030"),
    ({"gateware": bitstream(design=b"top;UserID=0X12345678"),
      "firmware": firmware(b"ARTIQ runtime, made for registers 0badc0de")}, [], "made for registers 0badc0de, the")])
async def test_wrong_files_are_one_line_and_nothing_is_sent(
        tmp_path: Path, other: dict[str, bytes], options: list[str], text: str) -> None:
    async with FakeDevice() as device:
        status, _, err = await mgmt(device, "flash", *options, str(write_build(tmp_path, **other)))
        assert (status, device.flashed, err.count("\n")) == (1, [], 1)
        assert text in err


class Stuck(FakeDevice):
    def reboot(self, panic: str = "", keep: bool = True) -> None:
        """It says that it restarts, and does not."""


async def test_device_that_does_not_restart_is_an_error(tmp_path: Path) -> None:
    async with Stuck() as device:
        status, _, err = await mgmt(device, "flash", "--wait", "0.2", str(write_build(tmp_path)))
        assert (status, len(device.flashed)) == (1, 1)
        assert "has not restarted after 0.2 s" in err.splitlines()[-1]


@pytest.mark.parametrize("old", ["close", "error"])
async def test_device_of_the_old_protocol_is_flashed_and_not_awaited(tmp_path: Path, old: str) -> None:
    async with FakeDevice() as device:
        device.faults.old = old
        status, _, err = await mgmt(device, "flash", str(write_build(tmp_path)))
        assert (status, len(device.flashed)) == (0, 1)
        assert "does not know Identify" in err
