"""`corelog board` as a program: how it starts, what it says, how it ends, what it keeps."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.coredevice.requests import DeviceError
from corelog.lab.addresses import free_address
from corelog_gateware.simulator.board import Board, BoardError
from support.board_program import corelog_board, refusal
from support.conditions import eventually

pytestmark = [pytest.mark.board, pytest.mark.simulated("it is about `corelog board` itself"), pytest.mark.timeout(600)]

ERASED = b"\xff" * 65536


async def first_line(process: asyncio.subprocess.Process, timeout: float = 500.0) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(timeout):
        return (await process.stdout.readline()).decode()


async def identity(address: str | None) -> tuple[int, int]:
    """(board id, boot id)"""
    assert address is not None
    async with AsyncMgmt(address, timeout=20.0) as device:
        found = await device.identify()
        return found.board_id, found.boot_id


async def has(device: AsyncMgmt, key: str) -> bool:
    """Whether the board's configuration has the key."""
    try:
        await device.config_read(key)
    except DeviceError:
        return False
    return True


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_it_prints_one_line_when_up_and_ends_with_status_0_on_a_signal(sign: signal.Signals) -> None:
    address = free_address()
    async with corelog_board("--address", address) as process:
        line = await first_line(process)
        assert line == f"corelog board is now running on {address} (management 1380, session 1381).\n"
        await identity(address)
        process.send_signal(sign)
        async with asyncio.timeout(10.0):
            rest, _ = await process.communicate()
        assert process.returncode == 0
        assert rest == b""


async def test_an_address_in_use_is_refused_in_one_line_that_names_it() -> None:
    async with Board() as board:
        status, lines = await refusal("--address", str(board.address))
    assert status == 1
    assert len(lines) == 1
    assert f"address {board.address} port 1380 is already in use" in lines[0]


async def test_an_address_that_is_not_loopback_is_refused() -> None:
    for address in ("192.0.2.1", "0.0.0.0", "localhost", "::1"):
        status, lines = await refusal("--address", address)
        assert status == 2
        assert "--address" in lines[-1] and address in lines[-1]


async def test_a_file_that_is_no_store_and_a_store_in_use_are_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"not a store")
    status, lines = await refusal("--address", free_address(), "--storage", str(wrong))
    assert (status, len(lines)) == (1, 1)
    assert "11 bytes, not 65536" in lines[0]
    assert wrong.read_bytes() == b"not a store"
    shared = tmp_path / "shared"
    async with Board(storage=shared):
        status, lines = await refusal("--address", free_address(), "--storage", str(shared))
    assert (status, len(lines)) == (1, 1)
    assert "in use by another board" in lines[0]


async def test_firmware_that_cannot_be_loaded_is_refused_in_one_line(tmp_path: Path) -> None:
    for content in (b"", b"\x7fELF", b"\x7fELF" + bytes(200), Path(sys.executable).read_bytes()[:4096]):
        image = tmp_path / "image"
        image.write_bytes(content)
        status, lines = await refusal("--address", free_address(), "--firmware", str(image))
        assert (status, len(lines)) == (1, 1)
        assert str(image) in lines[0]


