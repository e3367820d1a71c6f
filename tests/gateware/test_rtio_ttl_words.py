"""Words of TTL channels against the model of single mus: every word, fine time, sensitivity and level before."""

import random
from collections.abc import Generator, Iterator
from itertools import product
from typing import Any

import pytest
from migen import Module, Signal, run_simulation
from ttl_model import COARSE, LEVEL, SAMPLE, SEND, SENSITIVITY, ZERO, Command, counts_of, events_of, levels_of

from corelog_gateware.rtio.phy.edge_counter import CoarseEdgeCounter, EdgeCounter
from corelog_gateware.rtio.phy.ttl_words import EdgeFinder, LevelWriter
from support.drtio_player import Player


def bits(word: int) -> list[int]:
    return [word >> i & 1 for i in range(COARSE)]


def writer() -> Player:
    top = Module()
    stb, fine, level = Signal(), Signal(3), Signal()
    top.submodules.writer = core = LevelWriter(stb, fine, level)
    return Player(top, {"stb": stb, "fine": fine, "level": level, "reset": core.reset}, {"word": core.word}, "levels")


def test_output_has_its_level_from_the_very_mu_of_an_event_after_any_other_event() -> None:
    choices: list[tuple[int, int] | None] = [None, *product(range(COARSE), range(2))]
    # Every event and every level before it, after every other event in the cycle before.
    sequence = [choice for pair in product(choices, repeat=2) for start in range(2) for choice in ((0, start), *pair)]
    commands = [Command(COARSE * t + choice[0], LEVEL, choice[1]) for t, choice in enumerate(sequence) if choice]
    rows = [{"stb": 0} if choice is None else {"stb": 1, "fine": choice[0], "level": choice[1]} for choice in sequence]
    with writer() as player:
        shown = player.play([*rows, {"stb": 0}])
    # The strobe of time T comes in cycle T - 1.
    assert [level for row in shown[1:] for level in bits(row["word"])] == levels_of(commands, COARSE * len(sequence))


def test_reset_of_an_output_puts_it_to_low_even_in_the_cycle_of_an_event() -> None:
    with writer() as player:
        shown = player.play([{"stb": 1, "fine": 3, "level": 1}, {"reset": 1}, {"stb": 0, "reset": 0}, {}])
    assert [row["word"] for row in shown[1:]] == [0b1111_1000, 0, 0]


def finder(latency: int) -> Player:
    top, word = Module(), Signal(COARSE)
    top.submodules.finder = core = EdgeFinder(word, latency)
    assert core.input.fine is not None and core.output.address is not None and core.output.fine is not None
    inputs = {
        "word": word, "stb": core.output.stb, "address": core.output.address, "fine": core.output.fine,
        "data": core.output.data, "reset": core.reset,
    }  # fmt: skip
    outputs = {"stb": core.input.stb, "fine": core.input.fine, "data": core.input.data}
    return Player(top, inputs, outputs, f"edges{latency}")


