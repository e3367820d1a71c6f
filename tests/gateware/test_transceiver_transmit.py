"""Start and alignment of transmitters against a model of their pins (UG482: buffer bypass of lanes by hand)."""

import random
from collections.abc import Generator
from typing import Any

import pytest
from migen import Module, Record, passive, run_simulation

from corelog_gateware.transceiver.transmit import INPUTS, OUTPUTS, TransmitAlignment, lane_layout

Steps = Generator[Any, Any, Any]
ATTEMPT, HOLD = 1200, 10


class Lane:
    """What a channel does with its pins; keeps the order of what it was asked for in ``story``, shared by all."""

    def __init__(self, n: int, pins: Record, story: list[str], rng: random.Random) -> None:
        self.n, self.pins, self.story, self.rng = n, pins, story, rng
        self.dead: str | None = None  # this answer never comes
        self.stuck: str | None = None  # this one is always there

    @passive
    def run(self) -> Steps:
        pins, before = self.pins, dict.fromkeys(OUTPUTS, 0)
        answers: dict[str, list] = {}  # input -> [cycles left, value]
        while True:
            now = {}
            for name in OUTPUTS:
                now[name] = yield getattr(pins, name)
            for name in OUTPUTS:
                if now[name] != before[name]:
                    self.story.append(f"{name}{'+' if now[name] else '-'}{self.n}")
            rises = {name for name in OUTPUTS if now[name] and not before[name]}
            delay = self.rng.randrange(1, 30)
            if now["reset"]:
                answers.clear()
                for name in INPUTS:
                    yield getattr(pins, name).eq(name == self.stuck)
            elif before["reset"] and not now["reset"]:
                answers["resetdone"] = [delay + 20, 1]
            if "dlysreset" in rises:
                answers["dlysresetdone"] = [delay, 1]
            if "phinit" in rises:
                answers["phinitdone"] = [delay, 1]
            if "phalign" in rises:
                answers["phaligndone"] = [delay, 1]
            if "dlyen" in rises:
                # It falls, and rises when the delay is aligned.
                yield pins.phaligndone.eq(0)
                answers["phaligndone"] = [delay + 5, 1]
            for name, answer in list(answers.items()):
                answer[0] -= 1
                if not answer[0]:
                    del answers[name]
                    if name != self.dead:
                        yield getattr(pins, name).eq(answer[1])
            before = now
            yield


class Bench(Module):
    def __init__(self, lanes: int) -> None:
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        rng = random.Random(seed)
        self.story: list[str] = []
        records = [Record(lane_layout()) for _ in range(lanes)]
        self.lanes = [Lane(n, pins, self.story, rng) for n, pins in enumerate(records)]
        self.submodules.dut = self.dut = TransmitAlignment(records, ATTEMPT, HOLD)

    def run(self, steps: Steps) -> None:
        run_simulation(self, [steps, *(lane.run() for lane in self.lanes)])

    def until_done(self, cycles: int) -> Steps:
        for _ in range(cycles):
            if (yield self.dut.done):
                return
            yield
        raise AssertionError("not aligned")

    def phases(self) -> list[tuple[str, str]]:
        """What was asked for, in order, of which lanes: those that were asked for the same thing at once together."""
        found: list[tuple[str, set[int]]] = []
        for entry in self.story:
            name, n = entry.rstrip("0123456789"), int(entry[len(entry.rstrip("0123456789")) :])
            if name.endswith("+"):
                if found and found[-1][0] == name[:-1] and n not in found[-1][1]:
                    found[-1][1].add(n)
                else:
                    found.append((name[:-1], {n}))
        return [(name, "".join(map(str, sorted(lanes)))) for name, lanes in found]


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_the_steps_are_those_of_the_manual_and_every_pin_is_held_until_it_is_answered(lanes: int) -> None:
    bench = Bench(lanes)
    dut = bench.dut
    everyone, slaves = "".join(map(str, range(lanes))), "".join(map(str, range(1, lanes)))

    def steps() -> Steps:
        for _ in range(3 * HOLD):
            assert bench.phases() in ([], [("reset", everyone)]), "nothing begins before the clock is there"
            yield
        yield dut.start.eq(1)
        yield from bench.until_done(ATTEMPT)
        bench_end = len(bench.story)
        for _ in range(2 * ATTEMPT):
            yield
            assert (yield dut.done)
        assert len(bench.story) == bench_end

    bench.run(steps())
    expected = [("reset", everyone), ("userrdy", everyone), ("dlysreset", everyone), ("phinit", everyone)]
    expected += [("phalign", "0")]
    if lanes > 1:
        expected += [("dlyen", "0"), ("phalign", slaves)]
    assert bench.phases() == [*expected, ("dlyen", "0")]
    ends = [entry for entry in bench.story if "-" in entry]
    # Everything was let go again but userrdy and the master's dlyen.
    for name in ("reset", "dlysreset", "phinit", "phalign"):
        assert sorted(entry for entry in ends if entry.startswith(f"{name}-")) == [f"{name}-{n}" for n in range(lanes)]
    assert not any(entry.startswith("userrdy") for entry in ends)
    assert [entry for entry in ends if entry.startswith("dlyen")] == (["dlyen-0"] if lanes > 1 else [])


@pytest.mark.parametrize("answer", INPUTS)
def test_an_answer_that_does_not_come_is_asked_for_again_from_the_reset(answer: str) -> None:
    bench = Bench(3)
    dut = bench.dut
    bench.lanes[1].dead = answer

    def steps() -> Steps:
        yield dut.start.eq(1)
        for _ in range(2 * ATTEMPT + 100):
            yield
            assert not (yield dut.done)
        assert bench.story.count("reset-1") >= 2
        bench.lanes[1].dead = None
        yield from bench.until_done(2 * ATTEMPT)

    bench.run(steps())


@pytest.mark.parametrize(("answer", "pin"), [("dlysresetdone", "dlysreset"), ("phinitdone", "phinit")])
def test_an_answer_that_is_there_before_does_not_save_the_question(answer: str, pin: str) -> None:
    bench = Bench(2)
    bench.lanes[1].stuck = answer

    def steps() -> Steps:
        yield bench.dut.start.eq(1)
        yield from bench.until_done(ATTEMPT)
        assert f"{pin}+1" in bench.story

    bench.run(steps())


def test_a_clock_that_goes_takes_everything_back_into_reset() -> None:
    bench = Bench(2)
    dut = bench.dut

    def steps() -> Steps:
        for _ in range(2):
            yield dut.start.eq(1)
            yield from bench.until_done(ATTEMPT)
            yield dut.start.eq(0)
            yield
            yield
            yield
            assert not (yield dut.done)
            for name in OUTPUTS:
                assert (yield getattr(bench.lanes[0].pins, name)) == (name == "reset")

    bench.run(steps())
