"""Finding the position of words, and giving it up: windows judged, the receiver started again."""

import random
from collections.abc import Callable, Generator
from typing import Any

import pytest
from migen import passive, run_simulation

from corelog_gateware.drtio.interface import K_AUX, K_IDLE
from corelog_gateware.transceiver.aligner import BAD_WORDS, COMMAS, STRIKES, WINDOW, AlignControl, Judge

Steps = Generator[Any, Any, Any]
SETTLE, DEADLINE = 30, 100
Word = tuple[int, int, int]  # d, k, bad
IDLE, AUX, DATA, BAD = (K_IDLE, 1, 0), (K_AUX, 1, 0), (0x1234, 0, 0), (K_IDLE, 1, 1)
SWAPPED: Word = (K_IDLE << 8, 2, 0)  # the comma in the second symbol's place


def verdict(words: list[Word]) -> tuple[bool, bool]:
    """(fine, dirty) of a window, by the rules."""
    bad = sum(1 for _, k, bad in words if bad or k & 2)
    commas = sum(1 for d, k, bad in words if not bad and k == 1 and d & 0xFF == K_IDLE)
    return bad < BAD_WORDS and commas >= COMMAS, bad >= BAD_WORDS


def mix(**counts: int) -> list[Word]:
    """Aux words with so many others among them, in any order."""
    words = {"idle": IDLE, "bad": BAD, "swapped": SWAPPED, "data": DATA}
    window = [words[name] for name, count in counts.items() for _ in range(count)]
    window += [AUX] * (WINDOW - len(window))
    random.Random(1).shuffle(window)
    return window


def judge(windows: list[list[Word]]) -> list[tuple[bool, bool]]:
    dut, found = Judge(), []

    def steps() -> Steps:
        for window in windows:
            # A window is over with its last word, which counts for the next one.
            fine = dirty = 0
            for d, k, bad in window:
                yield dut.d.eq(d)
                yield dut.k.eq(k)
                yield dut.bad.eq(bad)
                yield
                fine, dirty = fine | (yield dut.fine), dirty | (yield dut.dirty)
            found.append((bool(fine), bool(dirty)))

    run_simulation(dut, steps())
    return found


def test_windows_are_judged_by_bad_words_and_commas_in_their_place() -> None:
    windows = [
        mix(idle=WINDOW),
        mix(),
        mix(idle=COMMAS + 2),
        mix(idle=COMMAS - 2),
        mix(swapped=WINDOW),
        mix(idle=WINDOW // 2, bad=BAD_WORDS + 2),
        mix(idle=WINDOW // 2, bad=BAD_WORDS - 2),
        mix(idle=WINDOW // 2, bad=BAD_WORDS - 20, swapped=30),
        mix(idle=100, data=WINDOW - 100),
        mix(bad=WINDOW),
    ]
    # The first word that the core sees is that of reset, so the windows are a word late; the counts leave room for it.
    assert judge(windows) == [verdict(window) for window in windows]


class Receiver:
    """A receiver that comes up in the positions given after some time, and has fine windows in position 0 alone."""

    def __init__(self, positions: list[int], window: int = 40, start: int = 10) -> None:
        self.positions, self.window, self.start = positions, window, start
        self.dut = AlignControl(SETTLE, DEADLINE)
        self.noise: Callable[[], str | None] = lambda: None
        self.restarts = 0

    @passive
    def run(self) -> Steps:
        dut, position, starting, place = self.dut, self.positions.pop(0), self.start, 0
        was = 0
        while True:
            restart = yield dut.restart
            if restart:
                if not was:
                    self.restarts += 1
                    position = self.positions.pop(0) if self.positions else position
                starting = self.start
            elif starting:
                starting -= 1
            was = restart
            yield dut.started.eq(not restart and starting == 0)
            place = (place + 1) % self.window
            said = self.noise() or ("fine" if position == 0 else "dirty")
            yield dut.fine.eq(place == 0 and said == "fine" and not starting)
            yield dut.dirty.eq(place == 0 and said == "dirty" and not starting)
            yield

    def until(self, ready: int, cycles: int = 20000) -> Steps:
        for _ in range(cycles):
            if (yield self.dut.ready) == ready:
                return
            yield
        raise AssertionError(f"ready does not become {ready}")


@pytest.mark.parametrize("tries", [0, 1, 7])
def test_the_receiver_is_started_until_the_comma_is_in_its_place(tries: int) -> None:
    receiver = Receiver([*range(1, tries + 1), 0])

    def steps() -> Steps:
        yield from receiver.until(1)
        assert receiver.restarts == tries
        for _ in range(2000):
            yield
            assert (yield receiver.dut.ready)
        assert receiver.restarts == tries

    run_simulation(receiver.dut, [steps(), receiver.run()])


def test_single_bad_windows_are_borne_and_several_in_a_row_are_not() -> None:
    receiver = Receiver([0, 0, 0])
    script: list[str] = []
    receiver.noise = lambda: script[0] if script else None

    def windows(*said: str) -> Steps:
        for verdict in said:
            script[:] = [verdict]
            for _ in range(receiver.window):
                yield
        script.clear()

    def steps() -> Steps:
        yield from receiver.until(1)
        for _ in range(5):
            yield from windows("dirty", "fine")
            assert (yield receiver.dut.ready)
        assert receiver.restarts == 0
        yield from windows(*["dirty"] * (STRIKES + 1))
        assert receiver.restarts == 1
        yield from receiver.until(1)

    run_simulation(receiver.dut, [steps(), receiver.run()])


@pytest.mark.parametrize("said", ["nothing", "stops"])
def test_without_any_verdict_it_is_started_again_before_and_after_it_was_ready(said: str) -> None:
    receiver = Receiver([0, 0, 0, 0])
    silent = [said == "nothing"]
    receiver.noise = lambda: "silence" if silent[0] else None

    def steps() -> Steps:
        if said == "stops":
            yield from receiver.until(1)
            silent[0] = True
        for _ in range(3 * (SETTLE + DEADLINE)):
            yield
        assert receiver.restarts >= 1
        assert not (yield receiver.dut.ready)
        silent[0] = False
        yield from receiver.until(1)

    run_simulation(receiver.dut, [steps(), receiver.run()])


def test_windows_before_it_settled_say_nothing() -> None:
    receiver = Receiver([0], window=4)
    begun = [0]

    def noise() -> str | None:
        begun[0] += 1
        return "dirty" if begun[0] < receiver.start + SETTLE // 2 else None

    receiver.noise = noise

    def steps() -> Steps:
        yield from receiver.until(1)
        assert receiver.restarts == 0

    run_simulation(receiver.dut, [steps(), receiver.run()])
