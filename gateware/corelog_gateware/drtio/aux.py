"""The aux channel of one link, as firmware sees it (docs/drtio.md, sections 4 and 5)."""

from migen import Module

from ..rtio.csr_bus import CSR, AutoCSR, CSRStatus, CSRStorage, EventManager, EventSourceLevel
from .aux_memory import AuxMemory
from .aux_receiver import COUNTER_BITS, AuxReceiver
from .aux_transmitter import AuxTransmitter
from .interface import LinkInterface


class AuxController(Module, AutoCSR):
    """Sends frames from a buffer and receives them into eight.

    link  the link layer; this core drives its aux_tx_*

    bus   Wishbone slave with the buffers, of `aux_memory.REGION_BYTES`: transmit buffer at 0, receive buffer n at
          8192 + 1024 n; words only, to be uncached
    ev    level events: `rx` while a frame is present, `tx` while nothing is being sent

    tx_length   bytes of the frame to send, with its CRC: a multiple of 8 from 8 to 1024
    tx          write 1: send what is in the transmit buffer; the last four bytes are the CRC, put in on the way.
                Reads 1 while busy; then, and with any other tx_length, writing does nothing. Sending always ends, also
                while the link is down.
    rx_present  a frame is there; write 1: release its buffer
    rx_buffer, rx_length        (while present) where the oldest frame is; its bytes, with the CRC
    rx_overflows, rx_corrupt    frames dropped since reset, see AuxReceiver
    """

    def __init__(self, link: LinkInterface) -> None:
        self.submodules.memory = memory = AuxMemory()
        self.submodules.transmitter = transmitter = AuxTransmitter(link, memory)
        self.submodules.receiver = receiver = AuxReceiver(link, memory)
        self.bus = memory.bus
        self.tx_length = CSRStorage(len(transmitter.length))
        self.tx = CSR()
        self.rx_present = CSR()
        self.rx_buffer = CSRStatus(len(receiver.buffer))
        self.rx_length = CSRStatus(len(receiver.length))
        self.rx_overflows = CSRStatus(COUNTER_BITS)
        self.rx_corrupt = CSRStatus(COUNTER_BITS)
        self.submodules.ev = EventManager()
        self.ev.rx = EventSourceLevel()
        self.ev.tx = EventSourceLevel()
        self.ev.finalize()

        # # #

        self.comb += [
            transmitter.length.eq(self.tx_length.storage),
            transmitter.start.eq(self.tx.re & self.tx.r),
            self.tx.w.eq(transmitter.busy),
            receiver.release.eq(self.rx_present.re & self.rx_present.r),
            self.rx_present.w.eq(receiver.present),
            self.rx_buffer.status.eq(receiver.buffer),
            self.rx_length.status.eq(receiver.length),
            self.rx_overflows.status.eq(receiver.overflows),
            self.rx_corrupt.status.eq(receiver.corrupt),
            self.ev.rx.trigger.eq(receiver.present),
            self.ev.tx.trigger.eq(~transmitter.busy),
        ]
