"""Aux frames out: from the transmit buffer to the link, with their CRC."""

from migen import Case, If, Module, Mux, Signal

from .aux_crc import INITIAL, crc32_next
from .aux_memory import FRAME_BYTES, AuxMemory
from .interface import LinkInterface


class AuxTransmitter(Module):
    """Sends the frame in the transmit buffer.

    start   send; ignored while busy and if length is none a frame can have (a multiple of 8 from 8 to 1024)
    length  bytes with the CRC, valid with `start`; the frame's last four bytes in the buffer are not sent, the CRC is
    busy    from the cycle after `start` to the one in which the last byte is taken; the buffer must not change

    A byte is offered in every cycle from the one after `start` on.
    """

    def __init__(self, link: LinkInterface, memory: AuxMemory) -> None:
        self.start = Signal()
        self.length = Signal(max=2 * FRAME_BYTES)
        self.busy = Signal()

        # # #

        place = Signal(max=FRAME_BYTES)  # of the byte offered
        last_word = Signal(max=FRAME_BYTES // 4)
        crc = Signal(32)
        byte, mixed, in_crc = Signal(8), Signal(8), Signal()
        self.comb += [
            in_crc.eq(place[2:] == last_word),
            Case(place[:2], {n: byte.eq(memory.tx_data[8 * n : 8 * n + 8]) for n in range(4)}),
            mixed.eq(byte ^ crc[:8]),
            link.aux_tx_stb.eq(self.busy),
            link.aux_tx_data.eq(Mux(in_crc, ~crc[:8], byte)),
            link.aux_tx_last.eq(in_crc & (place[:2] == 3)),
            # The word that is needed in the next cycle; 0 while there is nothing to send.
            memory.tx_adr.eq(place[2:]),
            If(link.aux_tx_ack & (place[:2] == 3), memory.tx_adr.eq(place[2:] + 1)),
        ]
        legal = (self.length[:3] == 0) & (self.length != 0) & (self.length <= FRAME_BYTES)
        self.sync += If(
            self.busy,
            If(
                link.aux_tx_ack,
                place.eq(place + 1),
                If(in_crc, crc.eq(crc[8:])).Else(crc.eq(crc32_next(crc, mixed))),
                If(link.aux_tx_last, self.busy.eq(0), place.eq(0)),
            ),
        ).Elif(
            self.start & legal,
            self.busy.eq(1),
            crc.eq(INITIAL),
            last_word.eq(self.length[2:] - 1),
        )