async def test_what_was_configured_survives_the_plug_being_pulled(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    board = Board(storage=storage, free_run=True)
    await board.start()
    assert storage.stat().st_size == 65536
    async with AsyncMgmt(str(board.address), timeout=20.0) as device:
        await device.config_write("kept", b"through a power cut")
    await board.kill()
    assert storage.read_bytes() != ERASED
    await board.start()
    async with AsyncMgmt(str(board.address), timeout=20.0) as device:
        assert await device.config_read("kept") == b"through a power cut"
    await board.stop()


async def test_without_a_storage_file_nothing_is_kept() -> None:
    board = Board(free_run=True)
    for _ in range(2):
        await board.start()
        async with AsyncMgmt(str(board.address), timeout=20.0) as device:
            assert not await has(device, "kept")
            await device.config_write("kept", b"for now")
            assert await has(device, "kept")
        await board.stop()


async def test_two_boards_run_side_by_side_each_with_its_own_identity_and_store(tmp_path: Path) -> None:
    async with Board(storage=tmp_path / "one") as one, Board(storage=tmp_path / "two") as two:
        assert one.address != two.address
        ids = await asyncio.gather(identity(one.address), identity(two.address))
        assert ids[0][0] != ids[1][0] and ids[0][1] != ids[1][1]
        async with AsyncMgmt(str(one.address), timeout=20.0) as device:
            await device.config_write("who", b"one")
        async with AsyncMgmt(str(two.address), timeout=20.0) as device:
            assert not await has(device, "who")


async def test_the_identity_follows_from_the_address_unless_given() -> None:
    board = Board(free_run=True)
    await board.start()
    derived, boot = await identity(board.address)
    await board.stop()
    await board.start()
    assert (await identity(board.address))[0] == derived
    assert (await identity(board.address))[1] != boot
    await board.stop()
    board.arguments = ("--board-id", "0123456789abcdef")
    await board.start()
    assert (await identity(board.address))[0] == 0x0123456789ABCDEF
    await board.stop()


async def test_a_reboot_by_the_firmware_restarts_the_soc_and_keeps_the_process(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    async with Board(marks=marks, free_run=True) as board:
        process = board.process
        _, before = await identity(board.address)
        async with AsyncMgmt(str(board.address), timeout=20.0) as device:
            await device.reboot()

        async def ready_again() -> bool:
            return [line.split()[0] for line in marks.read_text().splitlines()
                    if line.startswith(("reset", "ready"))] == ["ready", "reset", "ready"]

        await eventually(ready_again, 60.0, "a second boot")
        _, boot = await identity(board.address)
        assert boot != before
        assert board.process is process and process is not None and process.returncode is None
    cause = [line.split()[2] for line in marks.read_text().splitlines() if line.startswith("reset")]
    assert cause == ["1"]


async def test_a_board_with_another_configured_address_is_reached_at_the_same_place(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    board = Board(storage=storage, free_run=True)
    await board.start()
    async with AsyncMgmt(str(board.address), timeout=20.0) as device:
        await device.config_write("ip", b"10.0.2.77/24")
    await board.stop()
    await board.start()
    async with AsyncMgmt(str(board.address), timeout=20.0) as device:
        assert await device.config_read("ip") == b"10.0.2.77/24"
    await board.stop()


async def test_board_time_never_runs_ahead_of_real_time() -> None:
    async with Board() as board:
        async with AsyncMgmt(str(board.address), timeout=20.0) as device:
            started = time.monotonic()
            first = (await device.identify()).uptime
            answered = time.monotonic()

            async def two_seconds_later() -> bool:
                return time.monotonic() - answered > 2.0

            await eventually(two_seconds_later, 10.0, "the passing of time")
            last = (await device.identify()).uptime
            ended = time.monotonic()
    assert 0 < (last - first) * 1e-6 <= ended - started


async def test_the_board_ends_with_the_process_that_started_it() -> None:
    address = free_address()
    # A shell between us and the board, which stays the board's parent.
    command = f'{sys.executable} -m corelog.frontend.board --address {address} --die-with-parent & echo $!; wait'
    shell = await asyncio.create_subprocess_shell(command, stdout=asyncio.subprocess.PIPE)
    assert shell.stdout is not None
    try:
        async with asyncio.timeout(500.0):
            board = int(await shell.stdout.readline())
            assert b"is now running" in await shell.stdout.readline()
    finally:
        shell.kill()
        await shell.wait()

    async def gone() -> bool:
        try:
            with open(f"/proc/{board}/stat") as stat:
                return stat.read().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    await eventually(gone, 10.0, "the end of the board")


async def test_it_runs_so_many_cycles_and_prints_the_speed() -> None:
    async with corelog_board("--address", free_address(), "--cycles", "1000000", "--print-speed",
                             "--free-run") as process:
        async with asyncio.timeout(500.0):
            out, _ = await process.communicate()
    assert process.returncode == 0
    assert "Mcycles/s of CPU time" in out.decode() and "(1000000 cycles" in out.decode()


async def test_a_board_that_cannot_start_is_an_error_for_python_programs(tmp_path: Path) -> None:
    board = Board(uart=tmp_path / "no such folder" / "uart")
    with pytest.raises(BoardError, match="no such folder"):
        await board.start()
    assert board.process is None


@pytest.mark.slow
async def test_the_waveform_file_ends_at_its_limit_and_the_board_runs_on(tmp_path: Path) -> None:
    waveform = tmp_path / "board.vcd"
    async with corelog_board("--address", free_address(), "--vcd", str(waveform), "--vcd-start", "100",
                             "--vcd-cycles", "50", "--cycles", "20000") as process:
        async with asyncio.timeout(500.0):
            _, errors = await process.communicate()
    assert process.returncode == 0
    assert "the waveform file is complete after cycle 149" in errors.decode()
    text = waveform.read_text()
    assert "$timescale 1ns" in text and "$var" in text
    times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    assert (min(times), max(times)) == (100 * 500, 149 * 500 + 250)
    assert os.path.getsize(waveform) < 20_000_000
