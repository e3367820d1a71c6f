"""Uplink of a satellite: real-time packets from upstream on one side, a CRI on the other."""

from migen import Cat, Constant, If, Mux, Signal

from ..rtio.cri import CHAN_SEL_BITS, CRI, I_WAIT, O_UNDERFLOW, O_UNREACHABLE
from ..rtio.csr_bus import CSR, CSRStatus
from ..rtio.tsc import TimestampCounter
from .commands import Commands
from .interface import LinkInterface
from .packets import (
    ECHO,
    FROM_SATELLITE,
    READ_NO_EVENT,
    READ_REPLY,
    SET_TIME,
    SPACE,
    TO_SATELLITE,
    WRITE,
    PacketReceiver,
    PacketSender,
)
from .registers import LinkRegisters


class Uplink(LinkRegisters):
    """Registers of the CSR module `drtiosat` (docs/drtio.md, section 5), and what is behind them.

    link  the link layer
    tsc   the board's time, loaded when upstream sends it
    cri   driven by this: what upstream asks for is done there, in its order

    Registers beside those of LinkRegisters:
      time_loaded        a time was loaded since this was last written with 1
      write_underflow    an event was refused: too late
      write_overflow     an event was dropped: it came while too many waited
      write_unreachable  an event was refused: no such channel, or no way to its destination
      write_channel (24), write_timestamp (64), write_slack (64, signed: timestamp - counter; mu)
                         of the first of these since all three were clear. Writing 1 clears one.

    A read that upstream asks for while one is under way takes its place. Its answer carries the number of the request.
    """

    def __init__(self, link: LinkInterface, tsc: TimestampCounter, cri: CRI) -> None:
        receiver, sender = PacketReceiver(link, TO_SATELLITE), PacketSender(link, FROM_SATELLITE)
        LinkRegisters.__init__(self, link, receiver)
        self.submodules += receiver, sender
        self.time_loaded = CSR()
        self.write_underflow = CSR()
        self.write_overflow = CSR()
        self.write_unreachable = CSR()
        self.write_channel = CSRStatus(CHAN_SEL_BITS)
        self.write_timestamp = CSRStatus(64)
        self.write_slack = CSRStatus(64)

        # # #

        # An echo goes back in the very cycle, or not at all, so that its way has always the same length.
        sender.add(ECHO, receiver.stb & (receiver.kind == ECHO))

        time_loaded = Signal()
        self.comb += [
            tsc.load.eq(receiver.stb & (receiver.kind == SET_TIME)),
            tsc.load_value.eq(receiver.fields[SET_TIME]["time"]),
            self.time_loaded.w.eq(time_loaded),
        ]
        self.sync += [
            If(self.time_loaded.re & self.time_loaded.r, time_loaded.eq(0)),
            If(tsc.load, time_loaded.eq(1)),
        ]

        self.submodules.commands = commands = Commands(receiver, cri)
        write = receiver.fields[WRITE]
        flags = {name: Signal(name=name) for name in ("underflow", "overflow", "unreachable")}
        events = {
            "underflow": commands.written & ((cri.o_status & O_UNDERFLOW) != 0),
            "unreachable": commands.written & ((cri.o_status & O_UNREACHABLE) != 0),
            "overflow": commands.overflow,
        }
        failure = Signal()
        self.comb += failure.eq(events["underflow"] | events["unreachable"] | events["overflow"])
        timestamp = Signal(64)
        self.comb += If(failure, timestamp.eq(Mux(events["overflow"], write["time"], cri.o_timestamp)))
        self.sync += If(
            failure & ~(flags["underflow"] | flags["overflow"] | flags["unreachable"]),
            self.write_channel.status.eq(Mux(events["overflow"], write["channel"], cri.chan_sel)),
            self.write_timestamp.status.eq(timestamp),
            self.write_slack.status.eq(timestamp - tsc.full),
        )
        for name, flag in flags.items():
            register = getattr(self, f"write_{name}")
            self.comb += register.w.eq(flag)
            self.sync += [If(register.re & register.r, flag.eq(0)), If(events[name], flag.eq(1))]

        # Answers, in the cycle in which they are taken as they stand on the CRI.
        reading, asking = Signal(), Signal()
        self.comb += [
            reading.eq(commands.read_pending & ((cri.i_status & I_WAIT) == 0)),
            asking.eq(commands.space_pending & ~cri.space_wait),
        ]
        number, zeros = commands.read_number, Constant(0, 8)
        event = reading & (cri.i_status == 0)
        none = reading & (cri.i_status != 0)
        self.comb += [
            commands.space_answered.eq(sender.add(SPACE, asking, Cat(commands.space_number, zeros, cri.space))),
            commands.read_answered.eq(
                sender.add(READ_REPLY, event, Cat(number, zeros, cri.i_timestamp, cri.i_data))
                | sender.add(READ_NO_EVENT, none, Cat(cri.i_status, zeros[:4], number))
            ),
        ]
