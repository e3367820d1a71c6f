"""Link layer: real-time words, aux bytes and idle words to and from one physical layer (docs/drtio.md, section 2)."""

from migen import Case, Cat, Constant, If, Module, Signal
from migen.genlib.record import Record

from .interface import K_AUX, K_AUX_LAST, K_IDLE, K_START, LinkInterface
from .scrambler import Scrambler

# The link is up after this many good words in a row, and down after as many bad ones among WINDOW words.
GOOD_WORDS = BAD_WORDS = 64
WINDOW = 256


class LinkTransmitter(Module):
    """Sends real-time words first, then aux bytes, else idle words: one word a cycle, on `phy` one cycle later.

    While link.enable is low nothing changes on `phy`, and what is given is lost.
    """

    def __init__(self, phy: Record, link: LinkInterface) -> None:
        self.submodules.scrambler = scrambler = Scrambler()
        self.comb += [
            link.aux_tx_ack.eq(link.aux_tx_stb & ~link.rt_tx_stb),
            scrambler.ce.eq(link.enable),
            scrambler.k.eq(1),
            scrambler.i.eq(K_IDLE),
            If(
                link.rt_tx_stb,
                If(link.rt_tx_start, scrambler.i.eq(Cat(Constant(K_START, 8), link.rt_tx_data[:8]))).Else(
                    scrambler.k.eq(0),
                    scrambler.i.eq(link.rt_tx_data),
                ),
            ).Elif(
                link.aux_tx_stb,
                If(link.aux_tx_last, scrambler.i.eq(Cat(Constant(K_AUX_LAST, 8), link.aux_tx_data))).Else(
                    scrambler.i.eq(Cat(Constant(K_AUX, 8), link.aux_tx_data))
                ),
            ),
        ]
        self.sync += [
            phy.tx_enable.eq(link.enable),
            If(link.enable, phy.tx_d.eq(scrambler.o), phy.tx_k.eq(scrambler.k)),
        ]


class LinkReceiver(Module):
    """Sorts the words received, finds symbol errors, and says when the link is up.

    The link comes up with an idle word, so that no packet begins in the middle. A window of 256 words begins with a bad
    word: a link without errors counts nothing.
    """

    def __init__(self, phy: Record, link: LinkInterface) -> None:
        self.submodules.descrambler = descrambler = Scrambler(descramble=True)
        word = descrambler.o
        in_packet = Signal()  # the word before was a start word or one of the packet's
        idle, aux, start, data, bad = Signal(), Signal(), Signal(), Signal(), Signal()
        last = Signal()
        self.comb += [
            descrambler.i.eq(phy.rx_d),
            descrambler.k.eq(phy.rx_k[0]),
            descrambler.ce.eq(phy.rx_up & ~phy.rx_bad),
            If(
                ~phy.rx_bad,
                If(
                    phy.rx_k == 1,
                    Case(
                        word[:8],
                        {
                            K_IDLE: idle.eq(word[8:] == 0),
                            K_AUX: aux.eq(1),
                            K_AUX_LAST: [aux.eq(1), last.eq(1)],
                            K_START: start.eq(1),
                        },
                    ),
                ).Elif(phy.rx_k == 0, data.eq(in_packet)),
            ),
            bad.eq(~(idle | aux | start | data)),
            link.aux_rx_error.eq(link.symbol_error | ~link.up),
        ]

        # While down: good words in a row. While up: bad words of the window.
        count = Signal(max=GOOD_WORDS)
        place = Signal(max=WINDOW)  # in the window; 0: none has begun
        self.sync += [
            link.rt_rx_stb.eq(0),
            link.aux_rx_stb.eq(0),
            link.symbol_error.eq(0),
            If(
                phy.rx_up,
                in_packet.eq(start | data),
                If(
                    link.up,
                    If(
                        start | data,
                        link.rt_rx_stb.eq(1),
                        link.rt_rx_start.eq(start),
                        If(start, link.rt_rx_data.eq(word[8:])).Else(link.rt_rx_data.eq(word)),
                    ),
                    If(aux, link.aux_rx_stb.eq(1), link.aux_rx_data.eq(word[8:]), link.aux_rx_last.eq(last)),
                    If(place != 0, place.eq(place + 1)),
                    If(
                        bad,
                        link.symbol_error.eq(1),
                        If(place == 0, place.eq(1), count.eq(1))
                        .Elif(count == BAD_WORDS - 1, link.up.eq(0), place.eq(0), count.eq(0))
                        .Else(count.eq(count + 1)),
                    ),
                )
                .Elif(bad, count.eq(0))
                .Elif(count != GOOD_WORDS - 1, count.eq(count + 1))
                .Elif(idle, link.up.eq(1)),
            ).Else(link.up.eq(0), in_packet.eq(0), place.eq(0), count.eq(0)),
        ]


class LinkLayer(Module, LinkInterface):
    """Both directions of a link; its signals are explained in `LinkInterface`.

    phy  record of `phy_layout`

    Each way takes one cycle: what is given in cycle c is on phy.tx_d in c + 1, what is on phy.rx_d in c comes in c + 1.
    """

    def __init__(self, phy: Record) -> None:
        LinkInterface.__init__(self)

        # # #

        self.submodules.transmitter = LinkTransmitter(phy, self)
        self.submodules.receiver = LinkReceiver(phy, self)
