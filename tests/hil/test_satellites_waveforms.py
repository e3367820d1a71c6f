"""Events of one time on several boards, seen in the waveforms of all of them."""

from pathlib import Path

import pytest

from corelog.wire.session import Done, Program
from corelog_gateware.simulator.board import Board
from support.conditions import eventually
from support.rtio import COARSE, SLACK, counter, marks_of, on, play, simple
from support.trees import destinations, running
from support.waveforms import rises

pytestmark = [pytest.mark.board, pytest.mark.simulated("it looks at waveforms"), pytest.mark.timeout(900)]

WAVEFORM_START = 6_000_000  # cycle; the tree is up and has its events long before


@pytest.mark.parametrize("chain", [True, False], ids=["chain", "star"])
async def test_the_waveforms_of_all_boards_rise_at_the_same_time(tmp_path: Path, chain: bool) -> None:
    waveform = tmp_path / "tree.vcd"
    recorded = ("--vcd", str(waveform), "--vcd-start", str(WAVEFORM_START), "--vcd-cycles", "2000")
    tree = Board(satellites=2, chain=chain, marks=tmp_path / "marks", free_run=True, arguments=recorded)
    async with running(tree):
        # In which cycle the counter has which value is seen from a first event.
        program = simple(0, 3)
        program.output(on(0, 3), 0, 1)
        first = await play(tree, program)
        assert isinstance(first, Done)

        async def seen() -> bool:
            return bool(marks_of(tree, 0))

        await eventually(seen, 60.0, "the first event")
        [(cycle, _)] = marks_of(tree, 0)
        due = first.cursor // COARSE * COARSE + (WAVEFORM_START + 1000 - cycle) * COARSE
        assert await counter(tree) < due - SLACK, "the waveforms begin too early for this machine"
        program = Program()
        program.at(due)
        for board in destinations(tree):
            program.output(on(board, 2), 0, 1)
        assert isinstance(await play(tree, program), Done)

        async def over() -> bool:
            return await counter(tree) > due + 2000 * COARSE

        await eventually(over, 300.0, "the end of the waveforms")
    files = [waveform, *(tmp_path / f"tree.vcd.{n}" for n in (1, 2))]
    times = [rises(file, "ttl", 2) for file in files]
    print(f"ttl2 rises at {times} (ns since power-on)")
    assert len(times[0]) == 1
    assert times[1] == times[0] and times[2] == times[0]
