"""The recovered clock: steps of its phase, over a model of the MMCM that makes them."""

import random
from collections.abc import Generator
from typing import Any

from migen import If, Instance, Module, Record, Signal
from migen.sim.core import Simulator

from corelog_gateware.clocking.recovered import STEPS, RecoveredClock

Steps = Generator[Any, Any, Any]
STEP_CYCLES = 12  # UG472: PSDONE comes so long after PSEN
LOCK_CYCLES = 30


class Cells:
    """Stands in for Migen's Instances: an MMCM that counts the steps of its phase; other cells do nothing."""

    def __init__(self) -> None:
        self.phase = Signal((16, True))
        self.refused = Signal()

    def lower(self, cell: Instance) -> Module:
        model, pins = Module(), {item.name: item.expr for item in cell.items if isinstance(item, Instance._IO)}
        if cell.of != "MMCME2_ADV":
            return model
        left, runs = Signal(max=STEP_CYCLES + 1), Signal(max=LOCK_CYCLES + 1)
        step = Signal((2, True))
        model.comb += [
            If(pins["PSINCDEC"], step.eq(1)).Else(step.eq(-1)),
            pins["PSDONE"].eq(left == 1),
            pins["LOCKED"].eq(runs == LOCK_CYCLES),
        ]
        model.sync += [
            If(left != 0, left.eq(left - 1)),
            If(pins["PSEN"], left.eq(STEP_CYCLES), self.phase.eq(self.phase + step)),
            # A step within a step is undefined.
            If(pins["PSEN"] & (left > 1), self.refused.eq(1)),
            If(runs != LOCK_CYCLES, runs.eq(runs + 1)),
            If(pins["RST"], left.eq(0), runs.eq(0), self.phase.eq(0)),
        ]
        return model


class Bench:
    def __init__(self) -> None:
        self.ready = Signal()
        self.dut = RecoveredClock(Record([("p", 1), ("n", 1)]), Signal(), Signal(), self.ready)
        self.cells = Cells()

    def run(self, steps: Steps) -> None:
        domains = dict.fromkeys(("sys", "bootstrap"), 10)
        cells = self.cells

        class Override:
            lower = staticmethod(cells.lower)

        simulator = Simulator(self.dut, [steps], clocks=domains, special_overrides={Instance: Override})
        simulator.run()

    def shift(self, later: bool) -> Steps:
        csr = self.dut._shift
        yield csr.r.eq(later)
        yield csr.re.eq(1)
        yield
        yield csr.re.eq(0)
        yield

    def until_done(self) -> Steps:
        for _ in range(3 * STEP_CYCLES):
            if not (yield self.dut._shift.w):
                return
            yield
        raise AssertionError("the step does not end")

    def until_locked(self) -> Steps:
        yield self.ready.eq(1)
        for _ in range(2 * LOCK_CYCLES):
            if (yield self.dut._locked.status):
                return
            yield
        raise AssertionError("it does not lock")


def test_every_step_is_made_once_in_its_direction_and_waited_for() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng, bench = random.Random(seed), Bench()

    def steps() -> Steps:
        yield from bench.until_locked()
        expected = 0
        for _ in range(60):
            later = rng.random() < 0.6
            yield from bench.shift(later)
            assert (yield bench.dut._shift.w)
            if rng.random() < 0.3:
                # A step before the last one is done is not made.
                yield from bench.shift(not later)
            yield from bench.until_done()
            expected += 1 if later else -1
            assert (yield bench.cells.phase) == expected
        assert not (yield bench.cells.refused)

    bench.run(steps())


def test_without_a_clock_there_are_no_steps_and_a_new_one_begins_at_0() -> None:
    bench = Bench()

    def steps() -> Steps:
        yield from bench.shift(True)
        assert not (yield bench.dut._shift.w), "it would never be done"
        yield from bench.until_locked()
        yield from bench.shift(True)
        yield bench.ready.eq(0)
        yield
        yield
        yield
        assert not (yield bench.dut._shift.w)
        for _ in range(5):
            yield
        assert not (yield bench.dut._locked.status)
        yield from bench.until_locked()
        assert (yield bench.cells.phase) == 0
        yield from bench.shift(True)
        yield from bench.until_done()
        assert (yield bench.cells.phase) == 1

    bench.run(steps())


def test_448_steps_are_a_cycle() -> None:
    cells = [special for special in Bench().dut.get_fragment().specials if isinstance(special, Instance)]
    mmcm = next(cell for cell in cells if cell.of == "MMCME2_ADV")
    given = {item.name: item.value for item in mmcm.items if isinstance(item, Instance.Parameter)}
    vco = given["CLKFBOUT_MULT_F"] * 1000 / given["CLKIN1_PERIOD"]
    assert 600 <= vco <= 1440 and given["CLKOUT0_DIVIDE_F"] == given["CLKFBOUT_MULT_F"]
    assert given["CLKOUT0_USE_FINE_PS"] == "TRUE"
    # UG472: a step is 1/56 of the VCO's period.
    assert given["CLKIN1_PERIOD"] * vco / 1000 * 56 == STEPS
