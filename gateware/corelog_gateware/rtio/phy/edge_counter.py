"""Counts the edges of a digital input, of which the core then needs one event for any number."""

from functools import reduce
from operator import add

from migen import Cat, If, Module, Mux, Signal
from migen.genlib.cdc import MultiReg

from ..channel import InputInterface, OutputInterface
from .ttl_words import Later

# As in ARTIQ, where a count is a signed number of 32 bits.
COUNT_BITS = 31

_SYNCHRONISER_STAGES = 2


class EdgeCounter(Module):
    """Counts every edge of the words of an input, each sample's on its own.

    Events (any address), from their very mu on: data bits 0 and 1, rising and falling edges count; bit 2, an input
    event with the count of the edges before, and the event's time; bit 3, after that the count starts from 0.
    The count stays at its maximum, 2**bits - 1, once it gets there.

    word, latency  as for ttl_words.EdgeFinder, but of 8, 4, 2 or 1 samples; events have as fine a time
    bits           of the count, 4 to 32
    reset          count 0, nothing counts
    """

    replace = False

    def __init__(self, word: Signal, latency: int, bits: int = COUNT_BITS) -> None:
        samples = len(word)
        fine_width = samples.bit_length() - 1
        # Three registers more: which samples count, how many do, and the count.
        self.input = InputInterface(data_width=bits, fine_width=fine_width, delay=latency + 3)
        self.output = OutputInterface(data_width=4, fine_width=fine_width)
        self.reset = Signal()

        # # #

        # Without fine time, `fine` is 0.
        change, settings, fine = Signal(), Signal(4), Signal(max(fine_width, 1))
        arriving, arrived = [self.output.stb, self.output.data], [change, settings]
        if self.output.fine is not None:
            arriving.append(self.output.fine)
            arrived.append(fine)
        self.submodules.later = later = Later(Cat(*arriving), latency + 1)
        self.comb += [later.reset.eq(self.reset), Cat(*arrived).eq(later.out)]

        # Edges before the change count as set until then, those from it on as set by it.
        counting, last = Signal(2), Signal()
        before, after, either = Signal(samples), Signal(samples), Signal(samples)
        self.comb += either.eq(before | after)
        for i in range(samples):
            level_before = word[i - 1] if i else last
            edge = Cat(word[i] & ~level_before, ~word[i] & level_before)
            changed = change & (fine <= i)
            self.sync += [
                before[i].eq(((counting & edge) != 0) & ~changed),
                after[i].eq(((settings[:2] & edge) != 0) & changed),
            ]
        send, zero, sent_fine = Signal(), Signal(), Signal.like(fine)
        self.sync += [
            last.eq(word[-1]),
            send.eq(change & settings[2]),
            zero.eq(change & settings[3]),
            sent_fine.eq(fine),
            If(change, counting.eq(settings[:2])),
            If(self.reset, counting.eq(0), before.eq(0), after.eq(0), send.eq(0), zero.eq(0)),
        ]

        few, many, new = Signal(4), Signal(4), Signal(4)
        send2, zero2, sent_fine2 = Signal(), Signal(), Signal.like(fine)
        self.sync += [
            few.eq(_ones(before)),
            new.eq(_ones(after)),
            many.eq(_ones(either)),
            send2.eq(send),
            zero2.eq(zero),
            sent_fine2.eq(sent_fine),
            If(self.reset, few.eq(0), many.eq(0), new.eq(0), send2.eq(0), zero2.eq(0)),
        ]

        count = Signal(bits)
        until, total = Signal(bits + 1), Signal(bits + 1)
        self.comb += [until.eq(count + few), total.eq(count + many)]
        self.sync += [
            # Under conditions, as that is rare and simulation the faster: see "Cost" in ../README.md.
            If((many != 0) | zero2, count.eq(Mux(zero2, new, _saturated(total)))),
            self.input.stb.eq(send2 & ~self.reset),
            If(send2, self.input.data.eq(_saturated(until))),
            If(self.reset, count.eq(0)),
        ]
        if self.input.fine is not None:
            self.sync += self.input.fine.eq(sent_fine2)


class CoarseEdgeCounter(EdgeCounter):
    """Counts the edges of a pad that is looked at once a coarse cycle.

    pad  may be asynchronous; pulses shorter than a cycle may be missed
    """

    def __init__(self, pad: Signal, bits: int = COUNT_BITS) -> None:
        level = Signal()
        super().__init__(level, _SYNCHRONISER_STAGES, bits)

        # # #

        self.specials += MultiReg(pad, level, n=_SYNCHRONISER_STAGES)


def _saturated(value: Signal) -> object:
    return Mux(value[-1], 2 ** (len(value) - 1) - 1, value[:-1])


def _ones(word: Signal) -> object:
    return reduce(add, [word[i] for i in range(len(word))])
