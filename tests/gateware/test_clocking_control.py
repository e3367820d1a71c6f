"""Registers, resets and measurement of a CRG, with clocks of different speeds."""

from collections.abc import Generator
from typing import Any

import pytest
from migen import ClockDomain, If, Module, Signal, passive, run_simulation
from migen.genlib.cdc import MultiReg

from corelog_gateware.clocking.control import ClockControl
from corelog_gateware.clocking.frequency import FrequencyMeter
from corelog_gateware.clocking.reset import CLOCK
from corelog_gateware.clocking.switch import CLOCK_LOST, NO_CLOCK, NO_ERROR
from corelog_gateware.soc.reset import POWER_ON, REQUESTED, RESET_CYCLES, WATCHDOG

Steps = Generator[Any, Any, Any]
SETTLED = 300  # cycles after a reset until the registers show what `bootstrap` knows (BusSynchronizer: up to 128)
LOCK = 30  # cycles that the MMCM takes
MS = 200  # cycles of the simulated millisecond: windows are that much shorter


def settled() -> Steps:
    for _ in range(SETTLED):
        yield


class Board(Module):
    """A control with the MMCM's place taken: `sys` has the bootstrap clock's speed whichever is selected."""

    def __init__(self) -> None:
        for name in ("sys", "bootstrap"):
            setattr(self.clock_domains, f"cd_{name}", ClockDomain(name))
        self.clock_domains.cd_main = ClockDomain(reset_less=True)
        self.submodules.dut = self.dut = dut = ClockControl(ms=MS)
        self.unlock = Signal()
        reset, runs = Signal(reset=1), Signal(max=LOCK + 1)
        self.specials += MultiReg(dut.active, reset, reset=1)
        self.comb += [self.cd_sys.rst.eq(reset), self.cd_bootstrap.rst.eq(0), dut.locked.eq(runs == LOCK)]
        self.sync.bootstrap += If(dut.stop | self.unlock, runs.eq(0)).Elif(runs != LOCK, runs.eq(runs + 1))

    def run(self, steps: Steps, main: int = 1000) -> None:
        run_simulation(
            self, {"sys": [steps, self.no_reset_of_no_effect()]}, clocks={"sys": 1000, "bootstrap": 1000, "main": main}
        )

    @passive
    def no_reset_of_no_effect(self) -> Steps:
        """A reset lasts its time."""
        length = 0
        while True:
            if (yield self.dut.active):
                length += 1
            else:
                assert length == 0 or length >= RESET_CYCLES
                length = 0
            yield

    def until_up(self, cycles: int = 20 * MS) -> Steps:
        for _ in range(cycles):
            if not (yield self.cd_sys.rst):
                return
            yield
        raise AssertionError("sys stays in reset")

    def until_down(self, cycles: int = 20 * MS) -> Steps:
        for _ in range(cycles):
            if (yield self.cd_sys.rst):
                return
            yield
        raise AssertionError("no reset")

    def pulse(self, *signals: Signal) -> Steps:
        for signal in signals:
            yield signal.eq(1)
        yield
        for signal in signals:
            yield signal.eq(0)

    def write_clock_sel(self, value: int) -> Steps:
        csr = self.dut._clock_sel
        yield csr.r.eq(value)
        yield from self.pulse(csr.re)
        yield csr.r.eq(0)


@pytest.mark.parametrize(
    ("causes", "cause"),
    [
        ([["request"]], REQUESTED),
        ([["watchdog"]], WATCHDOG),
        ([["request", "watchdog"]], WATCHDOG),
        ([["request"], ["watchdog"]], WATCHDOG),
    ],
)
def test_resets_have_a_cause_and_happen_once(causes: list[list[str]], cause: int) -> None:
    board = Board()
    dut = board.dut

    def steps() -> Steps:
        yield from board.until_up()
        yield from settled()
        assert (yield dut.cause) == POWER_ON
        for _ in range(2):
            for together in causes:
                yield from board.pulse(*(getattr(dut, name) for name in together))
            yield from board.until_down(cycles=10)
            yield from board.until_up(cycles=2 * RESET_CYCLES)
            yield from settled()
            assert (yield dut.cause) == cause
            for _ in range(5 * RESET_CYCLES):
                assert not (yield dut.active)
                yield

    board.run(steps())


