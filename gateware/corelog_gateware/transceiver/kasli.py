"""The transceivers of Kasli: one GTP quad, for Ethernet and DRTIO."""

from collections.abc import Sequence

from liteeth.phy.a7_1000basex import A7_1000BASEX
from migen import Module, Record

from ..clocking import KasliCRG
from ..clocking.mmcm import FREQUENCY
from .channel import LINE_RATE
from .group import TransceiverGroup
from .gtp import GTPChannel, QuadPLL, quad
from .phy import TransceiverPHY

ETHERNET_RATE = 1.25e9


class KasliTransceivers(Module):
    """The quad, with a PLL for DRTIO from the Si5324 and one for Ethernet from the oscillator.

    :param links: pads of each DRTIO link (``txp``, ``txn``, ``rxp``, ``rxn``), a satellite's uplink first; if there are
        any, ``crg`` has to be made with ``transceivers=True``.
    :param uplink: the first link is a satellite's uplink.
    :param ethernet: pads of the SFP cage for 1000BASE-X.

    ``phys``: a :class:`TransceiverPHY` for each link, ``ethernet``: PHY of liteeth, or None. They are to be added to
    the SoC by who makes it.
    """

    def __init__(
        self, platform, crg: KasliCRG, links: Sequence[Record], uplink: bool = False, ethernet: Record | None = None
    ) -> None:
        if not links and ethernet is None:
            raise ValueError("neither links nor Ethernet: leave the transceivers away")
        self.phys: list[TransceiverPHY] = []
        self.ethernet = None

        # # #

        drtio_pll = ethernet_pll = None
        if links:
            drtio_pll = QuadPLL(0, LINE_RATE)
            channels = [GTPChannel(drtio_pll, pads) for pads in links]
            self.submodules.group = group = TransceiverGroup(platform, crg, channels, [drtio_pll.lock])
            self.comb += drtio_pll.reset.eq(group.pll_reset)
            self.phys = [TransceiverPHY(channel, uplink and n == 0) for n, channel in enumerate(channels)]
        if ethernet is not None:
            ethernet_pll = QuadPLL(1 if links else 0, ETHERNET_RATE)
            self.ethernet = phy = A7_1000BASEX(ethernet_pll, ethernet, FREQUENCY)
            period = 1e9 / (FREQUENCY / 2)
            for clk in (phy.txoutclk, phy.rxoutclk):
                platform.add_period_constraint(clk, period)
            platform.add_false_path_constraints(crg.cd_sys.clk, phy.txoutclk, phy.rxoutclk)
        if links:
            self.specials += quad(drtio_pll, crg.clean, ethernet_pll, crg.clk125 if ethernet is not None else 0)
        else:
            self.specials += quad(ethernet_pll, crg.clk125)
