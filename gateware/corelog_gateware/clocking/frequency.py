"""How fast a clock runs, measured with another one."""

from migen import ClockDomainsRenamer, If, Module, Signal
from migen.genlib.cdc import GrayCounter, GrayDecoder, MultiReg

# Cycles of the measured clock in a cycle of the other one: at most half of what this many bits count.
_BITS = 4


class FrequencyMeter(Module):
    """Counts the cycles of clock domain ``domain`` in ``window`` cycles of the module's own domain, over and over.

    :param low, high: a count from ``low`` to ``high`` is ``good``.

    Outputs, registers: ``count`` (20) of the last whole window, 0 for a clock that stands; ``good``, 0 until two whole
    windows have passed; ``stb``, one cycle when they are new. ``domain`` needs no reset and is not disturbed.
    """

    def __init__(self, domain: str, window: int, low: int, high: int) -> None:
        self.count = Signal(20)
        self.good = Signal()
        self.stb = Signal()

        # # #

        self.submodules.counter = counter = ClockDomainsRenamer(domain)(GrayCounter(_BITS))
        self.submodules.decoder = decoder = GrayDecoder(_BITS)
        self.comb += counter.ce.eq(1)
        self.specials += MultiReg(counter.q, decoder.i, n=3)
        before, step = Signal(_BITS), Signal(_BITS)
        place = Signal(max=window)
        total = Signal(20)
        started = Signal()
        self.comb += step.eq(decoder.o - before)
        self.sync += [
            before.eq(decoder.o),
            total.eq(total + step),
            place.eq(place + 1),
            self.stb.eq(0),
            If(place == window - 1,
                place.eq(0),
                # This cycle's step opens the next window.
                total.eq(step),
                started.eq(1),
                self.count.eq(total),
                self.good.eq(started & (total >= low) & (total <= high)),
                self.stb.eq(1),
            ),
        ]