def test_a_switch_resets_once_and_survives_other_resets() -> None:
    board = Board()
    dut = board.dut

    def registers() -> Steps:
        done = yield dut._switch_done.status
        return done, (yield dut._clock_sel.w), (yield dut._switch_error.status)

    def steps() -> Steps:
        yield from board.until_up()
        yield from board.write_clock_sel(1)
        yield from board.until_down()
        yield from board.until_up()
        yield from settled()
        assert (yield dut.cause) == CLOCK
        assert (yield from registers()) == (1, 1, NO_ERROR)
        for _ in range(5 * MS):
            assert not (yield dut.active)
            yield
        yield from board.pulse(dut.watchdog)
        yield from board.until_down()
        yield from board.until_up(cycles=2 * RESET_CYCLES)
        yield from settled()
        assert (yield dut.cause) == WATCHDOG
        assert (yield from registers()) == (1, 1, NO_ERROR)
        yield from board.write_clock_sel(0)
        yield from board.until_down()
        yield from board.until_up()
        yield from settled()
        assert (yield dut.cause) == CLOCK
        assert (yield from registers()) == (0, 0, NO_ERROR)

    board.run(steps())


def test_a_clock_of_another_frequency_is_refused_without_a_reset_as_often_as_it_is_asked_for() -> None:
    board = Board()
    dut = board.dut

    def steps() -> Steps:
        yield from board.until_up()
        for _ in range(3):
            yield from board.write_clock_sel(1)
            for _ in range(8 * MS):
                assert not (yield dut.active)
                yield
            assert (yield dut._switch_error.status) == NO_CLOCK
            assert not (yield dut._switch_done.status)
        # 100 MHz where there should be 125: counts 0.8 of what they should be.
        assert abs((yield dut._main_khz.status) - 0.8 * MS) <= 2

    board.run(steps(), main=1250)


def test_the_mmcm_out_of_lock_in_use_gives_the_clock_up() -> None:
    board = Board()
    dut = board.dut

    def steps() -> Steps:
        yield from board.until_up()
        yield from board.write_clock_sel(1)
        yield from board.until_down()
        yield from board.until_up()
        yield from board.pulse(board.unlock)
        yield from board.until_down(cycles=20)
        yield from board.until_up()
        yield from settled()
        assert (yield dut.cause) == CLOCK
        assert ((yield dut._switch_done.status), (yield dut._switch_error.status)) == (0, CLOCK_LOST)

    board.run(steps())


@pytest.mark.parametrize("period", [1000, 1250, 2000, 800, 340, 1002])
def test_the_meter_counts_cycles_of_a_window(period: int) -> None:
    window, low, high = 1000, 990, 1010
    dut = FrequencyMeter("main", window, low, high)
    expected = window * 1000 / period
    seen: list[tuple[int, int]] = []

    def steps() -> Steps:
        while len(seen) < 6:
            yield
            if (yield dut.stb):
                seen.append(((yield dut.count), (yield dut.good)))

    run_simulation(dut, {"sys": steps()}, clocks={"sys": 1000, "main": period})
    assert not seen[0][1], "the first window is not whole"
    for count, good in seen[1:]:
        assert abs(count - expected) <= 1
        assert good == (low <= count <= high)


def test_the_meter_says_0_for_a_clock_that_stands() -> None:
    dut = FrequencyMeter("main", 100, 90, 110)

    def steps() -> Steps:
        for _ in range(1000):
            yield
            assert not (yield dut.good)
        assert (yield dut.count) == 0

    run_simulation(dut, {"sys": steps()}, clocks={"sys": 10, "main": 10**7})
