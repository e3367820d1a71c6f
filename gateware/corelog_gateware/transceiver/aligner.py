"""Finds the position of the receiver's words in the stream of bits, by starting the receiver until it has it."""

from migen import FSM, ClockDomainsRenamer, If, Module, NextState, NextValue, Signal
from migen.genlib.cdc import GrayCounter, GrayDecoder, MultiReg, PulseSynchronizer

from ..drtio.interface import K_IDLE

WINDOW = 1024  # words that are judged together
BAD_WORDS = WINDOW // 4  # so many of them are too many: the rule by which the link layer takes a link down
COMMAS = 16  # so many are needed to believe in a position: idle words; aux bytes and packets have none
STRIKES = 2  # bad windows in a row after which a position is given up
_STOP, _RESTART = 16, 8


class Judge(Module):
    """Judges windows of decoded words: inputs ``d``, ``k``, ``bad`` of the decoder. Outputs, one cycle at the end of a
    window: ``fine`` (few bad words, and commas where they belong), ``dirty`` (too many bad words). Neither: few bad
    words, few commas. A K symbol in byte 1 counts as bad: there is none in this position of the stream."""

    def __init__(self) -> None:
        self.d = Signal(16)
        self.k = Signal(2)
        self.bad = Signal()
        self.fine = Signal()
        self.dirty = Signal()

        # # #

        place = Signal(max=WINDOW)
        bad, commas = Signal(max=BAD_WORDS + 1), Signal(max=COMMAS + 1)
        is_bad, is_comma, last = Signal(), Signal(), Signal()
        self.comb += [
            is_bad.eq(self.bad | self.k[1]),
            is_comma.eq(~is_bad & self.k[0] & (self.d[:8] == K_IDLE)),
            last.eq(place == WINDOW - 1),
            self.dirty.eq(last & (bad == BAD_WORDS)),
            self.fine.eq(last & (bad != BAD_WORDS) & (commas == COMMAS)),
        ]
        self.sync += [
            place.eq(place + 1),
            If(last, bad.eq(is_bad), commas.eq(is_comma)).Else(
                If(is_bad & (bad != BAD_WORDS), bad.eq(bad + 1)),
                If(is_comma & (commas != COMMAS), commas.eq(commas + 1)),
            ),
        ]


class AlignControl(Module):
    """Starts the receiver until windows are fine. In the domain of the bootstrap clock.

    :param settle: cycles that the receiver gets to lock onto the bits; ``deadline``: cycles in which a fine window has
        to come, then and later (a receiver without bits may have no clock and judge nothing).

    Inputs: ``started`` (the receiver's start-up is done), ``fine``, ``dirty`` (one cycle).
    Outputs: ``restart``, register, some cycles; ``ready``, register.
    """

    def __init__(self, settle: int, deadline: int) -> None:
        self.started = Signal()
        self.fine = Signal()
        self.dirty = Signal()
        self.restart = Signal()
        self.ready = Signal()

        # # #

        left = Signal(max=max(settle, deadline, _STOP) + 1)
        strikes = Signal(max=STRIKES + 1)
        self.sync += If(left != 0, left.eq(left - 1))
        self.submodules.fsm = fsm = FSM(reset_state="STARTING")
        # Nobody may still listen when the receiver stops, or it would hear the crossing's last words again.
        again = [NextValue(self.ready, 0), NextValue(left, _STOP), NextState("STOPPING")]
        fsm.act("STARTING", If(self.started, NextValue(left, settle), NextState("SETTLING")))
        fsm.act("SETTLING",
            If(~self.started, NextState("STARTING"))
            .Elif(left == 0, NextValue(left, deadline), NextState("CHECKING")),
        )
        fsm.act("CHECKING",
            If(~self.started, NextState("STARTING"))
            .Elif(self.dirty | (left == 0), *again)
            .Elif(self.fine,
                NextValue(self.ready, 1), NextValue(strikes, 0), NextValue(left, deadline), NextState("READY"),
            ),
        )
        fsm.act("READY",
            If(self.fine, NextValue(strikes, 0), NextValue(left, deadline)),
            If(self.dirty, NextValue(strikes, strikes + 1)),
            If(~self.started, NextValue(self.ready, 0), NextState("STARTING"))
            .Elif((strikes == STRIKES) | (left == 0), *again),
        )
        fsm.act("STOPPING",
            If(left == 0, NextValue(self.restart, 1), NextValue(left, _RESTART), NextState("RESTART")),
        )
        fsm.act("RESTART", If(left == 0, NextValue(self.restart, 0), NextState("STARTING")))


class CommaAligner(Module):
    """The position of words is any of 20 after each start of a receiver without buffer, and its latency with it; the
    one with the comma in the first symbol's place is kept, so the latency is always the same.

    :param frequency: of ``bootstrap``.

    Inputs: ``d``, ``k``, ``bad`` (``rx``, of the decoder), ``started`` (``bootstrap``). Output: ``restart``
    (``bootstrap``, register). In `sys`: ``ready``; ``restarts`` (16): since power-on, modulo 2^16.
    """

    def __init__(self, frequency: float) -> None:
        self.d = Signal(16)
        self.k = Signal(2)
        self.bad = Signal()
        self.started = Signal()
        self.restart = Signal()
        self.ready = Signal()
        self.restarts = Signal(16)

        # # #

        in_bootstrap = ClockDomainsRenamer("bootstrap")
        self.submodules.judge = judge = ClockDomainsRenamer("rx")(Judge())
        ms = int(frequency / 1000)
        self.submodules.control = control = in_bootstrap(AlignControl(settle=ms, deadline=ms))
        self.comb += [
            judge.d.eq(self.d), judge.k.eq(self.k), judge.bad.eq(self.bad),
            control.started.eq(self.started), self.restart.eq(control.restart),
        ]  # fmt: skip
        for name in ("fine", "dirty"):
            pulse = PulseSynchronizer("rx", "bootstrap")
            self.submodules += pulse
            self.comb += [pulse.i.eq(getattr(judge, name)), getattr(control, name).eq(pulse.o)]
        self.specials += MultiReg(control.ready, self.ready)

        before = Signal()
        self.sync.bootstrap += before.eq(control.restart)
        self.submodules.counter = counter = in_bootstrap(GrayCounter(len(self.restarts)))
        self.submodules.decoder = decoder = GrayDecoder(len(self.restarts))
        self.comb += [counter.ce.eq(control.restart & ~before), self.restarts.eq(decoder.o)]
        self.specials += MultiReg(counter.q, decoder.i)
