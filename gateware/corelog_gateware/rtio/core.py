"""The RTIO core: output path, input path and error queue around one clock."""

from collections.abc import Sequence

from migen import Cat, Module, ResetInserter, Signal

from . import conflicts, dispatch
from .channel import Channel
from .conflicts import ConflictResolver
from .cri import CHAN_SEL_BITS, CRI, FINE_BITS
from .delayline import DelayLine
from .dispatch import Dispatcher
from .errors import CHANNEL_BITS, KIND_SEQUENCE, ErrorQueue, Report
from .gates import Gates
from .inputs import InputReader
from .lanebank import LaneBank
from .lanes import LaneDistributor
from .space import BufferSpace
from .tsc import TimestampCounter

# Cycles from the gates to a pad behind one register in the PHY; events are released that much before their time.
OUTPUT_LATENCY = conflicts.LATENCY + dispatch.LATENCY + 1


class OutputPath(Module):
    """From submission (output half of `cri`) to the channels' output interfaces.

    report_stb, reports  error sources for the error queue
    sed_spread_enable  see LaneDistributor
    """

    def __init__(
        self, cri: CRI, tsc: TimestampCounter, channels: Sequence[Channel], lane_count: int, lane_depth: int
    ) -> None:
        self.sed_spread_enable = Signal()

        # # #

        channel_width = max(1, (len(channels) - 1).bit_length())
        distributor = LaneDistributor(cri, tsc, channels, lane_count)
        self.submodules.distributor = distributor
        self.comb += distributor.spread.eq(self.sed_spread_enable)

        # A lane's entry: time, command (data, address, channel), and what the resolver needs besides.
        data_end = 64 + len(distributor.data)
        address_end = data_end + len(distributor.address)
        command_end = address_end + channel_width
        entry = Cat(
            distributor.timestamp,
            distributor.data,
            distributor.address,
            distributor.channel[:channel_width],
            distributor.replace,
            distributor.earlier,
        )
        self.submodules.lanes = bank = LaneBank(len(entry), lane_depth, lane_count)
        self.comb += [
            bank.din.eq(entry),
            bank.we.eq(distributor.lane_we),
            distributor.lane_full.eq(bank.full),
        ]

        release = tsc.ahead(OUTPUT_LATENCY)
        self.submodules.gates = gates = Gates(bank, release)
        key_width = FINE_BITS + len(distributor.address)
        self.submodules.resolver = resolver = ConflictResolver(channel_width, key_width, lane_count)
        self.submodules.dispatcher = dispatcher = Dispatcher(channels, channel_width, len(distributor.data), lane_count)
        self.comb += [
            dispatcher.stb.eq(resolver.done),
            dispatcher.execute.eq(resolver.execute),
            dispatcher.collision.eq(resolver.collision),
        ]
        # Times and commands of all lanes travel beside the resolver.
        slot = release[: DelayLine.slot_bits(conflicts.LATENCY)]
        self.submodules.beside = beside = DelayLine(lane_count * command_end, conflicts.LATENCY, slot)
        self.comb += [
            beside.din.eq(Cat(*[dout[:command_end] for dout in bank.dout])),
            beside.we.eq(gates.fire != 0),
            beside.re.eq(resolver.active),
        ]
        self.comb += resolver.stb.eq(gates.fire)
        for k, dout in enumerate(bank.dout):
            at = k * command_end
            self.comb += [
                resolver.channel[k].eq(dout[address_end:command_end]),
                resolver.key[k].eq(Cat(dout[:FINE_BITS], dout[data_end:address_end])),
                resolver.replace[k].eq(dout[command_end]),
                resolver.earlier[k].eq(dout[command_end + 1 :]),
                dispatcher.timestamp[k].eq(beside.dout[at : at + 64]),
                dispatcher.data[k].eq(beside.dout[at + 64 : at + data_end]),
                dispatcher.address[k].eq(beside.dout[at + data_end : at + address_end]),
                dispatcher.channel[k].eq(beside.dout[at + address_end : at + command_end]),
            ]

        sequence = Report(name="sequence")
        self.comb += [
            sequence.kind.eq(KIND_SEQUENCE),
            sequence.channel.eq(distributor.sequence_channel),
            sequence.timestamp.eq(distributor.sequence_timestamp),
        ]
        self.report_stb = Cat(dispatcher.report_stb, distributor.sequence_stb)
        self.reports = [*dispatcher.reports, sequence]


class RTIOCore(Module):
    """RTIO core for a list of channels; channel n is channels[n].

    channels      Channel objects (see channel.py); their PHYs are submodules of the caller
    lane_count    lanes, 1 or more: how far submission order may go back in time
    lane_depth    events per lane
    report_depth  error reports held for software
    report_staging  cycles with errors that can wait on their way there
    input_depth   input events per channel

    cri                common RTIO interface (cri.py)
    errors             ErrorQueue (errors.py)
    tsc                TimestampCounter (tsc.py). Loading it does what `reset` does, so that nothing remains that was
                       meant for the time before.
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
        report_staging: int = 16,
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
        self.submodules.space = BufferSpace(self.cri, output_path.lanes, lane_depth)
        self.submodules.input_path = ResetInserter()(InputReader(self.cri, self.tsc, channels, input_depth))
        self.comb += [
            self.output_path.reset.eq(self.reset | self.tsc.load),
            self.input_path.reset.eq(self.reset | self.tsc.load),
            output_path.sed_spread_enable.eq(self.sed_spread_enable),
        ]
        self.submodules.errors = ErrorQueue(
            output_path.report_stb,
            output_path.reports,
            depth=report_depth,
            staging_depth=report_staging,
            delays={n: channel.delay for n, channel in enumerate(channels) if channel.output is not None},
        )
        # A PHY with several channels has one reset.
        phy_resets = {id(c.phy_reset): c.phy_reset for c in channels if c.phy_reset is not None}
        self.comb += [phy_reset.eq(self.reset_phy) for phy_reset in phy_resets.values()]
