"""The pipes of symbols between simulated boards: exact without faults, and faults as often as asked for, by seed."""

import random
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from corelog_gateware.simulator.model import find_compiler
from corelog_gateware.simulator.paths import HARNESS

LATENCY = 64
SYMBOLS, ENABLE, BAD, UP = 0x3FFFF, 1 << 18, 1 << 18, 1 << 19
WORDS = 64 * 2000


@dataclass(frozen=True)
class Passed:
    """What came out, word by word, and what the pipe counted."""

    words: list[int]
    corrupted: int
    dropped: int
    sent: int


Pass = Callable[[int, Sequence[int | str]], Passed]


@pytest.fixture(scope="module")
def through_pipe(tmp_path_factory: pytest.TempPathFactory) -> Pass:
    """Sends words (and settings) through a pipe with a seed."""
    program = tmp_path_factory.mktemp("link") / "link_driver"
    sources = [Path(__file__).parent / "link_driver.cpp", HARNESS / "link.cpp"]
    command = [find_compiler(), "-std=gnu++20", "-O1", f"-I{HARNESS}", *map(str, sources), "-o", str(program)]
    subprocess.run(command, check=True, timeout=100)

    def passed(seed: int, lines: Sequence[int | str]) -> Passed:
        text = "".join(f"{line:x}\n" if isinstance(line, int) else f"{line}\n" for line in lines)
        done = subprocess.run([program, str(seed)], input=text, capture_output=True, text=True, timeout=100, check=True)
        *words, counts = done.stdout.splitlines()
        return Passed([int(word, 16) for word in words], *map(int, counts.split()))

    return passed


def some_words(count: int) -> list[int]:
    choose = random.Random(1)
    return [ENABLE | choose.randrange(SYMBOLS + 1) for _ in range(count)]


def test_every_word_arrives_unchanged_exactly_64_cycles_later(through_pipe: Pass) -> None:
    words = some_words(LATENCY * 20)
    found = through_pipe(1, words)
    assert found.words == [0] * LATENCY + [word & SYMBOLS | UP for word in words[:-LATENCY]]
    assert (found.corrupted, found.dropped, found.sent) == (0, 0, len(words))


def test_a_receiver_is_down_while_the_sender_is_disabled_and_while_the_link_is_cut(through_pipe: Pass) -> None:
    words = some_words(LATENCY * 6)
    words[LATENCY + 5] &= ~ENABLE
    found = through_pipe(1, [*words[: 2 * LATENCY], "cut 1", *words[2 * LATENCY : 4 * LATENCY], "cut 0",
                             *words[4 * LATENCY :]])
    expected = [word & SYMBOLS | UP for word in words]
    expected[LATENCY + 5] = 0
    expected[2 * LATENCY : 4 * LATENCY] = [0] * (2 * LATENCY)
    assert found.words[LATENCY:] == expected[:-LATENCY]


@pytest.mark.parametrize("seed", [0, 7])
def test_symbols_are_corrupted_as_often_as_asked_for_and_every_one_is_counted(through_pipe: Pass, seed: int) -> None:
    rate = 0.01
    words = some_words(WORDS)
    found = through_pipe(seed, [f"corrupt {rate}", *words, *["corrupt 0", *[ENABLE] * LATENCY]])
    received = found.words[LATENCY:]
    wrong = bad = kinds = 0
    for sent, came in zip(words, received, strict=True):
        assert came & UP
        for byte in (0, 1):
            wrong += (sent ^ came) >> 8 * byte & 0xFF != 0
            kinds += (sent ^ came) >> 16 + byte & 1
        bad += came >> 18 & 1
    expected = 2 * WORDS * rate
    assert found.corrupted == wrong
    assert abs(wrong - expected) < 5 * expected**0.5
    # Half of them are no valid codes, a quarter of the others of the other kind.
    assert abs(bad - expected / 2) < 5 * expected**0.5
    assert abs(kinds - expected / 8) < 5 * expected**0.5


def test_dropped_words_arrive_as_bad_ones_and_are_counted(through_pipe: Pass) -> None:
    rate = 0.02
    words = some_words(WORDS)
    found = through_pipe(3, [f"drop {rate}", *words, "drop 0", *[ENABLE] * LATENCY])
    bad = 0
    for sent, came in zip(words, found.words[LATENCY:], strict=True):
        assert came & UP
        if came & BAD:
            bad += 1
        else:
            assert came & SYMBOLS == sent & SYMBOLS
    assert found.dropped == bad
    assert abs(bad - WORDS * rate) < 5 * (WORDS * rate) ** 0.5


def test_the_same_seed_gives_the_same_faults_another_seed_others(through_pipe: Pass) -> None:
    lines: list[int | str] = ["corrupt 1e-3", "drop 1e-4", *some_words(WORDS)]
    first = through_pipe(5, lines)
    assert through_pipe(5, lines) == first
    assert through_pipe(6, lines).words != first.words


def test_rates_of_0_and_1_mean_never_and_always(through_pipe: Pass) -> None:
    words = some_words(4 * LATENCY)
    found = through_pipe(1, ["corrupt 1", *words, "corrupt 0", *words])
    assert found.corrupted == 2 * len(words)
    assert found.words[-2 * LATENCY :] == [word & SYMBOLS | UP for word in words[-3 * LATENCY : -LATENCY]]
    found = through_pipe(1, ["drop 1", *words, *[ENABLE] * LATENCY])
    assert all(word & BAD and word & UP for word in found.words[LATENCY:-LATENCY])
    assert found.dropped == len(words) + LATENCY
