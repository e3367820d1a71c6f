"""A PhaseBuffer whose clocks have the edges that a test wants, and what comes out of it."""

import heapq
import random
from collections.abc import Generator, Iterator
from typing import Any

from migen import passive
from migen.sim.core import Simulator

from corelog_gateware.transceiver.crossing import PhaseBuffer

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
