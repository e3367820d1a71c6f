"""Time of the RTIO core."""

from migen import Cat, Constant, Module, Mux, Signal

from .cri import COARSE_BITS, FINE_BITS


class TimestampCounter(Module):
    """64-bit time in machine units; 8 mu are one clock cycle.

    coarse   time of this cycle in coarse cycles (61 bits), 0 in the first cycle after reset of the clock domain
    full     the same in mu (64 bits)
    load     high for a cycle: load_value (64, mu, fine part ignored) is the time of this very cycle, so that the next
             one shows a coarse cycle more; without it time goes on from what `coarse` shows
    ahead(n) a register that shows coarse + n; asked for before finalisation, one per n
    """

    def __init__(self) -> None:
        self.coarse = Signal(COARSE_BITS)
        self.full = Signal(64)
        self.load = Signal()
        self.load_value = Signal(64)

        # # #

        self._ahead: dict[int, Signal] = {}
        self.comb += self.full.eq(Cat(Constant(0, FINE_BITS), self.coarse))
        self._now = Signal(COARSE_BITS)
        self.comb += self._now.eq(Mux(self.load, self.load_value[FINE_BITS:], self.coarse))
        self.sync += self.coarse.eq(self._now + 1)

    def ahead(self, cycles: int) -> Signal:
        """coarse + cycles from a register of its own, so that no adder stands before a comparator."""
        if cycles not in self._ahead:
            shown = Signal(COARSE_BITS, reset=cycles, name=f"coarse_ahead{cycles}")
            self.sync += shown.eq(self._now + (cycles + 1))
            self._ahead[cycles] = shown
        return self._ahead[cycles]
