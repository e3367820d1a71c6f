"""TTL channels of boards from event to pad and back, in the Verilog that is emitted for them: to the mu."""

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import pytest
from ttl_bench import KASLI, KC705, Result, description, play
from ttl_model import (
    COARSE,
    ENABLE,
    FALLING,
    LEVEL,
    RISING,
    SAMPLE,
    SEND,
    SENSITIVITY,
    ZERO,
    Command,
    counts_of,
    edges_of,
    events_of,
    levels_of,
)

from corelog_gateware.rtio.phy.ttl_serdes import PAD_LATENCY

# A pad lags behind the counter by as much.
LAG = COARSE * PAD_LATENCY
# Boards, an input/output channel and an output of each: differential on Kasli, single-ended on KC705.
BOARDS = {"kasli": (3, 7), "kc705": (0, 1)}
# Of each, an input and its counter.
COUNTERS = {"kasli": (2, 10), "kc705": (0, 2)}
EVENTS_MAX = 60  # what a channel's FIFO holds until it is read, and less than a lane


def submit(channel: int, commands: Iterable[Command]) -> list[str]:
    return [f"S {channel} {command.time} {command.address} {command.data}" for command in commands]


def drive(pad: int, levels: Sequence[int], start: int = 0) -> list[str]:
    """From outside, so that the input's events have the times of `levels`."""
    return [f"D {pad} {start + time + LAG} {level}" for time, level in edges_of(levels, 2)]


def read(channel: int, events: int, until: int) -> list[str]:
    return [f"Q {channel} {until}"] * (events + 1)


def played(board: str, scripts: Iterable[Sequence[str]]) -> list[Result]:
    """Every script from a base of its own, far enough in the future to submit all of it."""
    lines = [line for script in scripts for line in ("T", f"B {100 + 25 * len(script)}", *script)]
    results = play(board, lines)[1:]
    assert not any(result.refused for result in results)
    return results


def pulses() -> Iterator[Command]:
    """A rising and a falling event with every pair of fine times, one to three coarse cycles apart."""
    coarse = 2
    for gap, rise, fall in product((1, 2, 3), range(COARSE), range(COARSE)):
        yield Command(COARSE * coarse + rise, LEVEL, 1)
        yield Command(COARSE * (coarse + gap) + fall, LEVEL, 0)
        coarse += gap + 1


