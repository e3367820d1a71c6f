"""The error queue of the whole core when it overflows: reports + lost counters = errors, whenever software pops."""

import random
from collections import Counter

import pytest
from rtio_bench import (
    BUSY,
    COLLISION,
    EIGHT,
    EIGHT_FEW_REPORTS,
    SEQUENCE,
    THREE,
    Busy,
    Config,
    Event,
    core,
    expect,
    play,
    submit,
)

KINDS = (COLLISION, BUSY, SEQUENCE)


def burst(rng: random.Random, config: Config, channels: int) -> list[Event]:
    """Up to as many events in each of 16 cycles in a row as there are lanes, and then some that no lane takes."""
    rows = [
        Event(rng.randrange(channels), 8 * (8 + t) + rng.randrange(2), 0, 0)
        for _ in range(config.lanes)
        for t in range(16)
    ]
    rows += [Event(rng.randrange(channels), 8 * (8 + rng.randrange(16)), 0, 0) for _ in range(rng.randrange(4))]
    return [event._replace(data=data) for data, event in enumerate(rows, start=1)]


@pytest.mark.parametrize(
    "config", [EIGHT, EIGHT_FEW_REPORTS, THREE], ids=lambda c: f"{c.lanes}lanes_{c.reports}reports"
)
@pytest.mark.parametrize("chance", [0, 3, 60, 128, 250], ids=lambda n: f"pops_{n}_of_256")
def test_reports_and_lost_counters_add_up_to_the_errors_of_each_kind(config: Config, chance: int) -> None:
    seed = 1000 * config.reports + chance
    print(f"seed {seed}")
    rng = random.Random(seed)
    cases, lines = [], [f"V {rng.getrandbits(30)}"]
    for _ in range(8):
        events = burst(rng, config, channels=rng.choice((1, 2, 4)))
        busy = Busy({}, {n: rng.choice((0, 1, 2)) for n in range(4)})
        lines += [f"P {chance}", f"B {24 + len(events) * 18}", *busy.script(), *map(submit, events), "W 100"]
        lines += ["P 256", "N 600", "L", "T"]
        cases.append((events, busy))
    before: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    for (events, busy), result in zip(cases, play(core(config), lines), strict=False):
        expected = expect(events, config, busy=busy)
        assert sorted(result.executions) == expected.executions
        assert Counter(result.reports) <= Counter(expected.reports), "an error was invented or reported twice"
        errors = Counter(report.kind for report in expected.reports)
        popped = Counter(report.kind for report in result.reports)
        lost = Counter(dict(zip(KINDS, result.lost, strict=True)))
        assert popped + lost == errors + before
        before = lost
        seen += errors
    assert all(seen[kind] for kind in KINDS)
    if config.reports < 128 and chance == 0:
        assert before.total() > 0, "the queue never overflowed"
