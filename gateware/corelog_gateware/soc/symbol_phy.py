"""DRTIO PHY of the simulation: a word of symbols out and one in per cycle, no transceiver."""

from migen import Cat, Module, Record

from ..drtio.interface import phy_layout

# Pads as the harness sees them, low bits first.
TX_BITS = 19  # d 16, k 2, enable
RX_BITS = 20  # d 16, k 2, bad, up


class SymbolPHY(Module):
    """``phy``, a Record of ``phy_layout()``, led to two pads.

    ``tx`` follows ``phy.tx_*`` in the same cycle. ``rx`` is registered here (a path from pads through the link layer
    would be evaluated twice per cycle in simulation): the other side counts that cycle as one of the pipe's.
    """

    def __init__(self, tx, rx):
        self.phy = phy = Record(phy_layout())

        # # #

        self.comb += tx.eq(Cat(phy.tx_d, phy.tx_k, phy.tx_enable))
        self.sync += Cat(phy.rx_d, phy.rx_k, phy.rx_bad, phy.rx_up).eq(rx)