@pytest.mark.parametrize("board", BOARDS)
def test_every_pair_of_fine_times_makes_a_pulse_of_exactly_that_place_and_length(board: str) -> None:
    both, out = BOARDS[board]
    commands, parts = list(pulses()), []
    for first in range(0, len(commands), EVENTS_MAX):
        start = COARSE * (commands[first].time // COARSE)
        parts.append([c._replace(time=c.time - start) for c in commands[first : first + EVENTS_MAX]])
    scripts = [
        [*submit(both, [Command(-80, ENABLE, 1)])]
        + [line for pair in zip(submit(both, part), submit(out, part), strict=True) for line in pair]
        + [f"W {part[-1].time + 200}"]
        for part in parts
    ]
    for part, result in zip(parts, played(board, scripts), strict=True):
        expected = [(time + LAG, level) for time, level in edges_of(levels_of(part, part[-1].time + 1))]
        assert len(expected) == len(part)
        for pad in (both, out):
            seen = [change for change in result.levels[pad] if change[0] > -60]
            assert seen == expected, f"pad {pad}"
        if board == "kasli":
            pins = {(p, n) for pad in (both, out) for time, p, n in result.pads[pad] if time > -60}
            assert pins == {(0, 1), (1, 0)}, "a pair is always complementary"


def test_leds_change_in_the_coarse_cycle_of_an_event() -> None:
    for name, board in (("kasli", KASLI), ("kc705", KC705)):
        led = next(channel.number for channel in description(board).channels if channel.name == "led1")
        commands = [Command(40 * n + n, LEVEL, 1 - n % 2) for n in range(8)]
        [result] = played(name, [[*submit(led, commands), "W 500"]])
        assert result.levels[led] == [(c.time // COARSE * COARSE, c.data) for c in commands]


@pytest.mark.parametrize("board", BOARDS)
def test_direction_turns_with_the_coarse_cycle_of_its_event_and_the_output_waits_meanwhile(board: str) -> None:
    both, _ = BOARDS[board]
    commands = [Command(-40, LEVEL, 1)]
    for fine in range(COARSE):
        commands += [Command(64 * fine + fine, ENABLE, 1), Command(64 * fine + 24 + fine, ENABLE, 0)]
    [result] = played(board, [[*submit(both, commands), "W 800"]])
    # Nobody else drives: the pad shows the level while it is driven, and low otherwise.
    turns = [(64 * fine + LAG + at, level) for fine in range(COARSE) for at, level in ((0, 1), (24, 0))]
    assert result.levels[both] == turns


def input_cases() -> Iterator[tuple[list[Command], list[int]]]:
    """Gates that open and close at every fine time; pulses of every length up to a coarse cycle and more at every fine
    time, of both polarities, inside; one on each edge of the gate."""
    for edges, idle in product((RISING, FALLING, RISING | FALLING), range(2)):
        for fine in range(COARSE):
            opened, closed = 16 + fine, 440 + (5 * fine + 3) % COARSE
            levels = [idle] * 520
            for n, at in enumerate((opened - 1, opened + 24, *range(80 + fine, 420, 33), closed - 1, closed + 20)):
                for time in range(at, at + 1 + n % 11):
                    levels[time] ^= 1
            yield [Command(opened, SENSITIVITY, edges), Command(closed, SENSITIVITY, 0)], levels


@pytest.mark.parametrize("board", BOARDS)
def test_edges_of_a_pad_have_their_times_in_gates_of_any_fine_time(board: str) -> None:
    pad, _ = BOARDS[board]
    cases = list(input_cases())
    expected = [events_of(levels, commands) for commands, levels in cases]
    scripts = [
        [*submit(pad, commands), *drive(pad, levels), *read(pad, len(events), 700)]
        for (commands, levels), events in zip(cases, expected, strict=True)
    ]
    for result, events in zip(played(board, scripts), expected, strict=True):
        assert events and result.events[pad] == events
        assert result.no_events == [1], "no event but these"
    fine = {(time % COARSE, level) for events in expected for time, level in events}
    assert fine == set(product(range(COARSE), range(2))), "every fine time in both directions was there"


@pytest.mark.parametrize("board", BOARDS)
def test_samples_have_the_level_of_their_very_mu(board: str) -> None:
    pad, _ = BOARDS[board]
    # A pulse of one mu passes each sample, from well before to well after it.
    levels, commands = [0] * 64, []
    for fine, distance in product(range(COARSE), range(-3, 4)):
        at = len(levels) + COARSE + fine
        levels += [0] * 3 * COARSE
        levels[at + distance] = 1
        commands.append(Command(at, SAMPLE, 0))
    expected = events_of(levels, commands)
    assert len(expected) == len(commands) and sum(level for _, level in expected) == COARSE
    [result] = played(board, [[*submit(pad, commands), *drive(pad, levels), *read(pad, len(expected), len(levels))]])
    assert result.events[pad] == expected


@pytest.mark.parametrize("board", BOARDS)
def test_an_input_wired_to_an_output_reads_the_times_of_the_events(board: str) -> None:
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    pad, out = BOARDS[board]
    coarse = sorted(rng.sample(range(1, 200), 50))
    commands = [Command(COARSE * t + rng.randrange(COARSE), LEVEL, 1 - n % 2) for n, t in enumerate(coarse)]
    script = [f"J {out} {pad}", *submit(pad, [Command(0, SENSITIVITY, 3)]), *submit(out, commands)]
    [result] = played(board, [[*script, *read(pad, len(commands), 1700)]])
    # Two edges can fall into one coarse cycle only if two events do.
    assert result.events[pad] == [(command.time, command.data) for command in commands]


@pytest.mark.parametrize("board", BOARDS)
def test_an_input_sees_what_its_own_channel_drives(board: str) -> None:
    pad, _ = BOARDS[board]
    commands = [Command(-40, ENABLE, 1), Command(0, SENSITIVITY, 3)]
    levels = [Command(27 * n + 16, LEVEL, n % 2) for n in range(1, 20)]
    [result] = played(board, [[*submit(pad, [*commands, *levels]), *read(pad, len(levels), 900)]])
    assert result.events[pad] == [(command.time, command.data) for command in levels]


@pytest.mark.parametrize("board", BOARDS)
def test_random_pads_and_commands_follow_the_model(board: str) -> None:
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    pad, _ = BOARDS[board]
    cases, addresses = [], (SENSITIVITY, SENSITIVITY, SAMPLE)
    for _ in range(40):
        density, level = rng.choice((3, 10, 40)), rng.randrange(2)
        levels = [level := level ^ (rng.randrange(density) == 0) for _ in range(400)]
        commands = [
            Command(COARSE * t + rng.randrange(COARSE), rng.choice(addresses), rng.randrange(4))
            for t in sorted(rng.sample(range(2, 45), 12))
        ]
        commands.append(Command(COARSE * 48, SENSITIVITY, 0))
        cases.append((commands, levels))
    expected = [events_of(levels, commands) for commands, levels in cases]
    scripts = [
        [*submit(pad, commands), *drive(pad, levels), *read(pad, len(events), 700)]
        for (commands, levels), events in zip(cases, expected, strict=True)
    ]
    for result, events in zip(played(board, scripts), expected, strict=True):
        assert result.events.get(pad, []) == events
    assert sum(map(len, expected)) > 100


@pytest.mark.parametrize("board", COUNTERS)
def test_a_counter_counts_the_edges_of_its_pad_in_gates_of_any_fine_time(board: str) -> None:
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    pad, counter = COUNTERS[board]
    cases = []
    for n in range(40):
        density, level = rng.choice((2, 10, 40)), rng.randrange(2)
        levels = [level := level ^ (rng.randrange(density) == 0) for _ in range(400)]
        opened, closed = 24 + n % COARSE, 320 + n // COARSE + rng.randrange(COARSE)
        moments = sorted(rng.sample(range(6, 38), 10))
        commands = [Command(opened, 0, rng.randrange(1, 4) | ZERO), Command(closed + COARSE, 0, SEND)]
        commands[1:1] = [Command(COARSE * t + rng.randrange(COARSE), 0, rng.randrange(16)) for t in moments]
        cases.append((commands, levels))
    expected = [counts_of(levels, commands) for commands, levels in cases]
    scripts = [
        [*submit(counter, commands), *drive(pad, levels), *read(counter, len(events), 700)]
        for (commands, levels), events in zip(cases, expected, strict=True)
    ]
    for result, events in zip(played(board, scripts), expected, strict=True):
        assert result.events[counter] == events
        assert result.no_events == [1]
    assert max(count for events in expected for _, count in events) > 20


@pytest.mark.parametrize("board", BOARDS)
def test_phy_reset_lowers_outputs_releases_pads_and_closes_inputs(board: str) -> None:
    both, out = BOARDS[board]
    before = [Command(0, ENABLE, 1), Command(8, LEVEL, 1), Command(16, SENSITIVITY, 3)]
    script = [*submit(both, before), *submit(out, [Command(8, LEVEL, 1)])]
    # Then low, and not driven: high again from outside, but not from an event. And no edge makes an input event.
    script += [*submit(both, [Command(350, LEVEL, 1)]), "W 100", "R", "W 200", f"D {both} 300 1", f"D {both} 330 2"]
    [result] = played(board, [[*script, "W 450", *read(both, 2, 400)]])
    assert [level for _, level in result.levels[out]] == [1, 0]
    assert [level for _, level in result.levels[both]] == [1, 0, 1, 0]
    assert result.levels[both][2:] == [(300, 1), (330, 0)]
    assert both not in result.events and result.no_events == [1, 1, 1]
