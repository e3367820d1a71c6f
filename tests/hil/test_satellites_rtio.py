"""Events and inputs of satellites through the session port, and one time for all boards."""

import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from corelog.wire.frames import From
from corelog.wire.session import (
    EXCEPTION_UNDERFLOW,
    EXCEPTION_UNREACHABLE,
    NO_EVENT,
    Done,
    Exceptional,
    Program,
)
from corelog_gateware.simulator.board import Board
from support.conditions import eventually
from support.readers import subscribed
from support.rtio import COARSE, MS, SLACK, counter, marks_of, on, play, simple
from support.trees import all_up, destinations, running

pytestmark = [
    pytest.mark.board, pytest.mark.simulated("it looks at the pads and at wires between them"),
    pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

LOOP_OUT, LOOP_IN, LOOP_COUNTER = 7, 8, 10  # connected on each board
SENSITIVITY, RISING = 2, 1
COUNT_RISING, COUNT_BOTH, SEND, ZERO = 1, 3, 4, 8


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["chain", "star"])
async def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Board]:
    marks = tmp_path_factory.mktemp(request.param) / "marks"
    async with running(Board(satellites=2, chain=request.param == "chain", marks=marks, free_run=True)) as board:
        yield board


@pytest.mark.parametrize("destination", [1, 2])
async def test_a_pulse_of_a_satellite_comes_back_at_its_input_as_on_the_core_device(
        tree: Board, destination: int) -> None:
    for board in (0, destination):
        program = Program()
        program.break_realtime(SLACK)
        program.output(on(board, LOOP_IN), SENSITIVITY, RISING)
        program.delay(MS)
        program.now()
        for level in (1, 0, 1, 0):
            program.output(on(board, LOOP_OUT), 0, level)
            program.delay(10 * COARSE)
        program.input(on(board, LOOP_IN), 5 * MS)
        program.count(on(board, LOOP_IN), 6 * MS)
        program.delay(SLACK)
        program.output(on(board, LOOP_IN), SENSITIVITY, 0)
        done = await play(tree, program)
        assert isinstance(done, Done), done
        _, sent, received, _, count = done.results
        assert received == sent // COARSE * COARSE, "inputs know how long the way to them is"
        assert count == 1, "the second pulse"


async def test_an_edge_counter_of_a_satellite_counts_what_its_input_sees(tree: Board) -> None:
    program = Program()
    program.break_realtime(5 * SLACK)
    program.output(on(2, LOOP_OUT), 0, 0)
    for edges in (COUNT_RISING, COUNT_BOTH):
        program.delay(MS)
        program.output(on(2, LOOP_COUNTER), 0, edges | ZERO)
        for n in range(10):
            program.delay(COARSE)
            program.output(on(2, LOOP_OUT), 0, (n + 1) % 2)
        program.delay(MS)
        program.output(on(2, LOOP_COUNTER), 0, SEND)
    program.now()
    for _ in range(2):
        program.input(on(2, LOOP_COUNTER), 30 * MS)
    done = await play(tree, program)
    assert isinstance(done, Done), done
    _, end, _, rising, sent, both = done.results
    assert (rising, both) == (5, 10)
    assert sent == end // COARSE * COARSE


async def test_an_input_of_a_satellite_without_event_says_so_after_its_time(tree: Board) -> None:
    program = Program()
    program.break_realtime(SLACK)
    program.input(on(2, LOOP_IN), 10 * MS)
    program.counter()
    done = await play(tree, program)
    assert isinstance(done, Done), done
    began, received, _, ended = done.results
    assert received == NO_EVENT
    assert ended - began >= 10 * MS


