"""Aux frames in: from the link to the receive buffers, if they are whole and right."""

from migen import Cat, If, Memory, Module, Mux, Signal

from ..rtio.errors import SaturatingCounter
from .aux_crc import INITIAL, crc32_complete, crc32_next
from .aux_memory import FRAME_BYTES, RX_BUFFERS, AuxMemory
from .interface import LinkInterface

COUNTER_BITS = 16


class AuxReceiver(Module):
    """Keeps up to eight frames, in the order received.

    present    a frame is there
    buffer     (while present) which receive buffer holds the oldest frame
    length     (while present) its bytes, with the CRC
    release    one cycle: free that buffer; ignored while not present

    corrupt    frames dropped because of symbol errors, the link's loss, length or CRC; saturates
    overflows  right frames dropped because all buffers were taken when they began; saturates

    After a symbol error the rest of the frame under way is passed over, up to a last byte. If it was the last byte that
    was hit, the next frame goes with it, and one drop is counted for both.
    """

    def __init__(self, link: LinkInterface, memory: AuxMemory) -> None:
        self.present = Signal()
        self.buffer = Signal(max=RX_BUFFERS)
        self.length = Signal(max=2 * FRAME_BYTES)
        self.release = Signal()

        self.submodules.corrupt_counter = corrupt = SaturatingCounter(COUNTER_BITS, 1)
        self.submodules.overflow_counter = overflow = SaturatingCounter(COUNTER_BITS, 1)
        self.corrupt, self.overflows = corrupt.value, overflow.value

        # # #

        held = Signal(max=RX_BUFFERS + 1)
        fill = Signal(max=RX_BUFFERS)        # the buffer after the newest frame's
        place = Signal(max=2 * FRAME_BYTES)  # of the byte that comes next; stays at FRAME_BYTES, where no word ends
        crc, early = Signal(32, reset=INITIAL), Signal(24)
        begun = Signal()                     # within a frame
        lost = Signal()                      # its drop is counted, the rest is passed over
        no_room = Signal()                   # all buffers were taken when it began

        mixed, whole, ends, full, keep = Signal(8), Signal(), Signal(), Signal(), Signal()
        self.comb += [
            full.eq(held == RX_BUFFERS),
            mixed.eq(link.aux_rx_data ^ crc[:8]),
            whole.eq(crc32_complete(crc, mixed) & (place[:3] == 7)),
            ends.eq(link.aux_rx_stb & link.aux_rx_last & ~lost),
            corrupt.increment.eq(Mux(link.aux_rx_error, begun & ~lost, ends & ~whole)),
            overflow.increment.eq(ends & whole & no_room),
            keep.eq(ends & whole & ~no_room),
            memory.rx_adr.eq(Cat(place[2:10], fill)),
            memory.rx_data.eq(Cat(early, link.aux_rx_data)),
            memory.rx_we.eq(link.aux_rx_stb & (place[:2] == 3) & ~no_room),
        ]
        self.sync += [
            If(
                link.aux_rx_stb,
                begun.eq(1),
                If(~begun, no_room.eq(full)),
                If(place < FRAME_BYTES, place.eq(place + 1)),
                crc.eq(crc32_next(crc, mixed)),
                early.eq(Cat(early[8:], link.aux_rx_data)),
            ),
            If(link.aux_rx_error & begun, lost.eq(1)),
            If((link.aux_rx_stb & link.aux_rx_last) | ~link.up, begun.eq(0), lost.eq(0), place.eq(0), crc.eq(INITIAL)),
        ]

        # Frames are a multiple of 8 bytes long, from 8 to 1024: 7 bits do.
        lengths = Memory(7, RX_BUFFERS)
        port_w, port_r = lengths.get_port(write_capable=True), lengths.get_port(async_read=True)
        self.specials += lengths, port_w, port_r
        take = Signal()
        self.comb += [
            self.present.eq(held != 0),
            take.eq(self.release & self.present),
            port_w.adr.eq(fill),
            port_w.dat_w.eq(place[3:10]),
            port_w.we.eq(keep),
            port_r.adr.eq(self.buffer),
            self.length.eq((port_r.dat_r + 1) << 3),
        ]
        self.sync += [
            If(keep, fill.eq(fill + 1)),
            If(take, self.buffer.eq(self.buffer + 1)),
            If(keep & ~take, held.eq(held + 1)).Elif(take & ~keep, held.eq(held - 1)),
        ]
