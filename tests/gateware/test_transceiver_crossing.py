"""From the recovered clock to `sys`: nothing lost, in the same time after every start, whatever the phase."""

import itertools
import random
from collections.abc import Callable, Iterator

import pytest
from crossing_bench import PERIOD, WINDOW, Bench, Steps

from corelog_gateware.transceiver.crossing import DEPTH


def steady(phase: int, period: int = PERIOD) -> Iterator[int]:
    at = phase
    while True:
        at += period
        yield at


def jittery(phase: int, jitter: int, rng: random.Random) -> Iterator[int]:
    for n, at in enumerate(steady(phase)):
        yield at if n < 2 else at + rng.randint(-jitter, jitter)


def seeded() -> random.Random:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


def delays_of(edges: Callable[[], Iterator[int]], rng: random.Random, times: int = 3) -> set[int]:
    """In cycles and rounded down, after every start, and for two boots with the counters elsewhere."""
    found: set[int] = set()
    for _ in range(2):
        bench = Bench(edges())
        bench.run(bench.start_and_stop(times, rng))
        assert len(bench.runs) == times and not bench.slips
        found |= {delay // PERIOD for run in bench.runs for delay in run}
    return found


def test_the_cycles_through_it_follow_from_the_phase_alone() -> None:
    rng = seeded()
    latencies = []
    for phase in range(25, PERIOD, 120):
        found = delays_of(lambda phase=phase: steady(phase + PERIOD * rng.randrange(DEPTH)), rng)
        assert len(found) == 1, f"phase {phase}: {found}"
        latencies.append(found.pop() * PERIOD + (PERIOD - phase))
    # The whole way takes as long as the phase says, with one step of a cycle somewhere.
    steps = [b - a for a, b in itertools.pairwise(latencies)]
    assert sum(step != -120 for step in steps) <= 1
    assert max(latencies) - min(latencies) < 2 * PERIOD


def test_jitter_at_an_edge_shows_as_ambiguous_and_changes_nothing_while_it_is_up() -> None:
    rng = seeded()
    # The edge of rx comes before or after that of sys, as it happens.
    bench = Bench(jittery(PERIOD, 60, rng))
    bench.run(bench.start_and_stop(8, rng))
    assert bench.ambiguous == [1] * 8
    assert not bench.slips
    # All starts agree on the earlier of the two places.
    means = {round(sum(run) / len(run) / PERIOD) for run in bench.runs}
    assert len(means) == 1


def test_jitter_away_from_an_edge_is_not_seen() -> None:
    rng = seeded()
    bench = Bench(jittery(PERIOD // 2, 300, rng))
    bench.run(bench.start_and_stop(3, rng))
    assert bench.ambiguous == [0] * 3
    assert len({sum(run) // len(run) // PERIOD for run in bench.runs}) == 1


@pytest.mark.parametrize("period", [1003, 997])
def test_clocks_that_go_apart_slip_and_no_word_is_lost_or_doubled_while_it_is_up(period: int) -> None:
    bench = Bench(steady(0, period))

    def steps() -> Steps:
        yield bench.dut.enable.eq(1)
        for _ in range(8 * PERIOD):
            yield

    bench.run(steps())
    # It slips after two or three cycles of drift, one of which takes 333.
    assert 5 <= bench.slips <= 14
    assert len(bench.runs) >= bench.slips - 1
    for run in bench.runs[:-1]:
        assert max(run) - min(run) <= 4 * PERIOD


def test_slow_wander_within_the_ring_is_followed() -> None:
    def edges() -> Iterator[int]:
        wander = 0
        for n, at in enumerate(steady(PERIOD // 2)):
            if n > 4 * WINDOW and n % 10 == 0 and wander < PERIOD:
                wander += 5
            yield at + wander

    bench = Bench(edges())

    def steps() -> Steps:
        yield bench.dut.enable.eq(1)
        for _ in range(10 * PERIOD // 4):
            yield
        assert (yield bench.dut.up)

    bench.run(steps())
    assert bench.slips == 0 and len(bench.runs) == 1
    assert max(bench.runs[0]) - min(bench.runs[0]) >= PERIOD - 10