def check(player: Player, latency: int, words: list[int], commands: list[Command], expected: list[tuple[int, int]],
          registers: int = 2) -> None:
    """Plays words of coarse times 0, 1, ... and commands, at most one a coarse cycle, none in 0; low before."""
    rows = [{"word": word} for word in [0] * latency + words]
    rows += [{"word": 0xFF * (words[-1] >> COARSE - 1)} for _ in range(registers + 1)]
    by_cycle = {command.time // COARSE - 1: command for command in commands}
    for cycle, row in enumerate(rows):
        row["stb"] = int(cycle in by_cycle)
        if command := by_cycle.get(cycle):
            row |= {"address": command.address, "fine": command.time % COARSE, "data": command.data}
    seen = [
        (COARSE * (cycle - latency - registers) + row["fine"], row["data"])
        for cycle, row in enumerate(player.play(rows)) if row["stb"]
    ]  # fmt: skip
    differences = [pair for pair in zip(seen, expected, strict=False) if pair[0] != pair[1]]
    assert len(seen) == len(expected) and not differences, differences[:1]


def levels(words: list[int]) -> list[int]:
    return [level for word in words for level in bits(word)]


def cases() -> Iterator[tuple[int, int, int, Command]]:
    """(level before, sensitivity before, word, command at a fine time): all there are."""
    orders = [Command(0, 0, 0)]
    orders += [Command(fine, SENSITIVITY, edges) for fine in range(COARSE) for edges in range(4)]
    orders += [Command(fine, SAMPLE, 0) for fine in range(COARSE)]
    for before, sensitivity, order in product(range(2), range(4), orders):
        for word in range(2**COARSE):
            yield before, sensitivity, word, order


def test_input_makes_the_right_event_of_every_word_with_every_command_at_every_fine_time() -> None:
    words, commands = [0, 0], []
    for before, sensitivity, word, order in cases():
        # A cycle that prepares: its word ends with the level before, and its command sets the sensitivity.
        commands.append(Command(COARSE * len(words), SENSITIVITY, sensitivity))
        words.append(0xFF * before)
        commands.append(order._replace(time=COARSE * len(words) + order.time))
        words.append(word)
    expected = events_of(levels(words), commands)
    assert len(expected) > len(words) // 2
    with finder(4) as player:
        check(player, 4, words, commands, expected)


def random_words(rng: random.Random, length: int) -> list[int]:
    """Sometimes busy, sometimes quiet; low at first."""
    density, level, words = 8, 0, [0, 0]
    while len(words) < length:
        if rng.randrange(50) == 0:
            density = rng.choice((2, 8, 30, 200))
        word = 0
        for i in range(COARSE):
            level ^= rng.randrange(density) == 0
            word |= level << i
        words.append(word)
    return words


@pytest.mark.parametrize("latency", [0, 1, 4, 5])
def test_input_follows_the_model_for_random_pads_and_commands(latency: int) -> None:
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    words, addresses = random_words(rng, 6000), (0, 1, SENSITIVITY, SENSITIVITY, SAMPLE)
    commands = [
        Command(COARSE * t + rng.randrange(COARSE), rng.choice(addresses), rng.randrange(4))
        for t in range(1, len(words)) if rng.randrange(4) == 0
    ]
    expected = events_of(levels(words), commands)
    assert len(expected) > 500
    with finder(latency) as player:
        check(player, latency, words, commands, expected)


def counter(latency: int, size: int) -> Player:
    top, word = Module(), Signal(COARSE)
    top.submodules.counter = core = EdgeCounter(word, latency, size)
    assert core.input.fine is not None and core.output.fine is not None
    inputs = {
        "word": word, "stb": core.output.stb, "address": Signal(8), "fine": core.output.fine,
        "data": core.output.data, "reset": core.reset,
    }  # fmt: skip
    outputs = {"stb": core.input.stb, "fine": core.input.fine, "data": core.input.data}
    return Player(top, inputs, outputs, f"counter{latency}")


def test_counter_counts_every_edge_of_every_word_with_any_change_at_every_fine_time() -> None:
    rng = random.Random(7)
    words, commands = [0, 0], []
    for before, counting, then, fine in product(range(2), range(4), range(4), range(COARSE)):
        for word in range(2**COARSE):
            # A cycle that prepares, as above; its count shows what followed the change of the case before.
            commands.append(Command(COARSE * len(words), 0, counting | SEND))
            words.append(0xFF * before)
            commands.append(Command(COARSE * len(words) + fine, 0, then | SEND | rng.choice((0, ZERO))))
            words.append(word)
    with counter(4, 31) as player:
        check(player, 4, words, commands, counts_of(levels(words), commands), registers=3)


@pytest.mark.parametrize(("latency", "size"), [(0, 4), (1, 6), (4, 31), (5, 32)])
def test_counter_follows_the_model_and_stays_at_its_maximum(latency: int, size: int) -> None:
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    words = random_words(rng, 6000)
    commands = [
        Command(COARSE * t + rng.randrange(COARSE), 0, rng.randrange(8) | (ZERO if rng.randrange(8) == 0 else 0))
        for t in range(1, len(words)) if rng.randrange(4) == 0
    ]
    expected = counts_of(levels(words), commands, 2**size - 1)
    assert len(expected) > 500
    assert (2**size - 1 in {count for _, count in expected}) == (size < 10)
    with counter(latency, size) as player:
        check(player, latency, words, commands, expected, registers=3)


def test_reset_of_a_counter_stops_it_at_zero_whatever_is_under_way() -> None:
    for moment in range(12):
        rows: list[dict[str, int]] = [{"word": 0b0101_0101} for _ in range(40)]
        rows[0] |= {"stb": 1, "data": 3, "fine": 5}
        rows[1]["stb"] = 0
        rows[moment]["reset"] = 1
        rows[moment + 1]["reset"] = 0
        rows[moment + 1] |= {"stb": 1, "data": SEND}
        rows[moment + 2]["stb"] = 0
        with counter(4, 31) as player:
            shown = player.play(rows)
        assert [row["data"] for row in shown if row["stb"]] == [0], moment


def test_reset_of_an_input_closes_it_whatever_is_under_way() -> None:
    toggling = [{"word": 0b0101_0101}] * 20
    for moment in range(8):
        rows = [dict(row) for row in toggling]
        rows[0] |= {"stb": 1, "address": SENSITIVITY, "data": 3, "fine": 5}
        rows[1]["stb"] = 0
        rows[moment]["reset"] = 1
        rows[moment + 1]["reset"] = 0
        with finder(4) as player:
            shown = player.play(rows)
        # The event that was there already is seen, no other.
        assert not any(row["stb"] for row in shown[moment + 1 :]), moment
    with finder(4) as player:
        opened = player.play([toggling[0] | {"stb": 1, "address": SENSITIVITY, "data": 3}, {"stb": 0}, *toggling])
    assert any(row["stb"] for row in opened), "without a reset the same pad makes events"


def test_a_counter_without_fine_time_counts_by_cycles_and_stays_at_its_maximum() -> None:
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    pad = Signal()
    core = CoarseEdgeCounter(pad, bits=5)
    assert core.input.fine is None and core.output.fine is None
    pad_levels, level = [], 0
    for _ in range(3000):
        pad_levels.append(level := level ^ (rng.randrange(3) == 0))
    commands = [Command(t, 0, rng.choice((0, 1, 2, 3, 3, SEND, SEND | 1, SEND | 2, SEND | 3, ZERO | SEND | 3)))
                for t in range(1, len(pad_levels)) if rng.randrange(8) == 0]  # fmt: skip
    data_at = {command.time: command.data for command in commands}
    found = []

    def play() -> Generator[Any, Any, None]:
        for cycle in range(len(pad_levels) + core.input.delay + 1):
            yield pad.eq(pad_levels[min(cycle, len(pad_levels) - 1)])
            # An event is there a cycle before its time.
            yield core.output.stb.eq(cycle + 1 in data_at)
            yield core.output.data.eq(data_at.get(cycle + 1, 0))
            if (yield core.input.stb):
                found.append((cycle - 1 - core.input.delay, (yield core.input.data)))
            yield

    run_simulation(core, play())
    expected = counts_of(pad_levels, commands, 31)
    assert {0, 31} < {count for _, count in expected}
    assert found == expected
