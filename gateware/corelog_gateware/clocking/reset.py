"""Resets of a real board: who asked for one, and for how long."""

from migen import ClockDomainsRenamer, If, Module, Signal
from migen.genlib.cdc import BusSynchronizer, MultiReg

from ..soc.reset import POWER_ON, REQUESTED, RESET_CYCLES, WATCHDOG

CLOCK = 3


class _Timer(Module):
    """In the domain of the bootstrap clock. ``request`` and ``watchdog`` are levels that the reset clears."""

    def __init__(self) -> None:
        self.request = Signal()
        self.watchdog = Signal()
        self.clock = Signal()
        self.reset = Signal(reset=1)
        self.cause = Signal(2, reset=POWER_ON)

        # # #

        left = Signal(max=RESET_CYCLES + 1, reset=RESET_CYCLES)
        self.sync += [
            If(left != 0, left.eq(left - 1)).Elif(self.request, left.eq(RESET_CYCLES), self.cause.eq(REQUESTED)),
            # It may come a little after a request of the same cycle; then it is the cause.
            If(self.watchdog, left.eq(RESET_CYCLES), self.cause.eq(WATCHDOG)),
            If(self.clock, left.eq(RESET_CYCLES), self.cause.eq(CLOCK)),
            self.reset.eq(left != 0),
        ]


class ResetControl(Module):
    """Says when `sys` is in reset and why, as ``soc/reset.py`` does, but counts in ``bootstrap``, whose clock never
    stops, and knows one cause more: ``CLOCK``, the clock of `sys` was changed or lost.

    Inputs (``sys``, one cycle high): ``request``, ``watchdog``. Input (``bootstrap``, one cycle): ``clock``.
    Outputs: ``reset`` (``bootstrap``, register), at least RESET_CYCLES cycles of ``bootstrap``; ``cause`` (2, ``sys``):
    valid from 300 cycles after a reset to the next.
    """

    def __init__(self) -> None:
        self.request = Signal()
        self.watchdog = Signal()
        self.clock = Signal()
        self.reset = Signal()
        self.cause = Signal(2)

        # # #

        # Levels, which the reset itself takes away: a pulse could be lost with the clock it belongs to.
        request, watchdog = Signal(), Signal()
        self.sync += [If(self.request, request.eq(1)), If(self.watchdog, watchdog.eq(1))]
        self.submodules.timer = timer = ClockDomainsRenamer("bootstrap")(_Timer())
        self.specials += [
            MultiReg(request, timer.request, "bootstrap"),
            MultiReg(watchdog, timer.watchdog, "bootstrap"),
        ]
        self.submodules.across = across = BusSynchronizer(len(self.cause), "bootstrap", "sys")
        self.comb += [
            across.i.eq(timer.cause),
            self.cause.eq(across.o),
            timer.clock.eq(self.clock),
            self.reset.eq(timer.reset),
        ]
