"""Clock, power-on reset and warm reset of the SoC."""

from migen import ClockDomain, If, Module, Signal

POWER_ON, REQUESTED, WATCHDOG = range(3)
RESET_CYCLES = 16


class ResetManager(Module):
    """Drives the ``sys`` clock domain and its reset.

    :param clk: the clock (Signal).

    After configuration, and after each pulse on an input, ``sys`` is held in reset for ``RESET_CYCLES`` cycles.
    Memories keep their contents, every other register starts afresh.

    Inputs (``sys`` domain, one cycle high): ``request``, ``watchdog``. If both come together the cause is the watchdog.
    Outputs: ``active``, high while in reset; ``cause`` (2): ``POWER_ON``, ``REQUESTED`` or ``WATCHDOG``, valid from the
    first cycle of ``active`` until the next reset. Both live in a domain of their own that no reset reaches.
    """

    def __init__(self, clk: Signal):
        self.request = Signal()
        self.watchdog = Signal()
        self.active = Signal()
        self.cause = Signal(2)
        self.clock_domains.cd_sys = ClockDomain()
        self.clock_domains.cd_por = ClockDomain(reset_less=True)

        # # #

        left = Signal(max=RESET_CYCLES + 1, reset=RESET_CYCLES)
        self.comb += [
            self.cd_sys.clk.eq(clk),
            self.cd_por.clk.eq(clk),
            self.active.eq(left != 0),
            self.cd_sys.rst.eq(self.active),
        ]
        self.sync.por += [
            If(self.active, left.eq(left - 1)),
            If(self.request, left.eq(RESET_CYCLES), self.cause.eq(REQUESTED)),
            If(self.watchdog, left.eq(RESET_CYCLES), self.cause.eq(WATCHDOG)),
        ]
