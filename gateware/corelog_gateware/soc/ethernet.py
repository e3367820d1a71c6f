"""Ethernet frames over a PHY's octets: preamble, checksum, padding and clock crossings."""

from liteeth.mac.core import LiteEthMACCore
from migen import Module


class FrameLink(LiteEthMACCore):
    """LiteEth's MAC core as what :class:`soc.core_device.CoreDevice` takes as an Ethernet PHY: ``sink`` and ``source``
    of whole frames in words of 32 bits, in ``sys``. A frame with a wrong checksum is marked in ``error``, for which the
    MAC's slots drop it.

    :param phy: PHY of LiteEth's: ``sink``, ``source`` of octets, ``dw``, clock domains ``eth_tx`` and ``eth_rx``.

    CSRs: ``preamble_errors``, ``crc_errors`` (32): counters of what was dropped; ``preamble_crc``: 1.
    """

    def __init__(self, phy: Module):
        super().__init__(phy, dw=32)
        self.phy = phy
