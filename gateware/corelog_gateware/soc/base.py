"""Wiring that every board has: CPU, identity, clock, UART, RTIO core, DRTIO ports. No logic."""

from collections.abc import Sequence

from litex.soc.cores.uart import UART
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCCore
from migen import Module

from ..drtio.aux import AuxController
from ..drtio.aux_memory import REGION_BYTES
from ..drtio.interface import LinkInterface
from ..drtio.link import LinkLayer
from ..drtio.port import TIME_CONSTANT, Port
from ..drtio.routing import Routing
from ..rtio import Channel, RTIOCore, RTIOErrors
from .identity import Identity
from .uptime import Uptime
from .watchdog import Watchdog

MAIN_RAM_BASE = 0x4000_0000


class BoardSoC(SoCCore):
    """SoC of a board: CPU, UART, identity, watchdog, uptime, RTIO core and its errors.

    :param platform: LiteX platform.
    :param crg: clock and reset: the ``sys`` domain, inputs ``request`` and ``watchdog``, output ``cause``, as
        :class:`soc.reset.ResetManager` has them.
    :param clk_freq: system clock in Hz.
    :param ident: identification string, read by the firmware from ``identifier_mem``.
    :param reset_address: where the CPU starts.
    :param identity: :class:`soc.identity.Identity`; what drives its pads is the target's business.
    :param uart_phy: PHY for LiteX's UART.
    :param rtio_phys: ``(name, PHY)`` of every RTIO channel, in the order of channel numbers; see ``rtio/README.md``.
    :param lanes: lanes of the RTIO core's output.
    :param reset_button: while high, the board is reset as if its firmware had asked for it.
    :param options: of SoCCore, beside what is set here: memories, timer.

    What submits events to ``rtio_core`` is the derived class's business; main RAM and the store of the configuration
    are the target's: ``simulated.py`` has them in the harness, ``parts.py`` on real boards.
    """

    def __init__(
        self,
        platform,
        crg: Module,
        clk_freq: int,
        ident: str,
        reset_address: int,
        identity: Identity,
        uart_phy: Module,
        rtio_phys: Sequence[tuple[str, Module]],
        lanes: int = 8,
        reset_button=0,
        **options,
    ):
        self.crg = crg
        none = {"integrated_rom_size": 0, "integrated_sram_size": 0, "with_timer": False}
        super().__init__(
            platform,
            clk_freq,
            bus_timeout=None,
            bus_bursting=True,
            cpu_type="vexriscv",
            cpu_variant="imac",
            cpu_reset_address=reset_address,
            ident=ident,
            with_uart=False,
            with_ctrl=False,
            **none | options,
        )
        self.identity = identity
        self.watchdog = Watchdog()
        self.comb += [
            self.identity.reset_cause.eq(self.crg.cause),
            self.crg.request.eq(self.identity.reset_request | reset_button),
            self.crg.watchdog.eq(self.watchdog.expired),
        ]

        self.uptime = Uptime(clk_freq)
        self.irq.add("uptime")

        self.uart_phy = uart_phy
        self.uart = UART(uart_phy, tx_fifo_depth=64)
        self.irq.add("uart")

        for name, phy in rtio_phys:
            self.add_module(f"rtio_phy_{name}", phy)
        self.rtio_core = RTIOCore([Channel.of(phy, name) for name, phy in rtio_phys], lane_count=lanes)
        self.rtio_errors = RTIOErrors(self.rtio_core)
        self.irq.add("rtio_errors")

    def add_ports(self, link_phys: Sequence[Module], root: bool) -> None:
        """DRTIO ports downstream, and ``drtio_routing`` between them and the board's own RTIO core.

        :param link_phys: a PHY for every port, with a record ``phy`` of ``drtio.interface.phy_layout()``.
        :param root: this is the core device.
        """
        ports = []
        for n, phy in enumerate(link_phys):
            link = self.add_link(f"link{n}", phy)
            port = Port(link, self.rtio_core.tsc, int(self.clk_freq), credits=root)
            self.add_module(f"drtio{n}", port)
            self.add_aux(f"drtioaux{n}", link)
            ports.append(port)
        self.drtio_routing = Routing(self.rtio_core.cri, [port.cri for port in ports], root)
        self.add_constant("DRTIO_TIME_CONSTANT", TIME_CONSTANT)

    def add_link(self, name: str, phy: Module) -> LinkLayer:
        link = LinkLayer(phy.phy)
        self.add_module(f"{name}_phy", phy)
        self.add_module(name, link)
        return link

    def add_aux(self, name: str, link: LinkInterface) -> None:
        """Aux channel with CSR module, interrupt and buffers ``<name>_mem``."""
        aux = AuxController(link)
        self.add_module(name, aux)
        self.irq.add(name)
        self.bus.add_slave(f"{name}_mem", aux.bus, SoCRegion(size=REGION_BYTES, linker=True, cached=False))
