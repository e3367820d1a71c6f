"""Output events through a tree of boards: same cycle everywhere, room at the destination, refusals and reports."""

import random

import pytest
from drtio_bench import (
    BOARDS,
    DEPTH,
    IGNORED,
    READ_UNREACHABLE,
    UNDERFLOW,
    UNREACHABLE,
    Boards,
    channel,
    port_to,
)

# The first of these tests compiles the tree.
pytestmark = pytest.mark.timeout(300)

MARGIN = 8 * 500
SATELLITES = range(1, BOARDS)
FAILURES = ("write_underflow", "write_overflow", "write_unreachable")


def failures(boards: Boards) -> dict[str, int]:
    found = {f"uplink{n}_{name}": boards.get(f"uplink{n}_{name}") for n in SATELLITES for name in FAILURES}
    return {name: value for name, value in found.items() if value}


def test_events_of_one_time_on_all_boards_are_executed_in_the_same_cycle() -> None:
    with Boards() as boards:
        boards.start()
        time = boards.now() + 8 * 2000 + 5
        for n in range(BOARDS):
            assert boards.write(channel(n, 2), time, 0xC0FFEE00 + n, 0x40 + n) == 0
            assert boards.write(channel(n, 0), time, 1) == 0
        expected = boards.strobe(time)
        boards.run(expected - boards.cycle())
        assert [boards.get(f"pad{n}") for n in range(BOARDS)] == [0] * BOARDS
        boards.run(1)
        assert [boards.get(f"pad{n}") for n in range(BOARDS)] == [1] * BOARDS
        assert boards.seen() == [
            (expected, f"event{n}", (0xC0FFEE00 + n, 0x40 + n, 5)) for n in range(BOARDS)
        ]
        assert failures(boards) == {}


@pytest.mark.parametrize("seed", range(3))
def test_random_events_as_fast_as_they_are_taken_are_all_executed_at_their_time_and_none_else(seed: int) -> None:
    rng = random.Random(seed)
    expected = []
    with Boards() as boards:
        boards.start(aux=seed == 2)
        # Times rise, so that one lane takes them; many wait for room.
        time = boards.now() + 8 * 3000
        for step in range(400):
            time += rng.randrange(8, 8 * 300)
            board = rng.randrange(BOARDS)
            data, address = rng.getrandbits(rng.choice((4, 16, 17, 32))), rng.getrandbits(8)
            status = boards.write(channel(board, 2), time, data, address)
            assert status in (0, UNDERFLOW)
            if status == 0:
                expected.append((boards.strobe(time), f"event{board}", (data, address, time & 7)))
            # Whatever else goes over the links meanwhile.
            if step % 7 == 0:
                boards.set("port00_space_destination", rng.randrange(4))
                boards.pulse("port00_space_request_re")
            if step % 5 == 0:
                boards.begin_read(channel(rng.randrange(BOARDS), 1), 0)
            if step % 11 == 0:
                boards.pulse(f"port{rng.randrange(3)}0_echo_re")
        boards.run(20_000)
        assert len(expected) > 350
        assert boards.seen() == sorted(expected)
        assert failures(boards) == {}
        assert [boards.errors(n) for n in range(BOARDS)] == [[]] * BOARDS
        for port in ("port00", "port01"):
            assert boards.get(f"{port}_space_timeouts") == 0
            assert boards.get(f"{port}_corrupt_packets") == boards.get(f"{port}_unknown_packets") == 0
            assert boards.get(f"{port}_missed_writes") == 0


def test_bursts_to_the_farthest_board_overrun_nobody() -> None:
    with Boards() as boards:
        boards.start()
        for _ in range(6):
            time = boards.now() + 8 * 2500
            for n in range(DEPTH):
                assert boards.write(channel(3, 2), time + 8 * n, n) == 0
            boards.run(2600)
            assert [seen.values[0] for seen in boards.seen()] == list(range(DEPTH))
        assert failures(boards) == {}
        assert boards.get("port10_missed_writes") == boards.get("port20_missed_writes") == 0


@pytest.mark.parametrize("board", SATELLITES)
def test_a_full_lane_far_away_stalls_the_core_device_until_there_is_room_and_loses_nothing(board: int) -> None:
    with Boards() as boards:
        boards.start()
        port = port_to(board)
        assert boards.space(port, board) == DEPTH
        first = boards.now() + 8 * 6000
        for n in range(DEPTH):
            assert boards.write(channel(board, 2), first + 8 * 200 * n, n) == 0
        assert boards.now() < first - MARGIN
        assert boards.space(port, board) == 0
        last = first + 8 * 200 * DEPTH
        assert boards.write(channel(board, 2), last, DEPTH) == 0
        assert first < boards.now() < first + 8 * 1200, "it waited for the first event, and not much longer"
        # Other boards have room, the one in question again some.
        assert boards.write(channel(0, 2), last, 100) == 0
        boards.run(200 * DEPTH + 2000)
        assert sorted(seen.values[0] for seen in boards.seen()) == [*range(DEPTH + 1), 100]
        assert failures(boards) == {}


def test_an_event_that_waits_for_room_until_it_is_too_late_is_an_underflow() -> None:
    with Boards() as boards:
        boards.start()
        first = boards.now() + 8 * 4000
        for n in range(DEPTH):
            assert boards.write(channel(2, 2), first + 8 * 1000 + n * 8, n) == 0
        # It goes into the same lane, being later, but its time comes before there is room, for it needs the margin.
        late = first + 8 * 1000 + 8 * (DEPTH + 10)
        assert boards.write(channel(2, 2), late, 99) == UNDERFLOW
        assert late - MARGIN <= boards.now() <= late - MARGIN + 8 * 5
        boards.run(2000)
        assert [seen.values[0] for seen in boards.seen()] == list(range(DEPTH))


