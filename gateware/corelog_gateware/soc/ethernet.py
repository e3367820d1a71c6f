"""Ethernet frames over a PHY's octets: preamble, checksum, padding and clock crossings."""

from liteeth.common import eth_phy_description
from liteeth.mac.core import LiteEthMACCore
from litex.soc.interconnect import stream
from migen import Module


class _MarkedEnd(Module):
    """A PHY whose ``source`` has ``last_be`` with ``last``. LiteEth's PHYs of one octet a cycle leave it 0, and its
    checker of checksums then calls every frame good."""

    dw = 8

    def __init__(self, phy: Module):
        self.sink = phy.sink
        self.source = stream.Endpoint(eth_phy_description(8))

        # # #

        self.comb += [
            phy.source.connect(self.source, omit={"last_be"}),
            self.source.last_be.eq(phy.source.last),
        ]


class FrameLink(LiteEthMACCore):
    """LiteEth's MAC core as what :class:`soc.core_device.CoreDevice` takes as an Ethernet PHY: ``sink`` and ``source``
    of whole frames in words of 32 bits, in ``sys``. A frame with a wrong checksum is marked in ``error``, for which the
    MAC's slots drop it.

    :param phy: PHY of LiteEth's: ``sink``, ``source`` of octets, clock domains ``eth_tx`` and ``eth_rx``. It becomes
        a part of this.

    CSRs: ``preamble_errors``, ``crc_errors`` (32): counters of what was dropped; ``preamble_crc``: 1.
    """

    def __init__(self, phy: Module):
        marked = _MarkedEnd(phy)
        super().__init__(marked, dw=32)
        self.phy = phy
        self.marked_end = marked
