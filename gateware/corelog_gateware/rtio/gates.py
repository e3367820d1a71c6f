"""Gates: let the events of all lanes out in the cycle of their coarse time."""

from migen import Cat, If, Module, Signal

from .cri import FINE_BITS
from .lanebank import LaneBank


class Gates(Module):
    """Takes from each lane its oldest event when its coarse time equals `release`.

    lanes    the low 64 bits of an entry are its time in mu
    release  coarse time whose events leave in this cycle

    fire     bit k: the event on lane k's output leaves in this cycle

    Events of one coarse time leave together, as a lane holds at most one of them. An event must be in its lane two
    cycles before its release; the distributor's margin sees to it.
    """

    def __init__(self, lanes: LaneBank, release: Signal) -> None:
        self.fire = Signal(len(lanes.dout))

        # # #

        due = Cat(*[dout[FINE_BITS:64] == release for dout in lanes.dout])
        # A branch instead of an AND: in simulation the wide comparisons are skipped while all lanes are empty.
        self.comb += [If(lanes.readable != 0, self.fire.eq(lanes.readable & due)), lanes.re.eq(self.fire)]
