"""The transceivers of KC705, for DRTIO: its SFP cage, and the SMA connectors that lead to a transceiver."""

from collections.abc import Sequence

from migen import Module, Record

from ..clocking import KC705CRG
from .group import TransceiverGroup
from .gtx import GTXChannel
from .phy import TransceiverPHY


class KC705Transceivers(Module):
    """:param links: pads of each link (``txp``, ``txn``, ``rxp``, ``rxn``), a satellite's uplink first.
    :param crg: made with ``transceivers=True``.
    :param uplink: the first link is a satellite's uplink.

    ``phys``: a :class:`TransceiverPHY` for each link, to be added to the SoC by who makes it.
    """

    def __init__(self, platform, crg: KC705CRG, links: Sequence[Record], uplink: bool = False) -> None:
        if not links:
            raise ValueError("no links: leave the transceivers away")
        channels = [GTXChannel(crg.clean, pads) for pads in links]
        self.phys = [TransceiverPHY(channel, uplink and n == 0) for n, channel in enumerate(channels)]

        # # #

        locks = [channel.pll_lock for channel in channels]
        self.submodules.group = group = TransceiverGroup(platform, crg, channels, locks)
        self.comb += [channel.pll_reset.eq(group.pll_reset) for channel in channels]
