"""Input events: order and times, overflow, timeouts to the cycle, resets; the core's input side as a program."""

import random

import pytest
from rtio_bench import ONE, TWO, TWO_SHALLOW, Config, core, play

NO_EVENT, OVERFLOW, WAIT, UNREACHABLE = 1, 2, 4, 8
FIRST = 4  # number of the first input channel, behind the outputs

INPUT_CORES = pytest.mark.parametrize(
    "config", [TWO, TWO_SHALLOW, ONE], ids=lambda config: f"depth{config.input_depth}"
)


def read(result: tuple[int, ...]) -> tuple[int, ...]:
    """Status and, if an event was read, its data and time."""
    status, data, time, _ = result
    return (status,) if status else (status, data, time)


@INPUT_CORES
@pytest.mark.parametrize("extra", range(-1, 4))
def test_events_that_find_the_fifo_full_are_lost_and_reported_once_before_the_kept_ones(
    config: Config, extra: int
) -> None:
    count = config.input_depth + extra
    events = [(20 + 3 * n, 100 + n, n % 8) for n in range(count)]
    lines = ["B 10", *(f"I {FIRST} {t} {data} {fine}" for t, data, fine in events), "W 80"]
    lines += [f"Q {FIRST} 0"] * (config.input_depth + 3)
    result = play(core(config), lines)[0]
    expected: list[tuple[int, ...]] = [(OVERFLOW,)] if extra > 0 else []
    expected += [(0, data, 8 * (t - config.input_delay) + fine) for t, data, fine in events[: config.input_depth]]
    expected += [(NO_EVENT,)] * (config.input_depth + 3 - len(expected))
    assert list(map(read, result.reads)) == expected


@INPUT_CORES
def test_random_bursts_on_every_input_channel_are_read_as_the_model(config: Config) -> None:
    seed = config.input_depth
    print(f"seed {seed}")
    rng = random.Random(seed)
    lines, expected = [], []
    kept: dict[int, list[tuple[int, ...]]] = {n: [] for n in range(config.inputs)}
    lost = dict.fromkeys(kept, False)
    for _ in range(400):
        lines.append("B 10")
        for n in kept:
            times = sorted(rng.sample(range(10, 30), rng.randrange(0, config.input_depth + 3)))
            for t in times:
                data, fine = rng.randrange(65536), rng.randrange(8)
                lines.append(f"I {FIRST + n} {t} {data} {fine}")
                if len(kept[n]) < config.input_depth:
                    kept[n].append((0, data, 8 * (t - config.input_delay) + fine))
                else:
                    lost[n] = True
        lines.append("W 50")
        for _ in range(rng.randrange(2 * config.input_depth)):
            n = rng.randrange(config.inputs)
            lines.append(f"Q {FIRST + n} 0")
            if lost[n]:
                expected.append((OVERFLOW,))
                lost[n] = False
            else:
                expected.append(kept[n].pop(0) if kept[n] else (NO_EVENT,))
        # Times are relative to the base, so nothing is carried over to the next one.
        for n in kept:
            lines += [f"Q {FIRST + n} 0"] * (config.input_depth + 2)
            tail = ([(OVERFLOW,)] if lost[n] else []) + kept[n]
            expected += tail + [(NO_EVENT,)] * (config.input_depth + 2 - len(tail))
            kept[n], lost[n] = [], False
    assert list(map(read, play(core(config), lines)[0].reads)) == expected


@INPUT_CORES
def test_an_event_at_or_before_the_timeout_is_never_missed_and_a_later_one_does_not_delay_the_answer(
    config: Config,
) -> None:
    lines, cases = ["P 0"], []
    for timeout in (60, 61, 60 * 8 + 7):
        for at in range(40, 90):
            lines += ["B 10", f"I {FIRST} {at + config.input_delay} 7 0", f"Q {FIRST} {timeout}", "N 120"]
            lines += [f"Q {FIRST} 0", "T"]
            cases.append((timeout, at))
    for (timeout, at), result in zip(cases, play(core(config), lines), strict=False):
        first, second = result.reads
        if 8 * at <= timeout:
            assert read(first) == (0, 7, 8 * at)
        if first[0] == NO_EVENT:
            assert 8 * at > timeout
            assert 8 * first[3] > timeout, "answered before the timeout had passed"
            assert first[3] <= (timeout >> 3) + config.input_delay + 8, "answered long after the timeout"
        # Exactly one of the two reads got it.
        assert sorted(map(read, (first, second))) == sorted([(0, 7, 8 * at), (NO_EVENT,)])


def test_a_read_that_waits_returns_the_event_as_soon_as_it_is_there() -> None:
    lines = ["B 10", f"I {FIRST} 200 5 1", f"Q {FIRST} 80000", f"Q {FIRST} 2400"]
    first, second = play(core(TWO), lines)[0].reads
    assert read(first) == (0, 5, 8 * (200 - TWO.input_delay) + 1)
    assert first[3] < 212
    assert read(second) == (NO_EVENT,)
    assert 300 < second[3] < 320


@pytest.mark.parametrize("channel", [0, 3, 6, 255, 2**24 - 1])
def test_reading_a_channel_without_input_is_unreachable_at_once(channel: int) -> None:
    result = play(core(TWO), ["B 10", f"Q {channel} 800000"])[0]
    assert read(result.reads[0]) == (UNREACHABLE,)
    assert result.reads[0][3] < 10


def test_core_reset_ends_a_pending_read_and_empties_fifos_and_overflow() -> None:
    lines = ["B 10", *(f"I {FIRST} {20 + n} 1 0" for n in range(9)), "W 40", "R", f"Q {FIRST} 0"]
    lines += [f"q {FIRST} 80000", "N 50", "i", "R", "i", f"I {FIRST} 300 9 2", f"Q {FIRST} 8000"]
    reads = play(core(TWO), lines)[0].reads
    assert read(reads[0]) == (NO_EVENT,)
    assert reads[1][0] == WAIT
    assert reads[2][0] == NO_EVENT
    assert read(reads[3]) == (0, 9, 8 * (300 - TWO.input_delay) + 2)


def test_before_the_first_read_the_status_says_that_there_is_no_event() -> None:
    assert play(core(TWO), ["B 0", "i"])[0].reads[0][0] == NO_EVENT


def test_a_new_read_takes_the_place_of_one_that_waits() -> None:
    lines = ["B 10", f"q {FIRST} 80000", "N 50", f"Q {FIRST + 1} 800", f"I {FIRST} 300 9 2", "W 310", f"Q {FIRST} 0"]
    lines += [f"q {FIRST} 80000", "N 7", f"q {FIRST} 90000", "N 1", f"q {FIRST} 90000", f"I {FIRST} 400 8 0", "W 420"]
    lines += ["i", f"Q {FIRST} 0"]
    reads = play(core(TWO), lines)[0].reads
    assert [read(result) for result in reads] == [
        (NO_EVENT,),
        (0, 9, 8 * (300 - TWO.input_delay) + 2),
        (0, 8, 8 * (400 - TWO.input_delay)),
        (NO_EVENT,),
    ]
    assert reads[0][3] < 120
