"""Flash images through the network, on a simulated board with a flash chip: written while everything goes on."""

import asyncio
import random
import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.coredevice.requests import DeviceError
from corelog.lab.addresses import free_address
from corelog.lab.program import Program
from support.conditions import eventually
from support.flash_chip import flash_board

pytestmark = [
    pytest.mark.board,
    pytest.mark.simulated("the board gets a flash chip"),
    pytest.mark.asyncio(loop_scope="module"),
    # The first test builds the board.
    pytest.mark.timeout(900),
]

KASLI, KC705 = 0x1363_1093, 0x3365_1093
WORDS = [*[0xFFFFFFFF] * 8, 0xAA995566, 0x20000000, 0x30022001, 0, 0x30018001]
RANDOM = random.Random(1)
BOOTLOADER = RANDOM.randbytes(3000)
BOOTLOADER += struct.pack("<I", zlib.crc32(BOOTLOADER))


def gateware(idcode: int = KASLI) -> bytes:
    return b"".join(struct.pack(">I", word) for word in [*WORDS, idcode]) + RANDOM.randbytes(5000)


def firmware(title: bytes = b"ARTIQ runtime", length: int = 66_000) -> bytes:
    payload = RANDOM.randbytes(4000) + title + RANDOM.randbytes(length)
    return struct.pack("<II", len(payload), zlib.crc32(payload)) + payload


@dataclass
class FlashBoard:
    address: str
    parts: tuple[bytes, bytes, bytes] | None = None  # what its flash memory holds, if a test has written it

    async def holding(self) -> tuple[bytes, bytes, bytes]:
        """Gateware, bootloader and firmware that the flash memory holds."""
        if self.parts is None:
            self.parts = gateware(), BOOTLOADER, firmware()
            await self.flash(*self.parts)
        return self.parts

    async def log(self) -> str:
        """Of this boot and of the one before."""
        async with AsyncMgmt(self.address, timeout=60.0) as device:
            return await device.get_log()

    async def flash(self, *parts: bytes) -> str:
        """Writes an image; gives the log when the board is back."""
        async with AsyncMgmt(self.address, timeout=300.0) as device:
            before = (await device.identify()).boot_id
            await device.flash(parts)
        await self.other_boot(before)
        return await self.log()

    async def other_boot(self, before: int) -> None:
        async def is_back() -> bool:
            try:
                async with AsyncMgmt(self.address, timeout=10.0) as device:
                    return (await device.identify()).boot_id != before
            except OSError:
                return False

        await eventually(is_back, 60.0, "the board is back")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[FlashBoard]:
    found = FlashBoard(free_address())
    command = [*await asyncio.to_thread(flash_board), "--address", found.address]
    program = Program("board", [*command, "--free-run"], ready="corelog board is now running")
    await program.start(120.0)
    try:
        yield found
    finally:
        await program.stop()


async def test_image_is_written_while_others_are_served_and_nobody_can_restart_the_board(board: FlashBoard) -> None:
    parts = gateware(), BOOTLOADER, firmware()
    async with AsyncMgmt(board.address, timeout=60.0) as other, AsyncMgmt(board.address, timeout=300.0) as device:
        before = (await other.identify()).boot_id
        job = asyncio.create_task(device.flash(parts))

        async def is_begun() -> bool:
            return "flashing gateware binary" in await other.get_log()

        await eventually(is_begun, 120.0, "the board writes")
        with pytest.raises(DeviceError):
            await other.reboot()
        with pytest.raises(DeviceError):
            await other.flash(parts)
        await job
    await board.other_boot(before)
    said = await board.log()
    for text in ("flashing bootloader binary", "flashing firmware binary", "flash memory holds the image",
                 "the flash memory is being written", "another one is under way"):  # fmt: skip
        assert text in said
    board.parts = parts
    assert "flash memory held the image already" in await board.flash(*parts)


async def test_new_firmware_alone_leaves_gateware_and_bootloader_untouched(board: FlashBoard) -> None:
    old = await board.holding()
    board.parts = (*old[:2], firmware())
    said = await board.flash(*board.parts)
    assert "flashing firmware binary, 131072 bytes" in said
    assert "gateware binary" not in said and "bootloader binary" not in said


async def test_what_is_not_for_the_board_is_refused(board: FlashBoard) -> None:
    good = await board.holding()
    short = firmware(length=1000)
    async with AsyncMgmt(board.address, timeout=120.0) as device:
        before = (await device.identify()).boot_id
        for parts, reason in [
            ((gateware(KC705), BOOTLOADER, short), "its gateware is for another FPGA"),
            ((*good[:2], firmware(b"ARTIQ satellite manager", 1000)),
             "its firmware is a satman.fbi, for other gateware"),
            ((*good[:2], firmware(b"", 1000)), "its firmware is neither"),
            ((*good[:2], firmware(b"ARTIQ runtime made for registers 12345678", 1000)),
             "gateware with registers 12345678"),
            ((good[0], BOOTLOADER[1:], short), "the checksum of its bootloader is wrong"),
            ((good[1], good[0], short), "its first part is no bitstream"),
        ]:
            with pytest.raises(DeviceError):
                await device.flash(parts)
            assert reason in await device.get_log()
        assert (await device.identify()).boot_id == before
    assert "flash memory held the image already" in await board.flash(*good)
