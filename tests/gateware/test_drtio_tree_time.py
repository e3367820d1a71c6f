"""Time over links: after set_time every board's counter is the core device's, in every cycle."""

import random

import pytest
from drtio_bench import BOARDS, LINKS, Boards, channel

# The first of these tests compiles the tree.
pytestmark = pytest.mark.timeout(300)


def offsets(boards: Boards) -> list[int]:
    """Satellites' counters minus the core device's, mu."""
    counters = [boards.get(f"counter{n}") for n in range(BOARDS)]
    return [counter - counters[0] for counter in counters[1:]]


@pytest.mark.parametrize("aux", [False, True])
@pytest.mark.parametrize("latency", [1, 2, 37, 64, 101])
def test_all_counters_are_equal_in_every_cycle_through_one_two_and_three_links(latency: int, aux: bool) -> None:
    with Boards((latency, latency)) as boards:
        boards.start(aux=aux)
        for _ in range(20):
            assert offsets(boards) == [0] * 4
            boards.run(17)


def test_ways_of_different_length_cost_half_their_difference() -> None:
    with Boards((60, 68)) as boards:
        boards.start()
        # The echo takes as long as over 64 each way; the time comes 4 cycles earlier than that.
        assert offsets(boards) == [8 * 4, 8 * 8, 8 * 12, 8 * 4]


def test_an_echo_takes_both_ways_and_four_constant_cycles_at_each_end() -> None:
    with Boards((10, 50)) as boards:
        boards.start()
        assert {boards.measure(f"port{upper}{place}") for upper, place, _ in LINKS} == {10 + 50 + 8}


def test_an_echo_without_answer_ends_and_says_0() -> None:
    with Boards() as boards:
        boards.start()
        boards.set("uplink1_tx_enable", 0)
        before = boards.cycle()
        assert boards.measure("port00") == 0
        assert 4095 <= boards.cycle() - before < 4110
        boards.set("uplink1_tx_enable", 1)
        boards.until("port00_rx_up", 1)
        assert boards.measure("port00") == 64 + 64 + 8


def test_an_echo_is_measured_right_or_not_at_all_while_the_satellite_sends_answers() -> None:
    rng = random.Random(5)
    measured = []
    with Boards() as boards:
        boards.start()
        for _ in range(150):
            # An answer to a read, or to a question, comes at about the time of the echo.
            boards.begin_read(channel(1, 1), 0)
            boards.run(rng.randrange(4))
            boards.pulse("port00_space_request_re")
            boards.run(rng.randrange(20))
            measured.append(boards.measure("port00"))
    assert set(measured) == {0, 64 + 64 + 8}


def test_the_time_can_be_set_again_while_everything_else_goes_on() -> None:
    rng = random.Random(6)
    with Boards() as boards:
        boards.start()
        for _ in range(30):
            boards.begin_read(channel(2, 1), 0)
            boards.run(rng.randrange(8))
            boards.pulse("port00_space_request_re")
            boards.pulse("port00_set_time_re")
            boards.until("uplink1_time_loaded", 1)
            boards.pulse("uplink1_time_loaded_re")
            assert offsets(boards) == [0] * 4
            boards.run(200)


def test_loading_the_time_drops_what_waited_for_the_time_before() -> None:
    with Boards() as boards:
        boards.start()
        time = boards.now() + 8 * 1500
        assert boards.write(channel(1, 2), time, 1) == 0
        boards.run(200)
        boards.pulse("port00_set_time_re")
        boards.run(300)
        assert boards.write(channel(1, 2), time + 80, 2) == 0
        boards.run(2000)
        assert [seen.values[0] for seen in boards.seen()] == [2]
        assert boards.errors(1) == []
