"""Buffer space: how many events surely fit the lanes, for whoever submits from far away."""

from migen import Case, If, Module, Mux, Signal

from .cri import CRI
from .lanebank import LaneBank


class BufferSpace(Module):
    """Answers questions about space on `cri` (see cri.py): the room in the fullest lane.

    Any lane may be the one that takes the next events, so only that many fit in any case. The lanes are looked at one
    after the other, which costs lane_count + 1 cycles and nothing while nobody asks.
    """

    def __init__(self, cri: CRI, lanes: LaneBank, depth: int) -> None:
        lane_count = len(lanes.level)
        at = Signal(max=max(lane_count, 2))
        highest, level = Signal(max=depth + 1), Signal(max=depth + 1)
        last = Signal()

        # # #

        self.sync += If(
            cri.space_stb,
            cri.space_wait.eq(1), at.eq(0), highest.eq(0), level.eq(0), last.eq(0),
        ).Elif(
            cri.space_wait,
            Case(at, {k: level.eq(lanes.level[k]) for k in range(lane_count)}),
            If(level > highest, highest.eq(level)),
            If(at == lane_count - 1, last.eq(1)).Else(at.eq(at + 1)),
            If(last, cri.space_wait.eq(0), cri.space.eq(depth - Mux(level > highest, level, highest))),
        )
