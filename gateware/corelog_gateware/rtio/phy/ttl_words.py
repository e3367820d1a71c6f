"""Levels of digital channels as words: bit i of a coarse cycle's word is the level in its mu i."""

from functools import reduce
from operator import or_
from typing import Any

from migen import Cat, If, Module, Mux, Signal

from ..channel import InputInterface, OutputInterface
from ..cri import FINE_BITS
from .ttl import ADDRESS_SAMPLE, ADDRESS_SENSITIVITY

SAMPLES = 2**FINE_BITS


class Later(Module):
    """`out` is what `value` was so many cycles (1 or more) before; 0 after a reset until what came later is there."""

    def __init__(self, value: Any, cycles: int) -> None:
        self.reset = Signal()

        # # #

        stages = [Signal(len(value), name=f"later{n}") for n in range(cycles)]
        self.out = stages[-1]
        self.sync += [Cat(*stages).eq(Cat(value, *stages[:-1])), If(self.reset, *[stage.eq(0) for stage in stages])]


class LevelWriter(Module):
    """Words of an output.

    stb, fine, level  an event, as an OutputInterface strobes it: the level is that from its fine time on
    word              registered: the one of coarse time T in the cycle in which the counter shows T; low after reset
    reset             puts the level to low
    """

    def __init__(self, stb: Signal, fine: Signal, level: Signal) -> None:
        self.word = Signal(SAMPLES)
        self.reset = Signal()

        # # #

        last = Signal()
        self.sync += [
            self.word.eq(Cat(*[Mux(stb & (fine <= i), level, last) for i in range(SAMPLES)])),
            If(stb, last.eq(level)),
            If(self.reset, self.word.eq(0), last.eq(0)),
        ]


class EdgeFinder(Module):
    """Makes the events of an input from its words.

    Commands and events are those of ttl.Input, with all three bits of fine time: an edge makes an event if the
    sensitivity of its very mu asks for it, a sample has the level of its mu (after an edge in it).
    A coarse cycle gives one event, its first; what follows until its end makes none.

    word     the samples of coarse time T in the cycle in which the counter shows T + latency
    latency  see word
    reset    no edge makes an event
    """

    def __init__(self, word: Signal, latency: int) -> None:
        # Two registers more: which samples make events, and the event.
        self.input = InputInterface(data_width=1, fine_width=FINE_BITS, delay=latency + 2)
        self.output = OutputInterface(data_width=2, address_width=2, fine_width=FINE_BITS)
        self.reset = Signal()

        # # #

        # A command comes a cycle before its time and waits here for the samples of that time.
        arriving = Cat(
            self.output.stb & (self.output.address == ADDRESS_SENSITIVITY),
            self.output.stb & (self.output.address == ADDRESS_SAMPLE),
            self.output.fine,
            self.output.data,
        )
        self.submodules.later = later = Later(arriving, latency + 1)
        change, sample, fine, edges = Signal(), Signal(), Signal(FINE_BITS), Signal(2)
        self.comb += [later.reset.eq(self.reset), Cat(change, sample, fine, edges).eq(later.out)]

        sensitivity, last = Signal(2), Signal()
        makes, levels = Signal(SAMPLES), Signal(SAMPLES)
        for i in range(SAMPLES):
            before = word[i - 1] if i else last
            rising, falling = (Mux(change & (fine <= i), edges[n], sensitivity[n]) for n in range(2))
            self.sync += makes[i].eq(
                (rising & word[i] & ~before) | (falling & ~word[i] & before) | (sample & (fine == i))
            )
        self.sync += [
            last.eq(word[-1]),
            levels.eq(word),
            If(change, sensitivity.eq(edges)),
            If(self.reset, sensitivity.eq(0), makes.eq(0)),
        ]

        first = [makes[i] & (makes[:i] == 0) if i else makes[0] for i in range(SAMPLES)]
        self.sync += [
            self.input.stb.eq((makes != 0) & ~self.reset),
            self.input.data.eq(reduce(or_, [first[i] & levels[i] for i in range(SAMPLES)])),
            self.input.fine.eq(Cat(*[reduce(or_, [first[i] for i in range(SAMPLES) if i >> bit & 1])
                                     for bit in range(FINE_BITS)])),
        ]  # fmt: skip
