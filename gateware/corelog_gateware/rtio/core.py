"""The RTIO core: output path, input path and error queue around one clock."""

from collections.abc import Sequence

from migen import Cat, Module, ResetInserter, Signal

from . import conflicts, dispatch
from .channel import Channel
from .conflicts import ConflictResolver
from .cri import CHAN_SEL_BITS, CRI, FINE_BITS
from .delayline import DelayLine
from .dispatch import Dispatcher
from .errors import CHANNEL_BITS, KIND_SEQUENCE, ErrorQueue, ReportSource
from .fifo import BufferedFIFO
from .gates import Gates
from .inputs import InputReader
from .lanes import LaneDistributor
from .tsc import TimestampCounter

# Cycles from the gates to a pad behind one register in the PHY; events are released that much before their time.
OUTPUT_LATENCY = conflicts.LATENCY + dispatch.LATENCY + 1


class OutputPath(Module):
    """From submission (output half of `cri`) to the channels' output interfaces.

    reports          error sources for the error queue
    sed_spread_enable  see LaneDistributor
    """

    def __init__(
        self, cri: CRI, tsc: TimestampCounter, channels: Sequence[Channel], lane_count: int, lane_depth: int
    ) -> None:
        self.sed_spread_enable = Signal()

        # # #

        lanes = range(lane_count)
        channel_width = max(1, (len(channels) - 1).bit_length())
        distributor = LaneDistributor(cri, tsc, channels, lane_count)
        self.submodules.distributor = distributor
        self.comb += distributor.spread.eq(self.sed_spread_enable)

        command = (distributor.data, distributor.address, distributor.channel[:channel_width])
        order = (distributor.replace, distributor.earlier)
        command_width = sum(len(signal) for signal in command)
        fifos = []
        for k in lanes:
            fifo = BufferedFIFO((64, command_width, 1 + lane_count), lane_depth)
            setattr(self.submodules, f"lane{k}", fifo)
            fifos.append(fifo)
            self.comb += [
                fifo.din[0].eq(distributor.timestamp),
                fifo.din[1].eq(Cat(*command)),
                fifo.din[2].eq(Cat(*order)),
                fifo.we.eq(distributor.lane_we[k]),
                distributor.lane_writable[k].eq(fifo.writable),
            ]

        release = tsc.ahead(OUTPUT_LATENCY)
        self.submodules.gates = gates = Gates(fifos, release)
        key_width = FINE_BITS + len(distributor.address)
        self.submodules.resolver = resolver = ConflictResolver(channel_width, key_width, lane_count)
        self.submodules.dispatcher = dispatcher = Dispatcher(channels, channel_width, len(distributor.data), lane_count)
        self.comb += [dispatcher.execute.eq(resolver.execute), dispatcher.collision.eq(resolver.collision)]
        slot = release[: DelayLine.slot_bits(conflicts.LATENCY)]
        for k, (fifo, fire) in enumerate(zip(fifos, gates.fire, strict=True)):
            address, channel = Signal(len(distributor.address)), Signal(channel_width)
            times = DelayLine(64, conflicts.LATENCY, slot)
            commands = DelayLine(command_width, conflicts.LATENCY, slot)
            setattr(self.submodules, f"times{k}", times)
            setattr(self.submodules, f"commands{k}", commands)
            self.comb += [
                Cat(Signal(len(distributor.data)), address, channel).eq(fifo.dout[1]),
                resolver.stb[k].eq(fire),
                resolver.channel[k].eq(channel),
                resolver.key[k].eq(Cat(fifo.dout[0][:FINE_BITS], address)),
                Cat(resolver.replace[k], resolver.earlier[k]).eq(fifo.dout[2]),
                times.din.eq(fifo.dout[0]), times.we.eq(fire), times.re.eq(resolver.active),
                commands.din.eq(fifo.dout[1]), commands.we.eq(fire), commands.re.eq(resolver.active),
                dispatcher.timestamp[k].eq(times.dout),
                Cat(dispatcher.data[k], dispatcher.address[k], dispatcher.channel[k]).eq(commands.dout),
            ]

        sequence = ReportSource(name="sequence")
        self.comb += [
            sequence.stb.eq(distributor.sequence_stb),
            sequence.kind.eq(KIND_SEQUENCE),
            sequence.channel.eq(distributor.sequence_channel),
            sequence.timestamp.eq(distributor.sequence_timestamp),
        ]
        self.reports = [*dispatcher.reports, sequence]


class RTIOCore(Module):
    """RTIO core for a list of channels; channel n is channels[n].

    channels      Channel objects (see channel.py); their PHYs are submodules of the caller
    lane_count    lanes, 1 or more: how far submission order may go back in time
    lane_depth    events per lane
    report_depth  error reports held for software
    input_depth   input events per channel

    cri                common RTIO interface (cri.py)
    errors             ErrorQueue (errors.py)
    tsc                TimestampCounter (tsc.py)
    reset              high for a cycle: drops all events in lanes and pipeline, input events and a pending read, and
                       forgets the lanes' last times. Neither reports nor lost counters nor PHYs are touched.
    reset_phy          high for a cycle: PHYs into their initial state
    sed_spread_enable  see LaneDistributor
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        lane_count: int = 8,
        lane_depth: int = 128,
        report_depth: int = 128,
        input_depth: int = 64,
    ) -> None:
        if not 1 <= len(channels) <= 2 ** min(CHANNEL_BITS, CHAN_SEL_BITS):
            raise ValueError(f"an RTIO core has 1 to {2 ** CHANNEL_BITS} channels, not {len(channels)}")
        if lane_count < 1 or lane_depth < 1:
            raise ValueError(f"an RTIO core needs a lane and room in it, not {lane_count} lanes of {lane_depth}")
        self.channels = list(channels)
        outputs = [channel.output for channel in channels if channel.output is not None]
        inputs = [channel.input for channel in channels if channel.input is not None]
        self.cri = CRI(
            o_data_width=max((len(output.data) for output in outputs), default=1),
            i_data_width=max((len(phy.data) for phy in inputs), default=1),
        )
        self.reset = Signal()
        self.reset_phy = Signal()
        self.sed_spread_enable = Signal()
        self.submodules.tsc = TimestampCounter()

        # # #

        self.comb += self.cri.counter.eq(self.tsc.full)
        output_path = OutputPath(self.cri, self.tsc, channels, lane_count, lane_depth)
        self.submodules.output_path = ResetInserter()(output_path)
        self.submodules.input_path = ResetInserter()(InputReader(self.cri, self.tsc, channels, input_depth))
        self.comb += [
            self.output_path.reset.eq(self.reset),
            self.input_path.reset.eq(self.reset),
            output_path.sed_spread_enable.eq(self.sed_spread_enable),
        ]
        self.submodules.errors = ErrorQueue(
            output_path.reports,
            depth=report_depth,
            delays={n: channel.delay for n, channel in enumerate(channels) if channel.output is not None},
        )
        # A PHY with several channels has one reset.
        phy_resets = {id(c.phy_reset): c.phy_reset for c in channels if c.phy_reset is not None}
        self.comb += [phy_reset.eq(self.reset_phy) for phy_reset in phy_resets.values()]
