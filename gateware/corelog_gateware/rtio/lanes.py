"""Lane distributor: takes output events one at a time and puts each into a lane in which times only rise."""

from collections.abc import Sequence

from migen import Case, Cat, If, Memory, Module, Mux, Signal
from migen.fhdl.specials import READ_FIRST

from .channel import Channel
from .cri import ADDRESS_BITS, CHAN_SEL_BITS, COARSE_BITS, CRI, FINE_BITS
from .tsc import TimestampCounter

UNDERFLOW_MARGIN = 12

_IDLE, _CHECK, _DELAY, _SEARCH, _DECIDE, _COMMIT = range(6)


class LaneDistributor(Module):
    """Checks a submitted event, chooses its lane and writes it there.

    Submission is the output half of `cri` (see cri.py). Checks in this order:
      no such output channel                      -> status unreachable
      not coarse > now + 12                       -> status underflow
      no lane whose last coarse time is earlier   -> sequence error: dropped, `sequence_stb` for one cycle
      not coarse > now + 12 when a lane takes it  -> status underflow
    Lanes are looked at in cyclic order from the current one (with `spread`, from the next one if the current one is
    full) and the first usable one is taken; it becomes the current one. If it is full the event waits for room, unless
    it becomes too late meanwhile.

    All lanes are compared, through one comparator, before the choice: `earlier` of an event has the bit of every lane
    whose last coarse time was not earlier than the event's. As times in a lane only rise, an event of the same coarse
    time in lane j was submitted before this one exactly if bit j is set. This orders simultaneous events exactly,
    however many submissions lie between them, which no counter of limited width could.

    lane_we, lane_full   a bit per lane: write (one lane at a time), no room
    timestamp (64, mu, with the channel's delay added), channel, address, data, replace, earlier   the event written
    sequence_stb, with chan_sel and timestamp of the event in sequence_channel, sequence_timestamp
    """

    def __init__(self, cri: CRI, tsc: TimestampCounter, channels: Sequence[Channel], lane_count: int) -> None:
        self.spread = Signal()
        self.lane_we = Signal(lane_count)
        self.lane_full = Signal(lane_count)
        self.timestamp = Signal(64)
        self.channel = Signal(CHAN_SEL_BITS)
        self.address = Signal(ADDRESS_BITS)
        self.data = Signal(len(cri.o_data))
        self.replace = Signal()
        self.earlier = Signal(lane_count)
        self.sequence_stb = Signal()
        self.sequence_channel = self.channel
        self.sequence_timestamp = self.timestamp

        # # #

        limit = tsc.ahead(UNDERFLOW_MARGIN)
        coarse = self.timestamp[FINE_BITS:]
        too_late = Signal()
        self.comb += too_late.eq(coarse <= limit)
        state = Signal(max=6, reset=_IDLE)
        wait, underflow, unreachable, ignored = Signal(), Signal(), Signal(), Signal()
        self.comb += [wait.eq(state != _IDLE), cri.o_status.eq(Cat(wait, underflow, unreachable, ignored))]

        lane_type = {"max": max(lane_count, 2)}
        current, chosen = Signal(**lane_type), Signal(**lane_type)
        found = Signal()
        used = Signal(lane_count)
        lane_stb = Signal()

        def following(lane: Signal) -> object:
            return lane + 1 if lane_count == 2 ** len(lane) else Mux(lane == lane_count - 1, 0, lane + 1)

        def bit(vector: Signal, lane: Signal) -> object:
            return ((vector >> lane) & 1) != 0

        # Last coarse time of each lane, meaningless until the lane is used.
        last = Memory(COARSE_BITS, max(lane_count, 2))
        read = last.get_port(has_re=True, mode=READ_FIRST)
        write = last.get_port(write_capable=True, mode=READ_FIRST)
        self.specials += last, read, write

        # The search runs as a pipeline, a lane per cycle: address, compare, note.
        at, compared, noted = Signal(**lane_type), Signal(**lane_type), Signal(**lane_type)
        compare_valid, note_valid = Signal(), Signal()
        usable = Signal()
        remaining = Signal(max=lane_count + 1)
        searching = Signal()
        self.comb += [
            searching.eq((state == _SEARCH) & (remaining != 0)),
            read.adr.eq(at),
            read.re.eq(searching),
            write.adr.eq(chosen),
            write.dat_w.eq(coarse),
            write.we.eq(lane_stb),
        ]

        delay = Signal(max=max(2, 1 + max((channel.delay for channel in channels), default=0)))
        outputs = {n: channel for n, channel in enumerate(channels) if channel.output is not None}
        accept = {
            n: [self.replace.eq(int(channel.replace)), delay.eq(channel.delay), state.eq(_DELAY)]
            for n, channel in outputs.items()
        }

        idle = If(
            cri.o_stb,
            self.channel.eq(cri.chan_sel),
            self.address.eq(cri.o_address),
            self.timestamp.eq(cri.o_timestamp),
            self.data.eq(cri.o_data),
            underflow.eq(0),
            unreachable.eq(0),
            ignored.eq(0),
            state.eq(_CHECK),
        )
        check = Case(self.channel, {**accept, "default": [unreachable.eq(1), state.eq(_IDLE)]})
        prepare = [
            coarse.eq(coarse + delay),
            at.eq(Mux(self.spread & bit(self.lane_full, current), following(current), current)),
            remaining.eq(lane_count),
            compare_valid.eq(0),
            note_valid.eq(0),
            found.eq(0),
            self.earlier.eq(0),
            state.eq(_SEARCH),
        ]
        search = [
            If(~searching & ~compare_valid, state.eq(_DECIDE)),
            If(
                note_valid,
                If(~usable, self.earlier.eq(self.earlier | (1 << noted))).Elif(~found, found.eq(1), chosen.eq(noted)),
            ),
            usable.eq((coarse > read.dat_r) | ~bit(used, compared)),
            noted.eq(compared),
            note_valid.eq(compare_valid),
            compared.eq(at),
            compare_valid.eq(searching),
            If(searching, at.eq(following(at)), remaining.eq(remaining - 1)),
        ]
        decide = (
            If(too_late, underflow.eq(1), state.eq(_IDLE))
            .Elif(found, state.eq(_COMMIT))
            .Else(self.sequence_stb.eq(1), state.eq(_IDLE))
        )
        commit = If(too_late, underflow.eq(1), state.eq(_IDLE)).Elif(
            ~bit(self.lane_full, chosen),
            lane_stb.eq(1),
            self.lane_we.eq(1 << chosen),
            used.eq(used | (1 << chosen)),
            current.eq(chosen),
            state.eq(_IDLE),
        )
        self.sync += If(
            wait | cri.o_stb | lane_stb | self.sequence_stb,
            lane_stb.eq(0),
            self.lane_we.eq(0),
            self.sequence_stb.eq(0),
            If(cri.o_stb & wait, ignored.eq(1)),
            Case(state, {
                _IDLE: idle, _CHECK: check, _DELAY: prepare, _SEARCH: search, _DECIDE: decide, _COMMIT: commit,
            }),
        )
