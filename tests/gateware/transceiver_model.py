"""A channel of a transceiver with the line behind it, in Migen's simulation: a stream of bits and a recovered clock."""

import heapq
import random
from collections.abc import Generator
from typing import Any

from migen import ClockDomain, passive
from migen.sim.core import Simulator

from corelog_gateware.transceiver.phy import Channel

Steps = Generator[Any, Any, Any]
PERIOD = 1000
UI = PERIOD // 20
START = 20  # cycles that a receiver takes to start


class Line:
    """Bits by the time at which they leave the transmitter. Noise while nothing is sent."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.words: dict[int, int] = {}
        self.flips = 0  # bits to be flipped among the next ones

    def send(self, cycle: int, word: int | None) -> None:
        self.words[cycle] = self.rng.randrange(2**20) if word is None else word

    def receive(self, bit: int) -> int:
        """20 bits from ``bit`` on."""
        cycle, place = divmod(bit, 20)
        for n in (cycle, cycle + 1):
            if n not in self.words:
                self.send(n, None)
        value = (self.words[cycle] | self.words[cycle + 1] << 20) >> place & 0xFFFFF
        if self.flips:
            self.flips -= 1
            value ^= 1 << self.rng.randrange(20)
        return value


class ModelChannel(Channel):
    """Sends to ``line``; receives from it what was sent ``delay`` before, at edges of ``rx`` that come at any of 20
    places in a cycle: another one after each start."""

    def __init__(self, line: Line, delay: int, rng: random.Random) -> None:
        super().__init__()
        self.clock_domains.cd_rx = ClockDomain("rx", reset_less=True)
        self.line, self.delay, self.rng = line, delay, rng
        self.place = rng.randrange(20)
        self.wrong = 0  # starts in wrong places before the right one
        self.starts = 0
        self.drift = 0  # of the delay, in each cycle, so that rx has another frequency
        self.offset = 0
        self.time: Time | None = None

    def edges(self) -> Generator[int, None, None]:
        cycle = 0
        while True:
            cycle += 1
            self.offset += self.drift
            yield cycle * PERIOD + self.place * UI + self.offset + self.delay % UI

    @passive
    def send(self) -> Steps:
        cycle = 0
        while True:
            cycle += 1
            self.line.send(cycle, None if (yield self.inhibit) else (yield self.tx))
            yield

    @passive
    def receive(self) -> Steps:
        while True:
            assert self.time is not None
            # The offset is that of the next edge already.
            sent = self.time.now - self.delay - (self.offset - self.drift)
            yield self.rx.eq(self.line.receive(sent // UI))
            yield

    @passive
    def start(self) -> Steps:
        left, was = START, 0
        while True:
            restart = yield self.restart
            if restart and not was:
                self.starts += 1
                right = self.delay // UI % 20
                self.place = (right + self.rng.randrange(1, 20)) % 20 if self.wrong else right
                self.wrong -= self.wrong > 0
            was = restart
            left = START if restart else max(left - 1, 0)
            yield self.started.eq(left == 0)
            yield


class Time:
    """Migen's time for `sys`, ``bootstrap`` (any phase) and ``rx`` of a :class:`ModelChannel`."""

    def __init__(self, channel: ModelChannel, bootstrap_phase: int) -> None:
        self.edges = channel.edges()
        self.now = 0
        self.events = [(PERIOD, "sys"), (PERIOD + bootstrap_phase, "bootstrap"), (next(self.edges), "rx")]
        heapq.heapify(self.events)
        channel.time = self

    def tick(self) -> tuple[int, set[str], set[str]]:
        before, rising = self.now, set()
        self.now = max(self.now, self.events[0][0])
        while self.events[0][0] <= self.now:
            at, name = heapq.heappop(self.events)
            rising.add(name)
            heapq.heappush(self.events, (next(self.edges) if name == "rx" else at + PERIOD, name))
        return self.now - before, rising, set()


def simulate(module: Any, channel: ModelChannel, bootstrap_phase: int, *steps: Steps) -> None:
    generators = {
        "sys": [*steps, channel.send()], "rx": [channel.receive()], "bootstrap": [channel.start()],
    }  # fmt: skip
    simulator = Simulator(module, generators, clocks=dict.fromkeys(("sys", "bootstrap", "rx"), PERIOD))
    simulator.time = Time(channel, bootstrap_phase)
    simulator.run()
