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


class ReportSource:
    """An error, there while `stb` is high: kind (one of KIND_*), channel, timestamp of the event (64, mu)."""

    def __init__(self, name: str = "report") -> None:
        self.stb = Signal(name=f"{name}_stb")
        self.kind = Signal(KIND_BITS, name=f"{name}_kind")
        self.channel = Signal(CHANNEL_BITS, name=f"{name}_channel")
        self.timestamp = Signal(64, name=f"{name}_timestamp")


class SaturatingCounter(Module):
    """Adds `increment` to `value` every cycle; stays at the highest value once it is reached."""

    def __init__(self, width: int, increment_width: int) -> None:
        self.increment = Signal(increment_width)
        self.value = Signal(width)

        # # #

        total = Signal(width + 1)
        self.comb += total.eq(self.value + self.increment)
        self.sync += If(self.increment != 0, self.value.eq(total[:width] | Replicate(total[width], width)))


class ErrorQueue(Module):
    """Collects the errors of all sources, which may come in the same cycle, into one queue.

    sources        every cycle each can hold one error
    depth          reports held for software
    staging_depth  errors each source can pile up while those of the others are moved into the queue, one per cycle
    delays         for channels with an output delay: {channel: coarse cycles}, taken off the reported time

    present, kind, channel, timestamp   the oldest report
    pop                                 remove it; ignored while not `present`
    lost[kind]                          errors of that kind that found no room since reset of the clock domain

    At any time, errors so far = reports popped + reports held or on their way + lost. Reports of one source stay in
    order.
    """

    def __init__(
        self,
        sources: Sequence[ReportSource],
        depth: int = 128,
        staging_depth: int = 16,
        delays: dict[int, int] | None = None,
    ) -> None:
        self.present = Signal()
        self.kind = Signal(KIND_BITS)
        self.channel = Signal(CHANNEL_BITS)
        self.timestamp = Signal(64)
        self.pop = Signal()
        self.lost = {kind: Signal(COUNTER_BITS) for kind in (KIND_COLLISION, KIND_BUSY, KIND_SEQUENCE)}

        # # #

        count = len(sources)
        fields = (64, CHANNEL_BITS + KIND_BITS)
        staging = []
        lost = Signal(count)
        for n, source in enumerate(sources):
            fifo = BufferedFIFO(fields, staging_depth)
            setattr(self.submodules, f"staging{n}", fifo)
            staging.append(fifo)
            self.comb += [
                fifo.din[0].eq(source.timestamp),
                fifo.din[1].eq(Cat(source.channel, source.kind)),
                fifo.we.eq(source.stb),
                lost[n].eq(source.stb & ~fifo.writable),
            ]

        # Losses are counted a cycle after they happen, all of a kind at once.
        any_lost, any_counted = Signal(), Signal()
        self.comb += any_lost.eq(lost != 0)
        self.sync += any_counted.eq(any_lost)
        for kind, value in self.lost.items():
            counter = SaturatingCounter(COUNTER_BITS, count.bit_length())
            setattr(self.submodules, f"counter{kind}", counter)
            number = reduce(add, [lost[n] & (source.kind == kind) for n, source in enumerate(sources)])
            self.sync += [If(any_counted, counter.increment.eq(0)), If(any_lost, counter.increment.eq(number))]
            self.comb += value.eq(counter.value)

        # Round robin: the first waiting source behind the one served last, else the first of all.
        waiting, behind, behind_waiting, serve = Signal(count), Signal(count), Signal(count), Signal(count)
        moving = Signal()
        ready = Signal()
        self.comb += [
            waiting.eq(Cat(*[fifo.readable for fifo in staging])),
            behind_waiting.eq(waiting & behind),
            If(behind_waiting != 0, serve.eq(behind_waiting & (~behind_waiting + 1))).Else(
                serve.eq(waiting & (~waiting + 1))
            ),
            moving.eq((waiting != 0) & ready),
        ]
        for n, fifo in enumerate(staging):
            self.comb += fifo.re.eq(moving & serve[n])
        merged = [Signal(width) for width in fields]
        merged_valid = Signal()
        queue = BufferedFIFO(fields, depth)
        self.submodules.queue = queue
        self.comb += [ready.eq(~merged_valid | queue.writable), queue.we.eq(merged_valid)]
        self.sync += If(
            moving,
            merged_valid.eq(1),
            [
                merged[f].eq(reduce(or_, [Replicate(serve[n], width) & s.dout[f] for n, s in enumerate(staging)]))
                for f, width in enumerate(fields)
            ],
            behind.eq(~(serve | (serve - 1))),
        ).Elif(queue.writable, merged_valid.eq(0))

        timestamp = merged[0]
        late = {channel: delay for channel, delay in (delays or {}).items() if delay}
        submitted = Signal(64)
        self.comb += submitted.eq(timestamp)
        for channel, delay in late.items():
            self.comb += If(merged[1][:CHANNEL_BITS] == channel, submitted.eq(timestamp - (delay << FINE_BITS)))
        self.comb += [
            queue.din[0].eq(submitted),
            queue.din[1].eq(merged[1]),
            self.present.eq(queue.readable),
            self.timestamp.eq(queue.dout[0]),
            Cat(self.channel, self.kind).eq(queue.dout[1]),
            queue.re.eq(self.pop),
        ]
