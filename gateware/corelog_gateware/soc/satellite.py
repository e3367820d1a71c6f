"""Wiring of a satellite's SoC. No logic."""

from collections.abc import Sequence

from migen import Module

from ..drtio.uplink import Uplink
from ..rtio import RTIOFrontEnd, unconnected_cri
from .base import BoardSoC


class Satellite(BoardSoC):
    """A board whose RTIO core is played by the board before it, over its uplink, and whose ports pass on what is for
    boards behind it. Its CPU has the time and the resets of the RTIO core, and submits nothing.

    :param uplink_phy: PHY of the uplink, with a record ``phy`` of ``drtio.interface.phy_layout()``.
    :param link_phys: see :meth:`add_ports`.
    :param board: the parameters of :class:`BoardSoC`.
    """

    def __init__(self, *, uplink_phy: Module, link_phys: Sequence[Module] = (), **board):
        super().__init__(**board)
        self.add_ports(link_phys, root=False)
        uplink = self.add_link("uplink", uplink_phy)
        self.drtiosat = Uplink(uplink, self.rtio_core.tsc, self.drtio_routing.cri)
        self.add_aux("drtiosataux", uplink)
        self.rtio = RTIOFrontEnd(self.rtio_core, unconnected_cri())
