"""Gates: let the events of all lanes out in the cycle of their coarse time."""

from collections.abc import Sequence

from migen import Module, Signal

from .cri import FINE_BITS
from .fifo import BufferedFIFO


class Gates(Module):
    """Takes from each lane its oldest event when its coarse time equals `release`.

    lanes    the lane FIFOs; field 0 of an entry is the 64-bit time in mu
    release  coarse time whose events leave in this cycle

    fire[k]  the event on lane k's output leaves in this cycle

    Events of one coarse time leave together, as a lane holds at most one of them. An event must be in its lane two
    cycles before its release; the distributor's margin sees to it.
    """

    def __init__(self, lanes: Sequence[BufferedFIFO], release: Signal) -> None:
        self.fire = [Signal(name=f"fire{k}") for k in range(len(lanes))]

        # # #

        for lane, fire in zip(lanes, self.fire, strict=True):
            self.comb += [fire.eq(lane.readable & (lane.dout[0][FINE_BITS:] == release)), lane.re.eq(fire)]
