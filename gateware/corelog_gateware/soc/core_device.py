"""Wiring of the core device's SoC: which cores there are, on which bus, with which interrupts. No logic."""

from collections.abc import Sequence

from liteeth.common import eth_mtu
from liteeth.mac.wishbone import LiteEthMACWishboneInterface
from litex.soc.cores.uart import UART
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCCore
from migen import Module, Record, bits_for

from ..rtio import Channel, RTIOCore, RTIOErrors, RTIOFrontEnd
from .identity import Identity
from .reset import ResetManager
from .storage import Storage
from .uptime import Uptime
from .watchdog import Watchdog

MAIN_RAM_BASE = 0x4000_0000


class CoreDevice(SoCCore):
    """SoC of a core device: CPU, main RAM, UART, Ethernet MAC, configuration store, identity, watchdog, RTIO.

    :param platform: LiteX platform.
    :param clk: system clock (Signal); ``clk_freq`` its frequency in Hz.
    :param ident: identification string, read by the firmware from ``identifier_mem``.
    :param main_ram_size: bytes of main RAM, a power of two. The CPU starts at its first word.
    :param ethernet_phy: ``sink`` and ``source`` of frames in words, in the ``sys`` domain.
    :param rx_slots, tx_slots: frame buffers of the MAC, powers of two. Their memory regions must be aligned to their
        size, which ``rx_slots >= tx_slots`` gives.
    :param uart_phy: PHY for LiteX's UART.
    :param identity_pads, storage_pads: Records of ``identity_layout()`` and ``storage_layout()``.
    :param rtio_phys: ``(name, PHY)`` of every RTIO channel, in the order of channel numbers; see ``rtio/README.md``.
    """

    def __init__(
        self,
        platform,
        clk,
        clk_freq: int,
        ident: str,
        main_ram_size: int,
        ethernet_phy: Module,
        uart_phy: Module,
        identity_pads: Record,
        storage_pads: Record,
        rtio_phys: Sequence[tuple[str, Module]],
        rx_slots: int = 8,
        tx_slots: int = 4,
    ):
        if rx_slots < tx_slots:
            raise ValueError(f"{rx_slots} receive and {tx_slots} transmit slots give unaligned memory regions")
        self.crg = ResetManager(clk)
        super().__init__(
            platform,
            clk_freq,
            bus_timeout=None,
            bus_bursting=True,
            cpu_type="vexriscv",
            cpu_variant="imac",
            cpu_reset_address=MAIN_RAM_BASE,
            integrated_rom_size=0,
            integrated_sram_size=0,
            integrated_main_ram_size=main_ram_size,
            ident=ident,
            with_uart=False,
            with_timer=False,
            with_ctrl=False,
        )
        self.identity = Identity(identity_pads)
        self.watchdog = Watchdog()
        self.comb += [
            self.identity.reset_cause.eq(self.crg.cause),
            self.crg.request.eq(self.identity.reset_request),
            self.crg.watchdog.eq(self.watchdog.expired),
        ]
        self.storage = Storage(storage_pads)

        self.uptime = Uptime(clk_freq)
        self.irq.add("uptime")

        self.uart_phy = uart_phy
        self.uart = UART(uart_phy, tx_fifo_depth=64)
        self.irq.add("uart")

        self.add_mac(ethernet_phy, rx_slots, tx_slots)
        self.add_rtio(rtio_phys)

    def add_rtio(self, phys: Sequence[tuple[str, Module]]) -> None:
        for name, phy in phys:
            self.add_module(f"rtio_phy_{name}", phy)
        self.rtio_core = RTIOCore([Channel.of(phy, name) for name, phy in phys])
        self.rtio = RTIOFrontEnd(self.rtio_core)
        self.rtio_errors = RTIOErrors(self.rtio_core)
        self.irq.add("rtio_errors")

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

    def rtio_error(self):
        """Expression: high in every cycle in which an RTIO error arises."""
        return self.rtio_core.errors.error

    def rx_room(self):
        """Signal: the MAC has a slot for a frame that starts now."""
        return self.ethmac.sram.writer.stat_fifo.sink.ready
