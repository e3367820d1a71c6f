"""Digital outputs and inputs of 7-series devices with a resolution of one mu: like ttl.py, with all of the fine time.

Pads are PAD_LATENCY coarse cycles behind the counter: an event at t mu changes its pad in t mu + 8 * PAD_LATENCY, and
input events have that taken off. So an input sees what an output does at the very time of the output's event.
Pads and clock domains: see serdes_7series.py.
"""

from typing import Any

from migen import If, Module, Signal

from ..channel import OutputInterface
from ..cri import FINE_BITS
from . import edge_counter
from .serdes_7series import PAD_TO_SAMPLES, WORD_TO_PAD, InOutPad, OutputPad
from .ttl_words import EdgeFinder, LevelWriter

ADDRESS_LEVEL = 0
ADDRESS_ENABLE = 1

# A word is in its register in the cycle of its time.
PAD_LATENCY = WORD_TO_PAD


class Output(Module):
    """TTL output: data bit 0 of an event is the level from its time on.

    pads   see serdes_7series.py; low after reset
    reset  puts the level to low
    """

    replace = True

    def __init__(self, pads: Any) -> None:
        self.output = OutputInterface(data_width=1, fine_width=FINE_BITS)
        self.submodules.levels = levels = LevelWriter(self.output.stb, self.output.fine, self.output.data)
        self.reset = levels.reset
        self.submodules.pad = OutputPad(levels.word, pads)


# The samples of a pad's mus are there as much later than the counter that shows their time.
_INPUT_LATENCY = PAD_LATENCY + PAD_TO_SAMPLES


class InOut(Module):
    """TTL channel of both directions; an input until told otherwise.

    Commands (output events):
      address 0, level: data bit 0 is the level from that time on, on the pad while it is driven
      address 1, direction: data bit 0 drives the pad, from the start of the event's coarse cycle on
      address 2, sensitivity, and 3, sample: see ttl.Input and ttl_words.EdgeFinder
    The input sees the pad also while it is driven.

    pads   see serdes_7series.py
    reset  not driven, level low, no edge makes an event
    """

    replace = True

    def __init__(self, pads: Any) -> None:
        self.reset = Signal()

        # # #

        enable, word = Signal(), Signal(8)
        self.submodules.pad = pad = InOutPad(word, enable, pads)
        self.submodules.edges = edges = EdgeFinder(pad.samples, _INPUT_LATENCY)
        self.input, self.output = edges.input, edges.output
        self.submodules.levels = levels = LevelWriter(
            self.output.stb & (self.output.address == ADDRESS_LEVEL), self.output.fine, self.output.data[0]
        )
        self.comb += [levels.reset.eq(self.reset), edges.reset.eq(self.reset), word.eq(levels.word)]
        self.sync += [
            If(self.output.stb & (self.output.address == ADDRESS_ENABLE), enable.eq(self.output.data[0])),
            If(self.reset, enable.eq(0)),
        ]


class EdgeCounter(edge_counter.EdgeCounter):
    """Counts the edges of a channel's pad, in a channel of its own."""

    def __init__(self, of: InOut) -> None:
        super().__init__(of.pad.samples, _INPUT_LATENCY)
