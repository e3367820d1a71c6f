"""From a recovered clock to `sys`, of the same frequency and any phase, in a number of cycles that stays the same."""

from migen import FSM, READ_FIRST, ClockDomainsRenamer, If, Memory, Module, NextState, NextValue, Signal
from migen.genlib.cdc import GrayCounter, GrayDecoder, MultiReg

_BITS = 3
DEPTH = 1 << _BITS


class PhaseBuffer(Module):
    """A ring of ``DEPTH`` words, written in ``rx`` and read in `sys`, one word in every cycle of each.

    Where reading begins follows from the phase between the clocks alone, not from when they started: for ``window``
    cycles it is watched where the writer is when the reader is at 0. That is one place, or two next to each other when
    the phase is so close to an edge that jitter decides; then it is the earlier one. So the cycles through the buffer
    are the same after every start with the same phase, unless the phase is just where the second place appears.

    :param width: of a word. :param window: cycles for which the phase has to be still.

    Inputs: ``din`` (``rx``), ``enable``: 0 starts anew. Outputs:
        dout        register
        up          register: ``dout`` is what was written. It falls in the cycle after ``enable``.
        phase       (3) where the writer is, modulo DEPTH, as long as the domain has not been reset
        ambiguous   register: two places were seen: another start, or a bit of temperature, can change the cycles by one
        slipped     one cycle: the phase went away by more than the ring bears, so the frequencies differed; starts anew
    """

    def __init__(self, width: int, window: int) -> None:
        self.din = Signal(width)
        self.enable = Signal()
        self.dout = Signal(width)
        self.up = Signal()
        self.phase = Signal(_BITS)
        self.ambiguous = Signal()
        self.slipped = Signal()

        # # #

        memory = Memory(width, DEPTH)
        self.submodules.writer = writer = ClockDomainsRenamer("rx")(GrayCounter(_BITS))
        write, read = memory.get_port(write_capable=True, clock_domain="rx"), memory.get_port(mode=READ_FIRST)
        self.specials += memory, write, read
        self.comb += [writer.ce.eq(1), write.adr.eq(writer.q_binary), write.dat_w.eq(self.din), write.we.eq(1)]

        self.submodules.decoder = decoder = GrayDecoder(_BITS)
        self.specials += MultiReg(writer.q, decoder.i)
        now, base, off = Signal(_BITS), Signal(_BITS), Signal(_BITS)
        # What is seen of the writer is three cycles old, give or take its phase, so the word that it says comes next is
        # three to five cycles old, of at most eight.
        self.comb += [self.phase.eq(decoder.o - now), off.eq(self.phase - base), read.adr.eq(now + base)]
        self.comb += self.dout.eq(read.dat_r)
        self.sync += now.eq(now + 1)

        left, two = Signal(max=window), Signal()
        self.submodules.fsm = fsm = FSM(reset_state="START")
        fsm.act("START",
            NextValue(base, self.phase), NextValue(left, window - 1), NextValue(two, 0),
            If(self.enable, NextState("WATCH")),
        )
        fsm.act("WATCH",
            NextValue(left, left - 1),
            If(off == 1, NextValue(two, 1)),
            # One place before what was seen first: that is the earlier one, unless there were two already.
            If(off == DEPTH - 1, NextValue(base, self.phase), NextValue(two, 1), If(two, NextState("START")))
            .Elif(off > 1, NextState("START"))
            .Elif(left == 0, NextValue(self.up, 1), NextValue(self.ambiguous, two), NextState("UP")),
            If(~self.enable, NextValue(self.up, 0), NextState("START")),
        )
        fsm.act("UP",
            # Two places are normal, one more on either side is wander.
            If((off > 2) & (off != DEPTH - 1), self.slipped.eq(self.enable), NextValue(self.up, 0), NextState("START")),
            If(~self.enable, NextValue(self.up, 0), NextState("START")),
        )
