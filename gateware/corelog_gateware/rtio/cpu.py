"""CPU front end: the registers through which firmware uses the RTIO core."""

from migen import Cat, If, Module, Signal

from .core import RTIOCore
from .cri import ADDRESS_BITS, CHAN_SEL_BITS, CRI
from .csr_bus import CSR, AutoCSR, CSRStatus, CSRStorage, EventManager, EventSourceLevel
from .errors import CHANNEL_BITS, COUNTER_BITS, KIND_BITS, KIND_BUSY, KIND_COLLISION, KIND_SEQUENCE


class RTIOFrontEnd(Module, AutoCSR):
    """Registers of the CSR module `rtio`; what the bits mean is in cri.py.

    target             channel << 8 | address
    timestamp          64, mu
    o_data             writing it submits an output event with the present target and timestamp
    o_status           wait, underflow, unreachable, ignored
    i_timeout          64, mu, absolute
    i_start            write 1: read from the channel of target
    i_status           no event, overflow, wait, unreachable
    i_data, i_timestamp  the event read
    counter_update     write 1: counter (64, mu) takes the present time
    reset, reset_phy   write 1
    sed_spread_enable  1: spread events over the lanes

    core  whose time, resets and spreading these are
    cri   where events go and reads come from: the core's (default), a switch before it (drtio/routing.py), or
          unconnected_cri() where others than this CPU submit events
    """

    def __init__(self, core: RTIOCore, cri: CRI | None = None) -> None:
        cri = core.cri if cri is None else cri
        self.target = CSRStorage(CHAN_SEL_BITS + ADDRESS_BITS)
        self.timestamp = CSRStorage(64)
        self.o_data = CSRStorage(32)
        self.o_status = CSRStatus(4)
        self.i_timeout = CSRStorage(64)
        self.i_start = CSR()
        self.i_status = CSRStatus(4, reset=1)
        self.i_data = CSRStatus(32)
        self.i_timestamp = CSRStatus(64)
        self.counter_update = CSR()
        self.counter = CSRStatus(64)
        self.reset = CSR()
        self.reset_phy = CSR()
        self.sed_spread_enable = CSRStorage()

        # # #

        self.comb += [
            Cat(cri.o_address, cri.chan_sel).eq(self.target.storage),
            cri.o_timestamp.eq(self.timestamp.storage),
            cri.o_data.eq(self.o_data.storage),
            cri.o_stb.eq(self.o_data.re),
            self.o_status.status.eq(cri.o_status),
            cri.i_timeout.eq(self.i_timeout.storage),
            self.i_status.status.eq(cri.i_status),
            self.i_data.status.eq(cri.i_data),
            self.i_timestamp.status.eq(cri.i_timestamp),
            core.sed_spread_enable.eq(self.sed_spread_enable.storage),
        ]
        # Registered, as these go to many places or are not needed early.
        reset, reset_phy, start = Signal(), Signal(), Signal()
        self.sync += [
            reset.eq(self.reset.re & self.reset.r),
            reset_phy.eq(self.reset_phy.re & self.reset_phy.r),
            start.eq(self.i_start.re & self.i_start.r),
            If(self.counter_update.re & self.counter_update.r, self.counter.status.eq(core.tsc.full)),
        ]
        self.comb += [core.reset.eq(reset), core.reset_phy.eq(reset_phy), cri.i_stb.eq(start)]


class RTIOErrors(Module, AutoCSR):
    """Registers of the CSR module `rtio_errors`.

    present, kind, channel, timestamp  the oldest report: kind 1 collision, 2 busy, 3 sequence; timestamp (64, mu)
                                       of the event; meaningless unless present
    pop                                write 1: removes it
    lost_collision, lost_busy, lost_sequence   errors that found the queue full, since reset of the SoC, saturating
    ev                                 event manager; level event `report` while present
    """

    def __init__(self, core: RTIOCore) -> None:
        errors = core.errors
        self.present = CSRStatus()
        self.kind = CSRStatus(KIND_BITS)
        self.channel = CSRStatus(CHANNEL_BITS)
        self.timestamp = CSRStatus(64)
        self.pop = CSR()
        self.lost_collision = CSRStatus(COUNTER_BITS)
        self.lost_busy = CSRStatus(COUNTER_BITS)
        self.lost_sequence = CSRStatus(COUNTER_BITS)
        self.submodules.ev = EventManager()
        self.ev.report = EventSourceLevel()
        self.ev.finalize()

        # # #

        self.comb += [
            self.present.status.eq(errors.present),
            self.kind.status.eq(errors.kind),
            self.channel.status.eq(errors.channel),
            self.timestamp.status.eq(errors.timestamp),
            errors.pop.eq(self.pop.re & self.pop.r),
            self.lost_collision.status.eq(errors.lost[KIND_COLLISION]),
            self.lost_busy.status.eq(errors.lost[KIND_BUSY]),
            self.lost_sequence.status.eq(errors.lost[KIND_SEQUENCE]),
            self.ev.report.trigger.eq(errors.present),
        ]