@pytest.mark.parametrize("destination", [1, 2])
async def test_an_event_too_late_for_a_satellite_is_an_underflow_with_its_channel(
        tree: Board, destination: int) -> None:
    late = await counter(tree)
    program = Program()
    program.at(late)
    program.output(on(destination, 3), 0, 1)
    answer = await play(tree, program)
    assert isinstance(answer, Exceptional)
    assert (answer.kind, answer.channel, answer.timestamp) == (EXCEPTION_UNDERFLOW, on(destination, 3), late)
    assert answer.slack < 0
    assert isinstance(await play(tree, simple(destination, 3)), Done), "the next one goes out"


async def test_a_channel_of_an_unknown_destination_is_unreachable(tree: Board) -> None:
    answer = await play(tree, simple(9, 1))
    assert isinstance(answer, Exceptional)
    assert (answer.kind, answer.channel) == (EXCEPTION_UNREACHABLE, on(9, 1))


async def test_channels_behind_a_cut_link_are_unreachable_until_it_is_restored(tree: Board) -> None:
    async with subscribed(str(tree.address), From.NOW) as reader:
        await tree.control.command("link 2 cut")
        await reader.wait_for_text("[DEST#2] destination is down", origin=0)
        program = Program()
        program.break_realtime(SLACK)
        program.input(on(2, LOOP_IN), MS)
        for answer, channel in ((await play(tree, simple(2, 1)), 1), (await play(tree, program), LOOP_IN)):
            assert isinstance(answer, Exceptional)
            assert (answer.kind, answer.channel) == (EXCEPTION_UNREACHABLE, on(2, channel))
        assert isinstance(await play(tree, simple(1, 1)), Done), "the other satellite"
        await tree.control.command("link 2 restore")
        await reader.wait_for_text("[DEST#2] destination is up", origin=0)
        await all_up(tree)
        assert isinstance(await play(tree, simple(2, 1)), Done)
        reader.check_law()


async def test_a_reset_of_the_core_device_discards_what_satellites_have_still_to_do(tree: Board) -> None:
    program = Program()
    program.reset(SLACK)
    for board in (1, 2):
        program.output(on(board, 6), 0, 1)
    program.delay(1000 * MS)
    program.now()
    for board in (1, 2):
        program.output(on(board, 5), 0, 1)
    done = await play(tree, program)
    assert isinstance(done, Done), done
    due = done.results[1]

    async def high() -> bool:
        return all(marks_of(tree, board)[-1:] and marks_of(tree, board)[-1][1] & 1 << 6 for board in (1, 2))

    await eventually(high, 60.0, "ttl6 of the satellites to be high")
    program = Program()
    program.reset(SLACK)
    assert isinstance(await play(tree, program), Done)
    assert await counter(tree) < due, "the reset came too late to tell"

    async def past() -> bool:
        return await counter(tree) > due + SLACK

    await eventually(past, 120.0, "the time of the discarded events")
    for board in (1, 2):
        ttl = marks_of(tree, board)
        assert not ttl[-1][1] & 1 << 6, "the reset leaves the output high"
        assert not any(value & 1 << 5 for _, value in ttl), "an event from before the reset was executed"


async def test_events_of_one_time_happen_in_one_cycle_on_all_boards(tree: Board) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    before = [len(marks_of(tree, board)) for board in destinations(tree)]
    program = Program()
    program.break_realtime(SLACK)
    rounds = 20
    for _ in range(rounds):
        for level in (1, 0):
            program.delay(source.randrange(MS // 4, MS))
            boards = list(destinations(tree))
            source.shuffle(boards)
            for board in boards:
                program.output(on(board, 4), 0, level)
    assert isinstance(await play(tree, program), Done)

    async def executed() -> bool:
        return all(len(marks_of(tree, board)) >= seen + 2 * rounds for board, seen in enumerate(before))

    await eventually(executed, 60.0, "the events")
    cycles = [[cycle for cycle, _ in marks_of(tree, board)[seen:]] for board, seen in enumerate(before)]
    assert all(len(found) == 2 * rounds for found in cycles)
    assert cycles[1] == cycles[0] and cycles[2] == cycles[0]
