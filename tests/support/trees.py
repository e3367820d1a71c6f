"""Core device with satellites in one process: starting it, and waiting until all its boards are served."""

import contextlib
import os
from collections.abc import AsyncIterator, Sequence

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.wire.mgmt import Identity
from corelog_gateware.simulator.board import Board
from support.conditions import eventually

BOOT_TIMEOUT = 120.0
# Beside other tests each tree has one processor.
THREADS = ("--threads", "1") if os.environ.get("PYTEST_XDIST_WORKER") else ()


def destinations(board: Board) -> range:
    """Of the core device and its satellites."""
    return range(board.satellites + 1)


async def identify(address: str | None, destination: int) -> Identity | None:
    """What the board says of itself; None if it does not answer."""
    assert address is not None
    try:
        async with AsyncMgmt(address, destination=destination, timeout=5.0) as device:
            return await device.identify()
    except OSError:
        return None


async def all_up(board: Board, wanted: Sequence[int] | None = None) -> None:
    """Returns when all destinations, or those that are wanted, answer."""
    for destination in destinations(board) if wanted is None else wanted:
        async def up(destination: int = destination) -> bool:
            return await identify(board.address, destination) is not None
        await eventually(up, BOOT_TIMEOUT, f"an answer of destination {destination}")


@contextlib.asynccontextmanager
async def running(board: Board) -> AsyncIterator[Board]:
    """The board from the moment its whole tree is up; at the end it must still run."""
    board.arguments += THREADS
    await board.start(BOOT_TIMEOUT)
    try:
        await all_up(board)
        yield board
    except BaseException:
        await board.kill()
        raise
    await board.stop()
