"""Every order of up to four events over two channels, two coarse cycles, fine times and addresses, as the model."""

import itertools
from collections.abc import Iterable, Iterator

import pytest
from rtio_bench import EIGHT, ONE, THREE, TWO, Config, Event, Expected, core, expect, play, submit

LONGEST = 4


def sequences(kinds: list[tuple[int, int, int]]) -> Iterator[list[Event]]:
    """All sequences of 0 to LONGEST events of these kinds (channel, time, address); data tells the events apart."""
    for length in range(LONGEST + 1):
        for choice in itertools.product(kinds, repeat=length):
            yield [Event(*kind, data) for data, kind in enumerate(choice, start=1)]


def kinds(channels: Iterable[int], fine: int, addresses: int) -> list[tuple[int, int, int]]:
    times = [coarse * 8 + f for coarse in range(2) for f in range(fine)]
    return list(itertools.product(channels, times, range(addresses)))


def check(config: Config, cases: list[list[Event]]) -> int:
    """Play each case from a free core and compare everything it does; returns the number of errors reported."""
    # 13 cycles of margin and, for each event, a search through all lanes; then the way to the report's other end.
    lead = 20 + LONGEST * (config.lanes + 10)
    lines = ["P 256"]
    for case in cases:
        lines += [f"B {lead}", *map(submit, case), "W 24", "T"]
    results = play(core(config), lines)[:-1]
    assert len(results) == len(cases)
    reports = 0
    for case, result in zip(cases, results, strict=True):
        assert result.statuses == [0] * len(case)
        expected = expect(case, config)
        assert result.sorted() == expected, f"events {case}"
        reports += len(expected.reports)
    return reports


@pytest.mark.parametrize(
    "channels", [(0, 1), (2, 3), (0, 2)], ids=["both_replace", "none_replaces", "one_replaces"]
)
def test_all_orders_of_four_events_with_addresses_execute_and_report_as_the_model(channels: tuple[int, int]) -> None:
    cases = list(sequences(kinds(channels, fine=2, addresses=2)))
    assert len(cases) == sum(16**n for n in range(5))
    assert check(EIGHT, cases) > 60_000


@pytest.mark.parametrize("channels", [(0, 1), (2, 3)], ids=["both_replace", "none_replaces"])
def test_all_orders_of_four_events_over_three_fine_times_execute_and_report_as_the_model(
    channels: tuple[int, int],
) -> None:
    assert check(EIGHT, list(sequences(kinds(channels, fine=3, addresses=1)))) > 10_000


@pytest.mark.parametrize("config", [ONE, TWO, THREE], ids=["one", "two", "three"])
def test_all_orders_of_four_events_in_few_lanes_give_exactly_the_sequence_errors_of_the_model(config: Config) -> None:
    cases = list(sequences(kinds((0, 2), fine=2, addresses=1)))
    assert check(config, cases) > 4_000


def test_the_model_itself_on_cases_worked_out_by_hand() -> None:
    config = EIGHT
    a, b = Event(0, 0, 0, 1), Event(0, 0, 0, 2)
    assert expect([a, b], config) == Expected([(0, 0, 2, 0, 0)], [])
    # Fine times 0, 1, 1: the first stays, both others are reported, though they would merge with each other.
    c, d = Event(0, 1, 0, 3), Event(0, 1, 0, 4)
    assert expect([a, c, d], config) == Expected([(0, 0, 1, 0, 0)], [(1, 0, 1), (1, 0, 1)])
    # A replacement after a collision still replaces.
    assert expect([a, c, b], config) == Expected([(0, 0, 2, 0, 0)], [(1, 0, 1)])
    assert expect([a._replace(channel=2), b._replace(channel=2)], config) == Expected([(2, 0, 1, 0, 0)], [(1, 2, 0)])
    # One lane: time must rise.
    assert expect([a, a], ONE) == Expected([(0, 0, 1, 0, 0)], [(3, 0, 0)])
