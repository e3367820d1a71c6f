"""From the recovered clock to `sys`: nothing lost, in the same time after every start, whatever the phase."""

import heapq
import itertools
import random
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from migen import passive
from migen.sim.core import Simulator

from corelog_gateware.transceiver.crossing import DEPTH, PhaseBuffer

Steps = Generator[Any, Any, Any]
PERIOD = 1000
WIDTH = 16
WINDOW = 48


class Edges:
    """Migen's time with a clock whose edges come when they are said to: ``rx``, beside an even `sys`."""

    def __init__(self, edges: Iterator[int]) -> None:
        self.edges = edges
        self.events = [(PERIOD, "sys"), (next(edges), "rx")]
        heapq.heapify(self.events)
        self.now = 0

    def tick(self) -> tuple[int, set[str], set[str]]:
        before, rising = self.now, set()
        self.now = self.events[0][0]
        while self.events[0][0] == self.now:
            _, name = heapq.heappop(self.events)
            rising.add(name)
            heapq.heappush(self.events, (self.now + PERIOD if name == "sys" else next(self.edges), name))
        return self.now - before, rising, set()


def steady(phase: int, period: int = PERIOD) -> Iterator[int]:
    at = phase
    while True:
        at += period
        yield at


def jittery(phase: int, jitter: int, rng: random.Random) -> Iterator[int]:
    for n, at in enumerate(steady(phase)):
        yield at if n < 2 else at + rng.randint(-jitter, jitter)


class Bench:
    """A buffer fed with numbers; ``delays`` are the times from a word's edge of rx to the edge of `sys` after which it
    is on ``dout``, of all words that came out while it was up."""

    def __init__(self, edges: Iterator[int]) -> None:
        self.dut = PhaseBuffer(WIDTH, WINDOW)
        self.time = Edges(edges)
        self.written: dict[int, int] = {}
        self.runs: list[list[int]] = []
        self.slips = 0
        self.ambiguous: list[int] = []

    @passive
    def feed(self) -> Steps:
        n = 0
        while True:
            n = (n + 1) % 2**WIDTH
            yield self.dut.din.eq(n)
            yield
            # What was set before an edge is written with the one after it.
            self.written[n] = self.time.now

    @passive
    def watch(self) -> Steps:
        dut, last, was_up = self.dut, None, 0
        while True:
            self.slips += yield dut.slipped
            up = yield dut.up
            if up:
                n = yield dut.dout
                if was_up:
                    assert n == (last + 1) % 2**WIDTH, f"{n} after {last}"
                else:
                    self.runs.append([])
                self.runs[-1].append(self.time.now - self.written[n])
                last = n
            was_up = up
            yield

    def run(self, steps: Steps) -> None:
        simulator = Simulator(
            self.dut, {"sys": [steps, self.watch()], "rx": [self.feed()]}, clocks={"sys": PERIOD, "rx": PERIOD}
        )
        simulator.time = self.time
        simulator.run()

    def start_and_stop(self, times: int, rng: random.Random) -> Steps:
        dut = self.dut
        for _ in range(times):
            yield dut.enable.eq(1)
            yield
            for _ in range(20 * WINDOW):
                if (yield dut.up):
                    break
                yield
            else:
                raise AssertionError("it does not come up")
            for _ in range(rng.randrange(20, 60)):
                yield
            self.ambiguous.append((yield dut.ambiguous))
            yield dut.enable.eq(0)
            yield
            yield
            assert not (yield dut.up)
            for _ in range(rng.randrange(1, 30)):
                yield


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
