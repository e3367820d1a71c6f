"""Start of transmitters without buffer, as UG482 and UG476 have it for several lanes with one clock."""

from collections.abc import Sequence

from migen import FSM, If, Module, NextState, NextValue, Record, ResetInserter, Signal
from migen.genlib.cdc import MultiReg


def lane_layout() -> list[tuple[str, int]]:
    """Pins of a channel, named as there without TX. Those that say what is done come from no clock domain."""
    return [
        ("reset", 1),
        ("userrdy", 1),
        ("dlysreset", 1),
        ("phinit", 1),
        ("phalign", 1),
        ("dlyen", 1),
        ("resetdone", 1),
        ("dlysresetdone", 1),
        ("phinitdone", 1),
        ("phaligndone", 1),
    ]


OUTPUTS = [name for name, _ in lane_layout()[:6]]
INPUTS = [name for name, _ in lane_layout()[6:]]


class TransmitAlignment(Module):
    """Starts transmitters and aligns the phase of their inner clocks to `sys`, all to the same edge; the first one,
    whose TXOUTCLK `sys` is made from, is the master and goes on following it.

    In the domain of the bootstrap clock. Input ``start``: `sys` has the master's clock. 0 keeps everything in reset.
    Output ``done``, register.

    :param pins: Record of ``lane_layout()`` for each transmitter.
    :param attempt: cycles after which it is tried again from the reset, ``hold`` of them.
    """

    def __init__(self, pins: Sequence[Record], attempt: int, hold: int = 64) -> None:
        lanes = len(pins)
        self.start = Signal()
        self.done = Signal()

        # # #

        # As bits of words, one for each lane.
        every, master = 2**lanes - 1, 1
        want = {name: Signal(lanes, name=name, reset=every if name == "reset" else 0) for name in OUTPUTS}
        got = {name: Signal(lanes, name=name) for name in INPUTS}
        for n, lane in enumerate(pins):
            self.comb += [getattr(lane, name).eq(want[name][n]) for name in OUTPUTS]
            self.specials += [MultiReg(getattr(lane, name), got[name][n]) for name in INPUTS]
        before, risen = Signal(lanes), Signal(lanes)
        self.sync += before.eq(got["phaligndone"])
        self.comb += risen.eq(got["phaligndone"] & ~before)

        # A reset takes every pin back to its start.
        self.submodules.fsm = fsm = ResetInserter()(FSM(reset_state="OFF"))
        left = Signal(max=attempt + 1, reset=attempt)
        self.comb += fsm.reset.eq(~self.start | (left == 0))
        self.sync += If(fsm.reset, left.eq(attempt)).Elif(~self.done, left.eq(left - 1))
        waiting = Signal(lanes)

        def pulse(state: str, pin: str, lanes_done: Signal, following: list) -> None:
            """A state that holds ``pin`` of every ``waiting`` lane high until that lane is done."""
            still = Signal(lanes)
            self.comb += still.eq(waiting & ~(want[pin] & lanes_done))
            fsm.act(state,
                NextValue(waiting, still),
                NextValue(want[pin], still),
                If(waiting == 0, *following),
            )

        def go(state: str, lanes_waiting: int) -> list:
            return [NextValue(waiting, lanes_waiting), NextState(state)]

        fsm.act("OFF", If(left == attempt - hold, NextState("RESET")))
        fsm.act("RESET",
            NextValue(want["reset"], 0),
            NextValue(want["userrdy"], every),
            If(got["resetdone"] == every, *go("DELAY RESET", every)),
        )
        pulse("DELAY RESET", "dlysreset", got["dlysresetdone"], go("PHASE INIT", every))
        pulse("PHASE INIT", "phinit", got["phinitdone"], go("MASTER", master))
        follow = [NextState("FOLLOW")]
        pulse("MASTER", "phalign", risen, go("MASTER DELAY", master) if lanes > 1 else follow)
        if lanes > 1:
            pulse("MASTER DELAY", "dlyen", risen, go("SLAVES", every & ~master))
            pulse("SLAVES", "phalign", risen, follow)
        fsm.act("FOLLOW",
            NextValue(want["dlyen"], master),
            If(want["dlyen"] & risen, NextValue(self.done, 1), NextState("DONE")),
        )
        fsm.act("DONE")
