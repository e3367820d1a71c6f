"""Pads of a 7-series device that take and give 8 samples a cycle, with OSERDESE2 and ISERDESE2.

Clock domains: `sys`, and `sys4x` of four times its frequency and in phase with it, whose edges, rising and falling, are
the mus. Both must run, and `sys` be in reset until they do: its reset aligns the primitives.

A pad is a Signal (single-ended) or has `p` and `n` (differential); pad times below leave its buffers' delays out, which
are the same for all channels of a kind. Coarse cycles of pad times begin with those of `sys`.
"""

from typing import Any

from migen import Cat, ClockSignal, Instance, Module, ResetSignal, Signal

# The word in a register in cycle T (its own flip-flop drives the OSERDESE2) is on the pad in the coarse cycle T + this:
# taken at the end of T, and four cycles of CLK until its first bit (UG471, DDR 8:1).
WORD_TO_PAD = 2

# The samples of the pad's coarse cycle T are in `samples` in cycle T + this.
PAD_TO_SAMPLES = 2

# Mus between the newest sample of an ISERDESE2's word and the edge of CLKDIV with which the word appears.
# See "Alignment of inputs" in ../README.md.
_AGE_OF_NEWEST = 5


class _Serialiser(Module):
    """An OSERDESE2. word: bit 0 is the first; serial: for a buffer's I; tristate: `release` as it is, for its T."""

    def __init__(self, word: Signal, release: Signal | int = 0) -> None:
        self.serial = Signal()
        self.tristate = Signal()

        # # #

        self.specials += Instance(
            "OSERDESE2",
            p_DATA_RATE_OQ="DDR", p_DATA_RATE_TQ="BUF", p_DATA_WIDTH=8, p_TRISTATE_WIDTH=1, p_SERDES_MODE="MASTER",
            i_CLK=ClockSignal("sys4x"), i_CLKDIV=ClockSignal("sys"), i_RST=ResetSignal("sys"),
            i_OCE=1, i_TCE=1, i_T1=release,
            **{f"i_D{n + 1}": word[n] for n in range(8)},
            o_OQ=self.serial, o_TQ=self.tristate,
        )  # fmt: skip


class OutputPad(Module):
    """word: samples of the pad, WORD_TO_PAD cycles later; from registers."""

    def __init__(self, word: Signal, pads: Any) -> None:
        self.submodules.serialiser = serialiser = _Serialiser(word)
        if hasattr(pads, "p"):
            self.specials += Instance("OBUFDS", i_I=serialiser.serial, o_O=pads.p, o_OB=pads.n)
        else:
            self.specials += Instance("OBUF", i_I=serialiser.serial, o_O=pads)


class InOutPad(Module):
    """A pad of both directions.

    word     as for OutputPad
    enable   the pad is driven: from a register, in whole coarse cycles, WORD_TO_PAD cycles later; not so after reset
    samples  of the pad, whoever drives it: bit i is the level in mu i of coarse cycle T in cycle T + PAD_TO_SAMPLES
    """

    def __init__(self, word: Signal, enable: Signal, pads: Any) -> None:
        self.samples = Signal(8)

        # # #

        # As many registers as the word spends in the serialiser.
        sooner, released = Signal(reset=1), Signal(reset=1)
        self.sync += [sooner.eq(~enable), released.eq(sooner)]
        self.submodules.serialiser = serialiser = _Serialiser(word, released)
        level = Signal()
        if hasattr(pads, "p"):
            # Terminated while it is not driven; the receiver stays on, so that turning makes no edge of its own.
            self.specials += Instance(
                "IOBUFDS_INTERMDISABLE",
                p_DIFF_TERM="TRUE", p_IBUF_LOW_PWR="TRUE", p_USE_IBUFDISABLE="FALSE",
                i_I=serialiser.serial, i_T=serialiser.tristate, o_O=level,
                i_IBUFDISABLE=0, i_INTERMDISABLE=~released,
                io_IO=pads.p, io_IOB=pads.n,
            )  # fmt: skip
        else:
            self.specials += Instance(
                "IOBUF", i_I=serialiser.serial, i_T=serialiser.tristate, o_O=level, io_IO=pads
            )

        word_in, word_before = Signal(8), Signal(8)
        self.specials += Instance(
            "ISERDESE2",
            p_DATA_RATE="DDR", p_DATA_WIDTH=8, p_INTERFACE_TYPE="NETWORKING", p_NUM_CE=1, p_IOBDELAY="NONE",
            p_SERDES_MODE="MASTER",
            i_CLK=ClockSignal("sys4x"), i_CLKB=~ClockSignal("sys4x"), i_CLKDIV=ClockSignal("sys"),
            i_RST=ResetSignal("sys"), i_CE1=1, i_BITSLIP=0, i_D=level,
            **{f"o_Q{8 - n}": word_in[n] for n in range(8)},
        )  # fmt: skip
        # A word's oldest sample, taken 7 mus before the newest, shows the mu before it: _AGE_OF_NEWEST + 8 mus ago. So
        # that many samples of the word before are of the coarse cycle before.
        self.sync += word_before.eq(word_in)
        self.comb += self.samples.eq(Cat(word_before, word_in)[_AGE_OF_NEWEST : _AGE_OF_NEWEST + 8])
