"""What the tests of the whole system start: a board, or a board with master, controller manager and controller."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from corelog.lab.program import Program
from corelog.lab.system import System, free_address

ROOT = Path(__file__).parents[2]
BUILD_TIMEOUT = 600.0
EXAMPLES = ROOT / "examples"
BOARD_LINE = 'core_addr = "127.0.0.1"'


def new_board(address: str, directory: Path, *options: str) -> Program:
    return Program("board", ["corelog", "board", "--address", address, "--storage", str(directory / "storage.img"),
                             "--uart", str(directory / "uart.log"), *options],
                   ready="corelog board is now running")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Address of a board: one of its own, running free, or the one that CORELOG_BOARD names."""
    given = os.environ.get("CORELOG_BOARD")
    if given:
        yield given
        return
    address = free_address()
    program = new_board(address, tmp_path_factory.mktemp("board"), "--free-run")
    await program.start(BUILD_TIMEOUT)
    yield address
    assert program.running, f"the board ended: {program.last_line()}"
    assert await program.stop() == 0


def device_db(address: str, board: str) -> str:
    """The examples' device database for programs on another loopback address, and a board at its own."""
    text = (EXAMPLES / "device_db.py").read_text().replace(BOARD_LINE, f'core_addr = "{board}"')
    assert board in text, f"examples/device_db.py has no line {BOARD_LINE}"
    return text.replace("127.0.0.1", address).replace("--bind {bind}", "--no-localhost-bind --bind {bind}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Board at real-time speed, master, controller manager and log controller; the channels have their names."""
    address = free_address()
    directory = tmp_path_factory.mktemp("system")
    board = os.environ.get("CORELOG_BOARD")
    whole = System(directory, device_db(address, board or address), address=address, board_address=board)
    await whole.start(BUILD_TIMEOUT)
    try:
        await whole.name_channels()
        yield whole
    finally:
        await whole.stop()
