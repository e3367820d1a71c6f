"""Error queue: every RTIO error becomes a report, or is counted as lost when there is no room for one."""

from collections.abc import Sequence
from functools import reduce
from operator import add, or_

from migen import Cat, If, Module, Replicate, Signal

from .cri import FINE_BITS
from .fifo import BufferedFIFO

KIND_COLLISION, KIND_BUSY, KIND_SEQUENCE = 1, 2, 3
KIND_BITS = 2
CHANNEL_BITS = 16
COUNTER_BITS = 32

_REPORT_BITS = 64 + CHANNEL_BITS + KIND_BITS


class Report:
    """What is to be said of an error: kind (one of KIND_*), channel, timestamp of the event (64, mu)."""

    def __init__(self, name: str = "report") -> None:
        self.kind = Signal(KIND_BITS, name=f"{name}_kind")
        self.channel = Signal(CHANNEL_BITS, name=f"{name}_channel")
        self.timestamp = Signal(64, name=f"{name}_timestamp")

    def packed(self) -> Cat:
        """The report as one value of _REPORT_BITS bits."""
        return Cat(self.timestamp, self.channel, self.kind)


class SaturatingCounter(Module):
    """Adds `increment` to `value` in every cycle; stays at the highest value once it is reached.

    increment_width must not be above width.
    """

    def __init__(self, width: int, increment_width: int) -> None:
        if increment_width > width:
            raise ValueError(f"increments of {increment_width} bits do not fit a counter of {width} bits")
        self.increment = Signal(increment_width)
        self.value = Signal(width)

        # # #

        room = Signal(width)
        self.comb += room.eq(~self.value)
        self.sync += If(
            self.increment != 0,
            If(room < self.increment, self.value.eq(2**width - 1)).Else(self.value.eq(self.value + self.increment)),
        )


class ErrorQueue(Module):
    """Collects the errors of all sources, which may come in the same cycle, into one queue.

    stb, reports   in every cycle each source has an error if its bit of stb is set
    depth          reports held for software
    staging_depth  cycles with errors that wait while those before them are moved into the queue, one error per cycle
    delays         for channels with an output delay: {channel: coarse cycles}, taken off the reported time

    error                               an error arises in this cycle
    present, kind, channel, timestamp   the oldest report
    pop                                 remove it; ignored while not `present`
    lost[kind]                          errors of that kind that found no room since reset of the clock domain

    At any time, errors so far = reports popped + reports held or on their way + lost. Reports come in the order in
    which the errors happened, those of one cycle in the order of the sources.
    """

    def __init__(
        self,
        stb: Signal,
        reports: Sequence[Report],
        depth: int = 128,
        staging_depth: int = 16,
        delays: dict[int, int] | None = None,
    ) -> None:
        self.error = Signal()
        self.present = Signal()
        self.kind = Signal(KIND_BITS)
        self.channel = Signal(CHANNEL_BITS)
        self.timestamp = Signal(64)
        self.pop = Signal()
        self.lost = {kind: Signal(COUNTER_BITS) for kind in (KIND_COLLISION, KIND_BUSY, KIND_SEQUENCE)}

        # # #

        # All errors of a cycle are one entry of the staging FIFO: which sources, and what each says.
        count = len(reports)
        any_lost = Signal()
        self.submodules.staging = staging = BufferedFIFO(count * (1 + _REPORT_BITS), staging_depth)
        self.comb += [
            self.error.eq(stb != 0),
            staging.din.eq(Cat(stb, *[report.packed() for report in reports])),
            staging.we.eq(self.error),
            any_lost.eq(self.error & ~staging.writable),
        ]

        # Losses are counted a cycle after they happen, all of a kind at once.
        any_counted = Signal()
        self.sync += any_counted.eq(any_lost)
        for kind, value in self.lost.items():
            counter = SaturatingCounter(COUNTER_BITS, count.bit_length())
            setattr(self.submodules, f"counter{kind}", counter)
            number = reduce(add, [stb[n] & (report.kind == kind) for n, report in enumerate(reports)])
            self.sync += [If(any_counted, counter.increment.eq(0)), If(any_lost, counter.increment.eq(number))]
            self.comb += value.eq(counter.value)

        # Of the oldest entry one source per cycle goes into `merged`, and from there into the queue.
        self.submodules.queue = queue = BufferedFIFO(_REPORT_BITS, depth)
        served, remaining, first = Signal(count), Signal(count), Signal(count)
        merged, merged_valid, advance, last = Signal(_REPORT_BITS), Signal(), Signal(), Signal()
        self.comb += [
            remaining.eq(staging.dout[:count] & ~served),
            first.eq(remaining & (~remaining + 1)),
            last.eq(remaining == first),
            advance.eq(staging.readable & (~merged_valid | queue.writable)),
            staging.re.eq(advance & last),
            queue.we.eq(merged_valid),
        ]
        starts = [count + n * _REPORT_BITS for n in range(count)]
        parts = [staging.dout[start : start + _REPORT_BITS] for start in starts]
        self.sync += If(
            advance,
            merged_valid.eq(1),
            merged.eq(reduce(or_, [Replicate(first[n], _REPORT_BITS) & part for n, part in enumerate(parts)])),
            If(last, served.eq(0)).Else(served.eq(served | first)),
        ).Elif(queue.writable, merged_valid.eq(0))

        late = {channel: delay for channel, delay in (delays or {}).items() if delay}
        submitted = Signal(64)
        self.comb += submitted.eq(merged[:64])
        for channel, delay in late.items():
            self.comb += If(
                merged[64 : 64 + CHANNEL_BITS] == channel, submitted.eq(merged[:64] - (delay << FINE_BITS))
            )
        self.comb += [
            queue.din.eq(Cat(submitted, merged[64:])),
            self.present.eq(queue.readable),
            Cat(self.timestamp, self.channel, self.kind).eq(queue.dout),
            queue.re.eq(self.pop),
        ]
