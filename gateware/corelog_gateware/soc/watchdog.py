"""Resets the SoC when the firmware has stopped living."""

from litex.soc.interconnect.csr import CSR, AutoCSR, CSRStorage
from migen import If, Module, Signal


class Watchdog(Module, AutoCSR):
    """Counts cycles since it was last fed and expires at ``period``.

    CSRs
      - ``period`` (32): cycles without feeding until expiry; 0 (after reset) turns it off. Writing it also feeds.
      - ``feed``: any write restarts the count.

    Output ``expired``: high for one cycle, ``period`` cycles after the last feeding, and again every ``period`` cycles.
    """

    def __init__(self):
        self.expired = Signal()
        self._period = CSRStorage(32, name="period")
        self._feed = CSR(1, name="feed")

        # # #

        left = Signal(32)
        self.sync += [
            self.expired.eq(0),
            If(
                self._period.re | self._feed.re,
                left.eq(self._period.storage),
            ).Elif(
                left == 1,
                left.eq(self._period.storage),
                self.expired.eq(1),
            ).Elif(
                left != 0,
                left.eq(left - 1),
            ),
        ]
