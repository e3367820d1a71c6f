"""Wiring of the core device's SoC: which cores there are, on which bus, with which interrupts. No logic."""

from collections.abc import Sequence

from liteeth.common import eth_mtu
from liteeth.mac.wishbone import LiteEthMACWishboneInterface
from litex.soc.integration.soc import SoCRegion
from migen import Module, bits_for

from ..rtio import RTIOFrontEnd
from .base import BoardSoC


class CoreDevice(BoardSoC):
    """A board with Ethernet whose CPU plays RTIO events.

    :param ethernet_phy: ``sink`` and ``source`` of frames in words, in the ``sys`` domain.
    :param rx_slots, tx_slots: frame buffers of the MAC, powers of two. Their memory regions must be aligned to their
        size, which ``rx_slots >= tx_slots`` gives.
    :param link_phys: see :meth:`add_ports`; without any there is no ``drtio_routing``.
    :param board: the parameters of :class:`BoardSoC`.
    """

    def __init__(
        self, *, ethernet_phy: Module, link_phys: Sequence[Module] = (), rx_slots: int = 8, tx_slots: int = 4, **board
    ):
        if rx_slots < tx_slots:
            raise ValueError(f"{rx_slots} receive and {tx_slots} transmit slots give unaligned memory regions")
        super().__init__(**board)
        self.add_mac(ethernet_phy, rx_slots, tx_slots)
        if link_phys:
            self.add_ports(link_phys, root=True)
        self.rtio = RTIOFrontEnd(self.rtio_core, self.drtio_routing.cri if link_phys else None)

    def add_mac(self, phy: Module, rx_slots: int, tx_slots: int) -> None:
        self.ethphy = phy
        self.ethmac = mac = LiteEthMACWishboneInterface(
            dw=32, nrxslots=rx_slots, ntxslots=tx_slots, endianness=self.cpu.endianness
        )
        self.comb += [phy.source.connect(mac.sink), mac.source.connect(phy.sink)]
        slot_size = 2 ** bits_for(eth_mtu)
        for name, value in (("RX_SLOTS", rx_slots), ("TX_SLOTS", tx_slots), ("SLOT_SIZE", slot_size)):
            self.add_constant(f"ETHMAC_{name}", value)
        rx_size, tx_size = rx_slots * slot_size, tx_slots * slot_size
        self.bus.add_region("ethmac", SoCRegion(size=rx_size + tx_size, linker=True, cached=False))
        origin = self.bus.regions["ethmac"].origin
        self.bus.add_slave("ethmac_rx", mac.bus_rx, SoCRegion(origin=origin, size=rx_size, linker=True, cached=False))
        self.bus.add_slave(
            "ethmac_tx", mac.bus_tx, SoCRegion(origin=origin + rx_size, size=tx_size, linker=True, cached=False)
        )
        mac.ev = mac.sram.ev
        self.irq.add("ethmac")

    def rx_room(self):
        """Signal: the MAC has a slot for a frame that starts now."""
        return self.ethmac.sram.writer.stat_fifo.sink.ready
