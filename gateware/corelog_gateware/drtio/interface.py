"""What the parts of a DRTIO link share: the physical layer's record and the link layer's signals to its users.

The wire format is docs/drtio.md, sections 1 and 2. Everything is in the `sys` clock domain.
"""

from migen import Signal
from migen.genlib.record import DIR_M_TO_S, DIR_S_TO_M

# K symbols in byte 0 of a word, with bit 0 of the word's k set.
K_IDLE = 0xbc       # K28.5
K_AUX = 0x3c        # K28.1
K_AUX_LAST = 0x5c   # K28.2
K_START = 0x7c      # K28.3

DESTINATIONS = 256


def phy_layout() -> list[tuple[str, int, int]]:
    """Layout of the record between link layer (master: drives tx_*) and physical layer (drives rx_*).

    tx_d, tx_k    the word sent in this cycle; byte 0 (bits 0 to 7) first; bit n of tx_k: byte n is a K symbol
    tx_enable     0: send nothing, tx_d and tx_k do not change
    rx_d, rx_k    the word received, one in every cycle
    rx_bad        the word holds a symbol that is no valid code; rx_d, rx_k mean nothing
    rx_up         locked and aligned; while it is low the other rx_* mean nothing (and had best not change)

    rx_* should come straight from registers: the link layer descrambles them in the same cycle.
    """
    return [
        ("tx_d", 16, DIR_M_TO_S),
        ("tx_k", 2, DIR_M_TO_S),
        ("tx_enable", 1, DIR_M_TO_S),
        ("rx_d", 16, DIR_S_TO_M),
        ("rx_k", 2, DIR_S_TO_M),
        ("rx_bad", 1, DIR_S_TO_M),
        ("rx_up", 1, DIR_S_TO_M),
    ]


class LinkInterface:
    """Signals between the link layer and its users. `LinkLayer` (link.py) has them; tests use them alone.

    Real-time TX, driven by the sender of packets
        rt_tx_stb     a word is to be sent. It is always taken in the same cycle and on phy.tx_d in the next.
        rt_tx_start   the first word of a packet: only rt_tx_data[:8], the type, is sent
        rt_tx_data    16 bits
        A packet's words must come in consecutive cycles: rt_tx_stb falls, or rt_tx_start is set again, only after the
        packet's last word. Packets may follow each other without a gap.

    Real-time RX, registers, valid for one cycle, one cycle after the word was on phy.rx_d
        rt_rx_stb     this cycle's word belongs to a real-time packet
        rt_rx_start   (with rt_rx_stb) it is a start word: rt_rx_data[:8] is the type, rt_rx_data[8:] is 0
        rt_rx_data    16 bits, descrambled; holds its value while rt_rx_stb is low
        The link layer does not know packets' lengths. A packet is the start word and the words of the cycles straight
        after it in which rt_rx_stb is high and rt_rx_start low. rt_rx_stb is low for idle words, aux bytes, symbol
        errors and while the link is down: a packet that is too short when rt_rx_stb falls or rt_rx_start comes was
        broken off. rt_rx_stb never rises without rt_rx_start: D words after a break are symbol errors and not passed
        on. D words straight after a packet's end are passed on; they make the packet too long, which the receiver of
        packets counts (corrupt_packets), not the link layer.

    Aux TX, driven by the sender of frames
        aux_tx_stb    a byte is offered; it may wait as long as real-time words go first
        aux_tx_data   8 bits
        aux_tx_last   it is its frame's last
        aux_tx_ack    driven by the link layer: the byte is taken in this cycle, that is, rt_tx_stb is low. A link that
                      is down or disabled takes bytes too, and they are lost.

    Aux RX, registers, valid for one cycle, one cycle after the word was on phy.rx_d
        aux_rx_stb    a byte of a frame
        aux_rx_data   8 bits, descrambled
        aux_rx_last   (with aux_rx_stb) it is its frame's last
        aux_rx_error  never with aux_rx_stb: a symbol error came, or the link is down (as long as it is). Bytes may be
                      missing here and the next three may be wrong: the frame under way is lost.

    Status
        enable        driven by the user: send. Goes to phy.tx_enable one cycle later.
        up            register: the link is up
        symbol_error  register, one cycle for every symbol error while the link is up
    """

    def __init__(self) -> None:
        self.rt_tx_stb = Signal()
        self.rt_tx_start = Signal()
        self.rt_tx_data = Signal(16)

        self.rt_rx_stb = Signal()
        self.rt_rx_start = Signal()
        self.rt_rx_data = Signal(16)

        self.aux_tx_stb = Signal()
        self.aux_tx_data = Signal(8)
        self.aux_tx_last = Signal()
        self.aux_tx_ack = Signal()

        self.aux_rx_stb = Signal()
        self.aux_rx_data = Signal(8)
        self.aux_rx_last = Signal()
        self.aux_rx_error = Signal()

        self.enable = Signal()
        self.up = Signal()
        self.symbol_error = Signal()
