"""Reads of inputs of boards far away."""

import random

import pytest
from drtio_bench import BOARDS, NO_EVENT, OVERFLOW, READ_UNREACHABLE, READ_WAIT, Boards, channel

# The first of these tests compiles the tree.
pytestmark = pytest.mark.timeout(300)

SENSITIVITY, SAMPLE = 2, 3
GRACE = 2000  # cycles, 1 ms
FAR = 2**63 - 8


@pytest.mark.parametrize("board", range(BOARDS))
def test_edges_at_any_board_are_read_with_level_and_time_in_order(board: int) -> None:
    with Boards() as boards:
        boards.start()
        start = boards.now() + 8 * 2500
        assert boards.write(channel(board, 1), start, 3, SENSITIVITY) == 0
        for n in range(3):
            assert boards.write(channel(board, 0), start + 8 * (10 + 7 * n), 1 - n % 2) == 0
        reads = [boards.read(channel(board, 1), start + 8 * 100) for _ in range(3)]
        assert reads == [(0, 1 - n % 2, start + 8 * (10 + 7 * n)) for n in range(3)]
        hops = (0, 1, 2, 3, 1)[board]
        assert boards.now() < start + 8 * (24 + 20 + 3 * hops * 170), "each came as soon as it could"
        timeout = boards.now() + 8 * 1000
        assert boards.read(channel(board, 1), timeout) == (NO_EVENT,)
        assert timeout < boards.now() < timeout + 8 * (20 + hops * 85)


def test_random_samples_of_all_boards_are_read_as_they_were_taken() -> None:
    rng = random.Random(3)
    levels = [0] * BOARDS
    with Boards() as boards:
        boards.start()
        for _ in range(12):
            time = boards.now() + 8 * 3000
            expected: dict[int, list[tuple[int, ...]]] = {n: [] for n in range(BOARDS)}
            for _ in range(10):
                n = rng.randrange(BOARDS)
                time += 8 * rng.randrange(1, 20)
                if len(expected[n]) < 4 and rng.randrange(3):
                    assert boards.write(channel(n, 1), time, 0, SAMPLE) == 0
                    expected[n].append((0, levels[n], time))
                else:
                    levels[n] ^= 1
                    assert boards.write(channel(n, 0), time, levels[n]) == 0
            for n in rng.sample(range(BOARDS), BOARDS):
                assert [boards.read(channel(n, 1), time) for _ in expected[n]] == expected[n]
                assert boards.read(channel(n, 1), 0) == (NO_EVENT,)
        assert boards.get("port00_read_timeouts") == boards.get("port01_read_timeouts") == 0


def test_overflow_is_reported_once_and_what_was_kept_is_read_behind_it() -> None:
    with Boards() as boards:
        boards.start()
        time = boards.now() + 8 * 2500
        for n in range(6):  # of inputs there is room for four
            assert boards.write(channel(3, 1), time + 8 * 5 * n, 0, SAMPLE) == 0
        boards.run(3000)
        assert boards.read(channel(3, 1), 0) == (OVERFLOW,)
        assert [boards.read(channel(3, 1), 0) for _ in range(5)] == [
            *((0, 0, time + 8 * 5 * n) for n in range(4)), (NO_EVENT,)
        ]


def test_an_output_has_nothing_to_read() -> None:
    with Boards() as boards:
        boards.start()
        assert boards.read(channel(3, 2), FAR) == (READ_UNREACHABLE,)
        assert boards.read(channel(3, 77), FAR) == (READ_UNREACHABLE,)


def test_writes_go_on_while_a_read_waits() -> None:
    with Boards() as boards:
        boards.start()
        boards.begin_read(channel(2, 1), FAR)
        time = boards.now() + 8 * 2500
        assert boards.write(channel(2, 1), time, 1, SENSITIVITY) == 0
        assert boards.write(channel(4, 2), time + 8, 5) == 0
        assert boards.write(channel(2, 0), time + 8, 1) == 0
        assert boards.get("cri_i_status") == READ_WAIT
        assert boards.end_read() == (0, 1, time + 8)
        assert [seen.values[0] for seen in boards.seen()] == [5]


