"""Events of trees of boards: playing programs, and what became of them at the pads."""

from pathlib import Path

from corelog.coredevice.session import AsyncSession
from corelog.wire.session import Done, Exceptional, Program
from corelog_gateware.simulator.board import Board

COARSE = 8   # machine units in a coarse cycle
MS = 16_000  # machine units in a millisecond
SLACK = 20 * MS


def on(destination: int, channel: int) -> int:
    return destination << 16 | channel


async def play(tree: Board, program: Program) -> Done | Exceptional:
    assert tree.address is not None
    async with AsyncSession(tree.address) as session:
        return await session.run(program)


async def counter(tree: Board) -> int:
    assert tree.address is not None
    async with AsyncSession(tree.address) as session:
        return (await session.hello()).counter


def marks_of(tree: Board, board: int) -> list[tuple[int, int]]:
    """(cycle, value) of the changes of a board's TTL pads."""
    assert tree.marks is not None
    path = tree.marks if board == 0 else Path(f"{tree.marks}.{board}")
    lines = (line.split() for line in path.read_text().splitlines())
    return [(int(cycle), int(value)) for kind, cycle, *rest in lines if kind == "ttl" for value in rest]


def simple(destination: int, channel: int) -> Program:
    program = Program()
    program.break_realtime(SLACK)
    program.output(on(destination, channel), 0, 0)
    return program
