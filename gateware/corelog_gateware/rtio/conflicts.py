"""Conflicts: decides which of the events that leave the lanes in one cycle are executed."""

from functools import reduce
from operator import or_

from migen import Cat, If, Module, Signal

LATENCY = 5


class ConflictResolver(Module):
    """For every cycle and channel, in submission order: the first event is executed; a later one that may replace and
    has the first one's fine time and address replaces it; every other later one is a collision.

    Inputs, of lane k in the cycle of bit k of stb:
      stb
      channel[k]
      key[k]      fine time and address: what must be equal for a replacement
      replace[k]  the channel allows replacement
      earlier[k]  bit j: an event of lane j in the same cycle was submitted before this one
    Outputs, LATENCY cycles later:
      execute[k]   the event of lane k is executed
      collision[k] the event of lane k is discarded and must be reported
    An event with neither was replaced. Executed events of one cycle have distinct channels.
    active is high one cycle before an output of any lane is, done together with one.

    Every event that may replace another has the same key as the one it replaces, so the key of the channel's first
    event ("head") is the one to compare with, and of all that are kept the latest submitted is executed.
    """

    def __init__(self, channel_width: int, key_width: int, lane_count: int) -> None:
        lanes = range(lane_count)
        self.stb = Signal(lane_count)
        self.channel = [Signal(channel_width, name=f"channel{k}") for k in lanes]
        self.key = [Signal(key_width, name=f"key{k}") for k in lanes]
        self.replace = [Signal(name=f"replace{k}") for k in lanes]
        self.earlier = [Signal(lane_count, name=f"earlier{k}") for k in lanes]
        self.execute = Signal(lane_count)
        self.collision = Signal(lane_count)
        self.active = Signal()
        self.done = Signal()

        # # #

        def per_lane(name: str, width: int) -> list[Signal]:
            return [Signal(width, name=f"{name}{k}") for k in lanes]

        # 1: registered inputs
        valid1, replace1 = Signal(lane_count), Signal(lane_count)
        channel1, key1 = per_lane("channel1_", channel_width), per_lane("key1_", key_width)
        earlier1 = per_lane("earlier1_", lane_count)
        stage1 = [
            valid1.eq(self.stb),
            If(
                self.stb != 0,
                replace1.eq(Cat(*self.replace)),
                [channel1[k].eq(self.channel[k]) for k in lanes],
                [key1[k].eq(self.key[k]) for k in lanes],
                [earlier1[k].eq(self.earlier[k]) for k in lanes],
            ),
        ]

        # 2: before2[k] bit j: an event of the same channel in lane j was submitted before; same2[k]: with the same key
        valid2, replace2 = Signal(lane_count), Signal(lane_count)
        before2, same2 = per_lane("before2_", lane_count), per_lane("same2_", lane_count)
        pairs = []
        for k in lanes:
            for j in lanes:
                if j == k:
                    continue
                # The same expression for (j, k) and (k, j), so that the comparators are shared.
                a, b = min(j, k), max(j, k)
                before = valid1[k] & valid1[j] & earlier1[k][j] & (channel1[a] == channel1[b])
                pairs += [before2[k][j].eq(before), same2[k][j].eq(before & (key1[a] == key1[b]))]
        stage2 = [valid2.eq(valid1), If(valid1 != 0, replace2.eq(replace1), *pairs)]

        # 3: head3: nothing before it
        valid3, replace3, head3 = Signal(lane_count), Signal(lane_count), Signal(lane_count)
        before3, same3 = per_lane("before3_", lane_count), per_lane("same3_", lane_count)
        stage3 = [
            valid3.eq(valid2),
            If(
                valid2 != 0,
                replace3.eq(replace2),
                head3.eq(Cat(*[valid2[k] & (before2[k] == 0) for k in lanes])),
                [before3[k].eq(before2[k]) for k in lanes],
                [same3[k].eq(same2[k]) for k in lanes],
            ),
        ]

        # 4: keep4: head, or replaces its head
        valid4, keep4 = Signal(lane_count), Signal(lane_count)
        before4 = per_lane("before4_", lane_count)
        stage4 = [
            valid4.eq(valid3),
            If(
                valid3 != 0,
                keep4.eq(Cat(*[head3[k] | (valid3[k] & replace3[k] & ((same3[k] & head3) != 0)) for k in lanes])),
                [before4[k].eq(before3[k]) for k in lanes],
            ),
        ]

        # 5: the latest of those kept is executed
        after = [reduce(or_, [keep4[j] & before4[j][k] for j in lanes if j != k], 0) for k in lanes]
        self.comb += self.active.eq(valid4 != 0)
        stage5 = If(
            self.active | self.done,
            self.execute.eq(0),
            self.collision.eq(0),
            If(self.active, self.execute.eq(keep4 & ~Cat(*after)), self.collision.eq(valid4 & ~keep4)),
        )
        self.sync += self.done.eq(self.active)
        # Last stage first: a register is read before it is written, which simulates without a shadow copy.
        self.sync += [stage5, *stage4, *stage3, *stage2, *stage1]
