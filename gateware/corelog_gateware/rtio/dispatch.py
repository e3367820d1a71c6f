"""Dispatch: strobes executed events into their channels and reports those that found it busy."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from migen import Cat, If, Module, Mux, Replicate, Signal

from .channel import Channel
from .cri import ADDRESS_BITS, FINE_BITS
from .errors import KIND_BUSY, KIND_COLLISION, Report

LATENCY = 1


class Dispatcher(Module):
    """Puts the resolver's results onto the channels' output interfaces.

    Inputs: stb, there are results in this cycle; of lane k execute (bit k), collision (bit k), and of that event
    channel[k], timestamp[k] (64, mu), address[k], data[k]. Executed events of one cycle have distinct channels.
    LATENCY cycles later the channel sees its strobe, unless it is busy: then it does not, and the event is reported.
    report_stb, reports[k]  of each lane at most one error a cycle: collision or busy
    """

    def __init__(
        self, channels: Sequence[Channel], channel_width: int, data_width: int, lane_count: int
    ) -> None:
        lanes = range(lane_count)
        self.stb = Signal()
        self.execute = Signal(lane_count)
        self.collision = Signal(lane_count)
        self.channel = [Signal(channel_width, name=f"channel{k}") for k in lanes]
        self.timestamp = [Signal(64, name=f"timestamp{k}") for k in lanes]
        self.address = [Signal(ADDRESS_BITS, name=f"address{k}") for k in lanes]
        self.data = [Signal(data_width, name=f"data{k}") for k in lanes]
        self.report_stb = Signal(lane_count)
        self.reports = [Report(name=f"report{k}") for k in lanes]

        # # #

        # Three steps follow each other: now the results are on the inputs, next the strobes are, then the reports.
        any_next, any_report = Signal(), Signal()
        any_now = self.stb
        executing, colliding = Signal(lane_count), Signal(lane_count)
        channel = [Signal(channel_width, name=f"executing_channel{k}") for k in lanes]
        timestamp = [Signal(64, name=f"executing_timestamp{k}") for k in lanes]
        self.sync += [
            any_next.eq(any_now),
            If(
                any_now,
                executing.eq(self.execute),
                colliding.eq(self.collision),
                [channel[k].eq(self.channel[k]) for k in lanes],
                [timestamp[k].eq(self.timestamp[k]) for k in lanes],
            ),
        ]

        busy_terms: list[list[object]] = [[] for _ in lanes]
        clear, load = [], []
        for number, description in enumerate(channels):
            output = description.output
            if output is None:
                continue
            chosen = [self.execute[k] & (self.channel[k] == number) for k in lanes]

            def merged(values: Sequence[object], width: int, chosen: Sequence[object] = chosen) -> object:
                return reduce(or_, [Replicate(c, width) & v for c, v in zip(chosen, values, strict=True)])

            pending = Signal(name=f"pending{number}")
            clear.append(pending.eq(0))
            load += [pending.eq(reduce(or_, chosen)), output.data.eq(merged(self.data, len(output.data)))]
            if output.address is not None:
                load.append(output.address.eq(merged(self.address, len(output.address))))
            if output.fine is not None:
                shift = FINE_BITS - len(output.fine)
                load.append(output.fine.eq(merged([t[shift:FINE_BITS] for t in self.timestamp], len(output.fine))))
            if output.busy is None:
                self.comb += output.stb.eq(pending)
            else:
                self.comb += output.stb.eq(pending & ~output.busy)
                for k in lanes:
                    busy_terms[k].append((channel[k] == number) & output.busy)
        self.sync += [If(any_next, *clear), If(any_now, *load)]

        report_stb, load_report = [], []
        for k in lanes:
            report = self.reports[k]
            refused = executing[k] & reduce(or_, busy_terms[k], 0)
            report_stb.append(colliding[k] | refused)
            load_report += [
                report.kind.eq(Mux(colliding[k], KIND_COLLISION, KIND_BUSY)),
                report.channel.eq(channel[k]),
                report.timestamp.eq(timestamp[k]),
            ]
        self.sync += [any_report.eq(any_next), If(any_report, self.report_stb.eq(0))]
        self.sync += If(any_next, self.report_stb.eq(Cat(*report_stb)), *load_report)
