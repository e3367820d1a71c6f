"""Flashing: what answers afterwards is the same board, with what was written, and its configuration is kept."""

import pytest

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.wire.mgmt import Identity
from support.bench import Bench

pytestmark = [pytest.mark.board, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(1200)]


async def identity(bench: Bench) -> Identity:
    async with AsyncMgmt(str(bench.address), timeout=30.0) as device:
        return await device.identify()


async def test_flashed_board_is_the_same_board_with_the_firmware_that_was_written(bench: Bench) -> None:
    before = await identity(bench)
    async with AsyncMgmt(str(bench.address), timeout=30.0) as device:
        await device.config_write("kept_by_flash", b"as before")
    image = await bench.flash()
    after = await identity(bench)
    assert after.board_id == before.board_id
    assert after.boot_id != before.boot_id
    assert after.firmware.encode() in image, f"{after.firmware!r} runs, it is not what was written"
    assert after.gateware.partition(";")[2] == before.gateware.partition(";")[2]
    async with AsyncMgmt(str(bench.address), timeout=30.0) as device:
        assert await device.config_read("kept_by_flash") == b"as before"
        await device.config_remove("kept_by_flash")


async def test_uart_and_network_name_the_same_board_and_boot(bench: Bench) -> None:
    if not bench.has_power:
        pytest.skip("the environment has no power supply, so that the boot is not seen on the UART")
    await bench.power_cycle()
    introduced = await bench.introduced()
    if introduced is None:
        pytest.skip("the environment has no console")
    found = await identity(bench)
    assert introduced == (f"{found.board_id:016x}", f"{found.boot_id:016x}")
