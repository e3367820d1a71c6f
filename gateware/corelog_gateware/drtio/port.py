"""Downstream port: a CRI on one side, real-time packets to a satellite on the other."""

from migen import If, Signal

from ..rtio.cri import CRI
from ..rtio.csr_bus import CSR, CSRStatus, CSRStorage
from ..rtio.tsc import TimestampCounter
from .credits import Credits
from .interface import LinkInterface
from .packets import FROM_SATELLITE, TO_SATELLITE, PacketReceiver, PacketSender
from .reads import Reader
from .registers import LinkRegisters, count
from .spaces import SpaceRequester
from .timing import TIME_CONSTANT, TimeSender
from .writes import EventWriter

__all__ = ["TIME_CONSTANT", "Port"]

# Per second.
_PAUSES = 10_000
_TIMEOUTS = 1_000


class Port(LinkRegisters):
    """Registers of the CSR module `drtio<n>` (docs/drtio.md, section 5), and what is behind them.

    link      the link layer
    tsc       the board's time
    clk_freq  in Hz, for the timeouts
    credits   True at the core device, where every event's room at its destination is accounted for; a repeater sends
              what it gets

    cri  a port of `Routing`; channels with their destination

    Registers beside those of LinkRegisters:
      echo, echo_cycles, time_correction, set_time   see timing.py; time_correction = 4 * echo_cycles + TIME_CONSTANT
      reset          write 1: the event and the read that wait end as "unreachable", credits are forgotten
      missed_writes  events that came while another was being sent, saturating
    and at the core device:
      underflow_margin  mu
      space_timeouts, read_timeouts   questions and reads without answer, saturating
      space_destination, space_request, space   asks for the room at a destination; space 0xffff: unreachable, 0 also:
                     no answer. Credits are not changed by that.
    """

    def __init__(self, link: LinkInterface, tsc: TimestampCounter, clk_freq: int, credits: bool = False) -> None:
        self.cri = cri = CRI(name="port")
        receiver, sender = PacketReceiver(link, FROM_SATELLITE), PacketSender(link, TO_SATELLITE)
        LinkRegisters.__init__(self, link, receiver)
        self.submodules += receiver, sender
        self.echo = CSR()
        self.echo_cycles = CSRStatus(16)
        self.time_correction = CSRStorage(32)
        self.set_time = CSR()
        self.reset = CSR()
        self.missed_writes = CSRStatus(16)

        # # #

        self.submodules.time = time = TimeSender(sender, receiver, tsc)
        self.comb += [
            time.correction.eq(self.time_correction.storage),
            time.set_time.eq(self.set_time.re & self.set_time.r),
            self.set_time.w.eq(time.setting),
            time.echo.eq(self.echo.re & self.echo.r),
            self.echo.w.eq(time.echo_busy),
            self.echo_cycles.status.eq(time.echo_cycles),
            cri.counter.eq(tsc.full),
        ]
        timeout = max(1, clk_freq // _TIMEOUTS) if credits else None
        account = None
        self.submodules.spaces = spaces = SpaceRequester(sender, receiver, timeout)
        if credits:
            self.submodules.credits = account = Credits(tsc, spaces, max(1, clk_freq // _PAUSES))
        self.submodules.writer = writer = EventWriter(cri, sender, account)
        self.submodules.reader = reader = Reader(cri, sender, receiver, tsc, timeout)
        forget = Signal()
        self.sync += forget.eq(self.reset.re & self.reset.r)
        for user in [spaces, writer, reader] + ([account] if credits else []):
            self.comb += [user.up.eq(link.up), user.forget.eq(forget)]
        count(self, writer.missed, self.missed_writes.status)
        if credits:
            self._add_credit_registers(account, spaces, reader)
        else:
            self.comb += [
                spaces.start.eq(cri.space_stb),
                spaces.destination.eq(cri.chan_sel[16:]),
                cri.space_wait.eq(spaces.busy),
                cri.space.eq(spaces.space),
            ]

    def _add_credit_registers(self, account: Credits, spaces: SpaceRequester, reader: Reader) -> None:
        self.underflow_margin = CSRStorage(32)
        self.space_timeouts = CSRStatus(16)
        self.read_timeouts = CSRStatus(16)
        self.space_destination = CSRStorage(8)
        self.space_request = CSR()
        self.space = CSRStatus(16)

        waits, asks = Signal(), Signal()  # the registers' question: not asked yet, under way
        start = Signal()
        self.comb += [
            account.margin.eq(self.underflow_margin.storage),
            self.space_request.w.eq(waits | asks),
            start.eq(waits & ~spaces.busy & ~account.start),
            spaces.start.eq(account.start | start),
            If(account.start, spaces.destination.eq(account.destination)).Else(
                spaces.destination.eq(self.space_destination.storage)
            ),
        ]
        self.sync += [
            If(self.space_request.re & self.space_request.r, waits.eq(1)),
            If(start, waits.eq(0), asks.eq(1)).Elif(
                asks & ~spaces.busy,
                asks.eq(0),
                If(spaces.done, self.space.status.eq(spaces.space)).Else(self.space.status.eq(0)),
            ),
        ]
        forgotten = Signal()
        self.sync += forgotten.eq(spaces.forget)  # gives up what is asked, which is no timeout
        count(self, spaces.timed_out & ~forgotten, self.space_timeouts.status)
        count(self, reader.timed_out, self.read_timeouts.status)
