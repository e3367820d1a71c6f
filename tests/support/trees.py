"""Core device with satellites in one process: starting it, waiting until all its boards are served, floods."""

import contextlib
import os
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.wire.frames import Level
from corelog.wire.mgmt import Identity
from corelog_gateware.simulator.board import Board
from support.bench import Bench, SimulatedBench
from support.conditions import eventually

BOOT_TIMEOUT = 120.0
PATIENCE = 900.0  # seconds for what takes long on a busy machine
# Beside other tests each tree has one processor.
THREADS = ("--threads", "1") if os.environ.get("PYTEST_XDIST_WORKER") else ()


def destinations(board: Bench) -> range:
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


async def all_up(board: Bench, wanted: Sequence[int] | None = None) -> None:
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
        links = await board.control.links()
        print(f"the boards ran for {max(link['words'] for link in links) / 1e6:.0f} Mcycles")
    except BaseException:
        await board.kill()
        raise
    await board.stop()


@contextlib.asynccontextmanager
async def seeded(shape: str) -> AsyncIterator[SimulatedBench]:
    """Two satellites in a "chain" or a "star", whose faults have a seed that is printed."""
    seed = random.randrange(2**32)
    print(f"{shape}, seed {seed}")
    board = SimulatedBench(satellites=2, chain=shape == "chain", free_run=True, arguments=["--seed", str(seed)])
    async with running(board):
        yield board


def management(tree: Bench, destination: int) -> AsyncMgmt:
    assert tree.address is not None
    return AsyncMgmt(tree.address, destination=destination, timeout=PATIENCE)


async def flood(tree: Bench, destination: int, count: int, **more: int) -> None:
    """Has a board write many records. The core device has written them on return; a satellite writes on."""
    async with management(tree, destination) as device:
        await device.debug_flood(count, level=Level.INFO, **more)


async def device_time(tree: Bench, destination: int = 0) -> int:
    """Of a board, in us: how long something took there does not depend on the machine."""
    async with management(tree, destination) as device:
        return (await device.identify()).uptime


async def links(tree: Board) -> dict[tuple[int, str], dict[str, Any]]:
    """By number and direction."""
    return {(link["link"], link["direction"]): link for link in await tree.control.links()}
