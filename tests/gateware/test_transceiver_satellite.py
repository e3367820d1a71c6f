"""The steps by which a satellite adjusts its clock's phase (transceiver/README.md): afterwards its link takes the same
time, wherever the Si5324 had put the phase."""

import random
from collections.abc import Iterator

from crossing_bench import PERIOD, Bench, Steps

STEPS = 56  # of a cycle; the MMCM has 448
JITTER = 40
SETTLE = 4  # cycles for the Si5324 to follow a step, and to read the phase again


class Satellite:
    """The recovered clock against `sys`: a skew that no one knows, and what it was shifted by. A shift to later goes
    through the Si5324 to `sys`, so that the recovered clock comes earlier against it."""

    def __init__(self, skew: int, rng: random.Random) -> None:
        self.skew, self.rng = skew, rng
        self.shifts = 0
        self.bench = Bench(self.edges())

    def edges(self) -> Iterator[int]:
        n = 1
        while True:
            n += 1
            jitter = self.rng.randint(-JITTER, JITTER) if n > 3 else 0
            yield n * PERIOD + self.skew - self.shifts * PERIOD // STEPS + jitter

    def read(self) -> Steps:
        """The phase if it is still, else None."""
        seen = set()
        for _ in range(16):
            for _ in range(SETTLE):
                yield
            seen.add((yield self.bench.dut.phase))
        return seen.pop() if len(seen) == 1 else None

    def shift(self) -> Steps:
        self.shifts += 1
        for _ in range(SETTLE):
            yield

    def adjust(self) -> Steps:
        """What the firmware does. Returns the number of shifts."""
        while (old := (yield from self.read())) is None:
            yield from self.shift()
        last = self.shifts
        for _ in range(STEPS + STEPS // 2):
            yield from self.shift()
            now = yield from self.read()
            if now == old:
                last = self.shifts
            elif now is not None:
                break
        else:
            raise AssertionError("no edge in a cycle")
        middle = (last + self.shifts) // 2 + STEPS // 2
        while self.shifts < middle:
            yield from self.shift()


def link_delay(skew: int, rng: random.Random) -> tuple[int, int, int]:
    """Cycles through the crossing, whether it was ambiguous, slips: after the adjustment and two starts."""
    satellite = Satellite(skew, rng)
    bench = satellite.bench

    def steps() -> Steps:
        yield from satellite.adjust()
        yield from bench.start_and_stop(2, rng)

    bench.run(steps())
    cycles = {round(2 * sum(run) / len(run) / PERIOD) for run in bench.runs}
    assert len(cycles) == 1
    # In half cycles: the phase is in the middle, so it is an odd number.
    return cycles.pop(), max(bench.ambiguous), bench.slips


def test_after_the_adjustment_every_skew_gives_the_same_latency() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    found = {link_delay(skew, rng) for skew in (0, 10, 260, 500, 770, 990)}
    assert len(found) == 1
    half_cycles, ambiguous, slips = found.pop()
    assert half_cycles % 2 == 1 and not ambiguous and not slips