@pytest.mark.parametrize("first", range(BOARDS))
@pytest.mark.parametrize("second", range(BOARDS))
def test_a_newer_read_takes_the_place_of_one_that_waits(first: int, second: int) -> None:
    with Boards() as boards:
        boards.start()
        boards.begin_read(channel(first, 1), FAR)
        boards.run(150 * second)
        time = boards.now() + 8 * 2500
        assert boards.write(channel(second, 1), time, 0, SAMPLE) == 0
        assert boards.read(channel(second, 1), time) == (0, 0, time)
        assert boards.read(channel(second, 1), time) == (NO_EVENT,)
        # The one given up is no obstacle afterwards.
        later = boards.now() + 8 * 2500
        assert boards.write(channel(first, 1), later, 0, SAMPLE) == 0
        status = boards.read(channel(first, 1), later)
        # Unless the other board's read, which was given up, has taken it.
        assert status == (0, 0, later) or (first != second and status == (NO_EVENT,))


@pytest.mark.parametrize("end", [1, 0, 3, 2])
def test_a_read_whose_request_or_answer_is_lost_ends_a_millisecond_after_its_timeout_and_is_counted(end: int) -> None:
    with Boards() as boards:
        boards.start()
        # Bad enough for packets, not for the link to go down.
        boards.do("x", end, 2**32 // 40)
        timeouts = 0
        for _ in range(25):
            timeout = boards.now() + 8 * 500
            answer = boards.read(channel(2, 1), timeout)
            waited = (boards.now() - timeout) // 8
            if answer == (NO_EVENT,):
                assert 0 < waited < 400
            else:
                assert answer == (READ_UNREACHABLE,)
                assert GRACE <= waited < GRACE + 10
                timeouts += 1
        boards.run(1)
        assert boards.get("port00_read_timeouts") == timeouts > 0
        boards.do("x", end, 0)
        boards.run(200)
        assert boards.read(channel(2, 1), 0) == (NO_EVENT,)


def test_reset_of_the_far_core_ends_a_read_with_no_event() -> None:
    with Boards() as boards:
        boards.start()
        boards.begin_read(channel(3, 1), FAR)
        boards.run(1000)
        assert boards.get("cri_i_status") == READ_WAIT
        boards.pulse("core_reset3")
        assert boards.end_read(limit=400) == (NO_EVENT,)


def test_reset_of_the_port_ends_a_read_at_once_and_its_answer_is_nobody_elses() -> None:
    with Boards() as boards:
        boards.start()
        time = boards.now() + 8 * 2500
        assert boards.write(channel(3, 1), time, 0, SAMPLE) == 0
        boards.begin_read(channel(3, 1), time + 8)
        boards.run(1000)
        boards.pulse("port00_reset_re")
        assert boards.end_read(limit=5) == (READ_UNREACHABLE,)
        # The answer comes while another read waits for longer.
        boards.begin_read(channel(1, 1), time + 8 * 3000)
        boards.run(3000)
        assert boards.get("cri_i_status") == READ_WAIT
        assert boards.end_read() == (NO_EVENT,)
        assert boards.get("port00_read_timeouts") == 0


@pytest.mark.parametrize("cycles", [15, 30, 45, 60])
def test_an_answer_on_its_way_is_not_taken_for_that_of_a_newer_read(cycles: int) -> None:
    with Boards() as boards:
        boards.start()
        time = boards.now() + 8 * 2500
        assert boards.write(channel(1, 1), time, 0, SAMPLE) == 0
        boards.begin_read(channel(1, 1), FAR)
        boards.run((time - boards.now()) // 8 + cycles)
        timeout = time + 8 * 2000
        assert boards.read(channel(1, 1), timeout) == (NO_EVENT,), "the event went to the read that was given up"
        assert boards.now() > timeout