def test_an_event_within_the_margin_is_an_underflow_and_not_sent_and_one_beyond_arrives() -> None:
    with Boards() as boards:
        boards.start(MARGIN)
        assert boards.write(channel(1, 2), boards.now() + 8 * 2000, 0) == 0  # now there is room known of
        boards.seen()
        results = {}
        for slack in range(MARGIN - 80, MARGIN + 96, 8):
            boards.run(50)
            time = boards.now() + slack
            results[time] = slack, boards.write(channel(1, 2), time, slack)
        boards.run(3000)
        executed = {seen.values[0] for seen in boards.seen()}
        sent = [slack for slack, status in results.values() if status == 0]
        assert [status for _, status in results.values()].count(UNDERFLOW) + len(sent) == len(results)
        assert sorted(executed - {0}) == sorted(sent)
        # A few cycles pass until it is decided.
        assert all(slack > MARGIN for slack in sent)
        assert len(sent) >= 6
        assert min(sent) <= MARGIN + 8 * 6
        assert failures(boards) == {}


@pytest.mark.parametrize("board", SATELLITES)
def test_an_event_that_is_too_late_at_its_destination_is_recorded_there_with_its_slack(board: int) -> None:
    with Boards() as boards:
        boards.start(margin=0)
        assert boards.write(channel(board, 2), boards.now() + 8 * 2000, 0) == 0
        time = boards.now() + 8 * 60
        assert boards.write(channel(board, 2), time, 1) == 0
        assert boards.write(channel(board, 0), time, 1) == 0
        boards.run(600)
        assert failures(boards) == {f"uplink{board}_write_underflow": 1}
        assert boards.get(f"uplink{board}_write_channel") == channel(board, 2)
        assert boards.get(f"uplink{board}_write_timestamp") == time
        slack = boards.get(f"uplink{board}_write_slack") - 2**64
        assert -8 * 300 < slack < 0
        boards.pulse(f"uplink{board}_write_underflow_re")
        assert failures(boards) == {}
        later = boards.now() + 8 * 50
        assert boards.write(channel(board, 0), later, 1) == 0
        boards.run(600)
        assert boards.get(f"uplink{board}_write_channel") == channel(board, 0)
        assert boards.get(f"uplink{board}_write_timestamp") == later


def test_a_collision_is_reported_by_the_board_where_it_happens_and_only_there() -> None:
    with Boards() as boards:
        boards.start()
        time = boards.now() + 8 * 2000
        for data in (1, 2):
            assert boards.write(channel(2, 2), time, data) == 0
        for n in range(9):  # of lanes there are eight
            assert boards.write(channel(1, 2), time - 8 * n, n) == 0
        boards.run(3000)
        assert [seen.values[0] for seen in boards.seen() if seen.name == "event2"] == [1]
        assert boards.errors(2) == [(1, 2, time)]
        assert boards.errors(1) == [(3, 2, time - 64)]
        assert boards.errors(0) == boards.errors(3) == boards.errors(4) == []


def test_destinations_without_way_are_unreachable_wherever_the_way_ends() -> None:
    with Boards() as boards:
        boards.start()
        time = boards.now() + 8 * 10**6
        boards.hop(0, 9, 3)  # a port that is not there
        boards.hop(0, 10, 1)  # the next board has no hop
        boards.hop(1, 11, 2)  # the next board has no such port
        boards.hop(0, 11, 1)
        boards.hop(2, 12, 2)
        for board in (0, 1):
            boards.hop(board, 12, 1)
        for destination in (9, 10, 11, 12, 200, 255):
            assert boards.write(channel(destination, 2), time, 1) == UNREACHABLE, destination
            assert boards.read(channel(destination, 1), time) == (READ_UNREACHABLE,), destination
        assert boards.space("port00", 12) == boards.space("port00", 200) == 0xFFFF
        assert boards.write(channel(0, 2), boards.now() + 8 * 1000, 1) == 0, "what is there still works"
        assert boards.write(channel(3, 2), boards.now() + 8 * 1000, 1) == 0
        boards.run(1200)
        assert len(boards.seen()) == 2


def test_a_channel_that_is_not_there_is_recorded_by_the_satellite() -> None:
    with Boards() as boards:
        boards.start()
        time = boards.now() + 8 * 2000
        assert boards.write(channel(2, 3), time, 1) == 0
        assert boards.write(channel(0, 3), time, 1) == UNREACHABLE
        boards.run(400)
        assert failures(boards) == {"uplink2_write_unreachable": 1}
        assert boards.get("uplink2_write_channel") == channel(2, 3)
        assert boards.get("uplink2_write_timestamp") == time
        assert boards.get("uplink2_write_slack") > 0


def test_a_strobe_while_an_event_waits_is_dropped_and_counted() -> None:
    with Boards() as boards:
        boards.start()
        time = boards.now() + 8 * 2000
        boards.begin_write(channel(1, 2), time, 1)
        boards.run(3)
        boards.begin_write(channel(1, 2), time + 8, 2)
        assert boards.end_write() == IGNORED
        assert boards.get("port00_missed_writes") == 1
        boards.run(2500)
        assert [seen.values[0] for seen in boards.seen()] == [1]
