"""Switching the clock of `sys`: steps, refusals, failures and losses, against a naive model of the clocks."""

import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest
from migen import Signal, passive, run_simulation

from corelog_gateware.clocking.switch import (
    CLOCK_LOST,
    MMCM_UNLOCKED,
    NO_CLOCK,
    NO_ERROR,
    NOT_ALIGNED,
    PLL_UNLOCKED,
    ClockSwitch,
)

Steps = Generator[Any, Any, Any]
HOLD, SETTLE, PATIENCE, LONG_PATIENCE = 4, 20, 40, 80
LOCK = 10  # cycles that the MMCM takes


@dataclass
class World:
    """What the switch meets. Delays in cycles; None: never."""

    pll: int | None = 5
    clock: bool = True
    mmcm: bool = True
    align: int | None = 30


def expected_error(world: World) -> int:
    """The outcome of a switch to the main clock, by what is wrong with the world."""
    if world.pll is None:
        return PLL_UNLOCKED
    if not world.clock:
        return NO_CLOCK
    if not world.mmcm:
        return MMCM_UNLOCKED
    if world.align is None:
        return NOT_ALIGNED
    return NO_ERROR


class Bench:
    """A switch, the clocks around it, and who wants something from it. Checks the rules in every cycle."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dut = ClockSwitch(HOLD, SETTLE, PATIENCE, LONG_PATIENCE)
        self.began = 0

    @passive
    def clocks(self) -> Steps:
        dut, since = self.dut, dict.fromkeys(("enable", "start", "running"), 0)
        select = 0
        while True:
            world = self.world
            alive = world.mmcm if (yield dut.select) else True
            if (yield dut.select) != select:
                select, since["start"] = (yield dut.select), 0
            running = {
                "enable": (yield dut.enable),
                "start": not (yield dut.stop) and alive,
                "running": (yield dut.running),
            }
            for name, on in running.items():
                since[name] = since[name] + 1 if on else 0
            yield dut.main_ready.eq(world.pll is not None and since["enable"] > world.pll)
            yield dut.main_good.eq(world.clock)
            yield dut.locked.eq(since["start"] > LOCK)
            yield dut.aligned.eq(world.align is not None and since["running"] > world.align)
            yield

    @passive
    def rules(self) -> Steps:
        dut, before = self.dut, {}
        names = ("select", "stop", "reset", "done", "locked", "running", "enable")
        since_reset, since_select, since_stop = 0, HOLD, 0
        while True:
            now = {}
            for name in names:
                now[name] = yield getattr(dut, name)
            self.began += yield dut.began
            since_reset = since_reset + 1 if now["reset"] else 0
            since_select += 1
            if before:
                if now["select"] != before["select"]:
                    assert before["stop"] and now["stop"], "the input changed while the MMCM was running"
                    since_select = 0
                if before["stop"] and not now["stop"]:
                    assert since_select >= HOLD and since_stop >= 2 * HOLD, "the MMCM's reset is too short"
                if now["stop"] and not before["stop"]:
                    assert since_reset > HOLD, "the MMCM was stopped before sys was in reset for a while"
                if before["reset"] and not now["reset"]:
                    assert before["locked"] and not now["stop"], "sys started without a clock"
            assert not now["stop"] or now["reset"], "sys runs with the MMCM stopped"
            assert not now["done"] or (now["select"] and not now["reset"])
            assert not now["running"] or (now["select"] and now["enable"])
            since_stop = since_stop + 1 if now["stop"] else 0
            before = now
            yield

    def wait_until(self, signal: Signal, value: int, cycles: int = 2000) -> Steps:
        for _ in range(cycles):
            if (yield signal) == value:
                return
            yield
        raise AssertionError(f"no {value} in {cycles} cycles")

    def wish(self, main: bool) -> Steps:
        """As the SoC: the wish stands until it is answered or a reset takes it away. Ends when `sys` is up."""
        wish = self.dut.to_main if main else self.dut.to_bootstrap
        yield wish.eq(1)
        for _ in range(2000):
            yield
            if (yield self.dut.answered) or (yield self.dut.reset):
                break
        else:
            raise AssertionError("no answer")
        yield wish.eq(0)
        yield
        yield from self.wait_until(self.dut.reset, 0)
        yield from self.wait_until(self.dut.answered, 0)

    def run(self, *steps: Steps) -> None:
        run_simulation(self.dut, [*steps, self.clocks(), self.rules()])


@pytest.mark.parametrize(
    ("world", "resets"),
    [
        (World(), 1),
        (World(pll=None), 0),
        (World(clock=False), 0),
        (World(mmcm=False), 1),
        (World(align=None), 1),
        (World(pll=PATIENCE - 5, align=LONG_PATIENCE - 10), 1),
    ],
)
def test_a_switch_ends_with_a_running_sys_and_says_what_went_wrong(world: World, resets: int) -> None:
    bench = Bench(world)
    dut = bench.dut

    def steps() -> Steps:
        yield from bench.wait_until(dut.reset, 0)
        assert bench.began == 0, "power-on is no change of clocks"
        yield from bench.wish(main=True)
        assert (yield dut.error) == expected_error(world)
        good = expected_error(world) == NO_ERROR
        assert ((yield dut.select), (yield dut.done), (yield dut.enable)) == (good, good, good)
        assert bench.began == resets

    bench.run(steps())


def test_the_way_there_and_back_and_wishes_for_what_there_is_already() -> None:
    bench = Bench(World())
    dut = bench.dut

    def steps() -> Steps:
        yield from bench.wait_until(dut.reset, 0)
        yield from bench.wish(main=False)
        assert bench.began == 0 and not (yield dut.select)
        for n in range(3):
            yield from bench.wish(main=True)
            yield from bench.wish(main=True)
            assert bench.began == 2 * n + 1 and (yield dut.done)
            yield from bench.wish(main=False)
            assert bench.began == 2 * n + 2 and not (yield dut.done)

    bench.run(steps())


@pytest.mark.parametrize("lost", ["frequency", "lock"])
def test_a_clock_lost_in_use_brings_sys_back_on_the_bootstrap_clock_and_it_can_be_tried_again(lost: str) -> None:
    bench = Bench(World())
    dut = bench.dut

    def steps() -> Steps:
        yield from bench.wait_until(dut.reset, 0)
        yield from bench.wish(main=True)
        if lost == "frequency":
            bench.world.clock = False
        else:
            bench.world.mmcm = False
        yield from bench.wait_until(dut.reset, 1)
        yield from bench.wait_until(dut.reset, 0)
        assert ((yield dut.select), (yield dut.done), (yield dut.error)) == (0, 0, CLOCK_LOST)
        assert bench.began == 2
        bench.world = World()
        yield from bench.wish(main=True)
        assert ((yield dut.done), (yield dut.error)) == (1, NO_ERROR)

    bench.run(steps())


def test_random_wishes_in_a_world_that_changes() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    bench = Bench(World())
    dut = bench.dut

    def steps() -> Steps:
        yield from bench.wait_until(dut.reset, 0)
        on_main = False
        for _ in range(40):
            if not on_main:
                bench.world = World(
                    pll=rng.choice([None, 1, 20]), clock=rng.random() < 0.7, mmcm=rng.random() < 0.7,
                    align=rng.choice([None, 1, 50]),
                )  # fmt: skip
                yield from bench.wish(main=True)
                error = expected_error(bench.world)
                on_main = error == NO_ERROR
                assert ((yield dut.error), (yield dut.done)) == (error, on_main)
            elif rng.random() < 0.5:
                yield from bench.wish(main=False)
                on_main = False
                assert ((yield dut.error), (yield dut.done)) == (NO_ERROR, 0)
            else:
                bench.world.clock = False
                yield from bench.wait_until(dut.reset, 1)
                yield from bench.wait_until(dut.reset, 0)
                on_main = False
                assert ((yield dut.error), (yield dut.done)) == (CLOCK_LOST, 0)

    bench.run(steps())
