"""Parts of real boards, added to a SoC by functions; in simulation the harness stands in for them. Wiring only.

The bootloader (``corelog_gateware.bootloader``) needs the DDR3, the flash, the UART, the timer and the small RAM of
:data:`OPTIONS`; it runs from the memory-mapped flash and copies the firmware to main RAM.
"""

from collections.abc import Sequence
from typing import Any

from litedram.modules import SDRAMModule
from litespi import LiteSPI
from litex.soc.cores.bitbang import I2CMaster
from litex.soc.cores.gpio import GPIOOut
from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import wishbone
from migen import Cat, Instance, Module, Record, Signal

from corelog.flash.layout import BOOTLOADER, FIRMWARE, STORAGE, Target

from .core_device import CoreDevice
from .dna import DNA
from .entropy import Entropy
from .ethernet import FrameLink
from .flash_ready import FlashReady
from .icap import ICAP
from .identity import Identity
from .satellite import Satellite
from .spi_phy import SpiPHY
from .startup import Startup

FLASH_BASE = 0x2000_0000
# Of SoCCore: stack and variables of the bootloader, the timer of its delays, and room for 64 CSR modules.
OPTIONS = {"integrated_sram_size": 8192, "with_timer": True, "csr_address_width": 15}
# The bootloader's CSR modules have the same addresses in every SoC, so that it goes with any gateware of its board.
FIXED_CSRS = ("uart", "timer0", "sdram", "ddrphy")
# A line of the second cache is a word of LiteDRAM's port. Without it every word of a line of the CPU's caches would be
# a whole access of the DDR3 by itself; it doubles what the bootloader's memspeed shows for 16 KiB, both ways.
L2_BYTES = 32 * 1024
# 20.8 MHz at 125 MHz: half of what the flashes' slow read takes.
FLASH_HALF_PERIOD = 3
# The bootloader tries the DDR3 in this much of it, where the firmware comes to lie: what the last boot left elsewhere,
# its log, stays.
MEMORY_TEST_BYTES = 64 * 1024


def reset_address(layout: Target) -> int:
    """Where the CPU starts: the bootloader in the memory-mapped flash."""
    return FLASH_BASE + layout.bootloader


def board(common: dict[str, Any], link_phys: Sequence[Module], ethernet: Module | None) -> Any:
    """A :class:`CoreDevice` if there is an Ethernet PHY (LiteEth's), else a :class:`Satellite`, whose uplink is the
    first of ``link_phys``. ``common``: parameters of :class:`BoardSoC`."""
    if ethernet is not None:
        return CoreDevice(ethernet_phy=FrameLink(ethernet), link_phys=link_phys, **common)
    return Satellite(uplink_phy=link_phys[0], link_phys=link_phys[1:], **common)


def add_ddr3(soc: Any, phy: Module, module: SDRAMModule) -> None:
    """Main RAM. The DDR3 starts with what the bootloader finds out; see LiteDRAM for the CSRs ``sdram``, ``ddrphy``."""
    for n, name in enumerate(FIXED_CSRS):
        soc.csr.add(name, n)
    soc.ddrphy = phy
    soc.add_sdram("sdram", phy=phy, module=module, l2_cache_size=L2_BYTES)
    soc.add_constant("MEMTEST_DATA_SIZE", MEMORY_TEST_BYTES)
    soc.add_constant("MEMTEST_ADDR_SIZE", MEMORY_TEST_BYTES)


def add_flash(soc: Any, pads: Record, layout: Target) -> Startup:
    """The flash that the FPGA is configured from, see :func:`add_flash_memory`.

    :param pads: Record with ``cs_n`` and four ``dq``.
    """
    lines = Record(flash_lines())
    for n in range(len(pads.dq)):
        # Data out, data in, write protection, hold; the latter two are active low.
        soc.specials += Instance(
            "IOBUF",
            io_IO=pads.dq[n],
            i_I=lines.mosi if n == 0 else 1,
            i_T=int(n == 1),
            o_O=lines.miso if n == 1 else Signal(),
        )
    soc.startup = startup = Startup()
    soc.comb += [pads.cs_n.eq(lines.cs_n), startup.cclk.eq(lines.clk)]
    add_flash_memory(soc, lines, layout)
    return startup


def flash_lines() -> list[tuple[str, int]]:
    return [("clk", 1), ("cs_n", 1), ("mosi", 1), ("miso", 1)]


def add_flash_memory(soc: Any, lines: Record, layout: Target) -> None:
    """Memory ``spiflash``, to read, and CSRs ``spiflash_core_master_*``, for any command (LiteSPI's master, its
    ``phyconfig`` with width 1, mask 1). While ``cs`` of the master is 1 the memory waits, as it does after a reset
    until the flash is ready. Constants ``FLASH_<REGION>``: offsets in the flash.

    :param lines: Record of :func:`flash_lines`.
    """
    soc.spiflash_phy = phy = SpiPHY(lines, FLASH_HALF_PERIOD)
    soc.comb += lines.clk.eq(phy.clk)
    soc.spiflash_core = core = LiteSPI(phy, mmap_endianness=soc.cpu.endianness, with_csr=False)
    soc.flash_ready = ready = FlashReady(int(soc.clk_freq))
    port = core.crossbar.get_port(ready.cs)
    bus = wishbone.Interface(data_width=32, address_width=32, addressing="word", bursting=soc.bus.bursting)
    soc.comb += [
        port.source.connect(ready.sink),
        ready.source.connect(port.sink),
        bus.connect(core.bus, omit={"cyc"}),
        core.bus.cyc.eq(bus.cyc & ready.ready),
    ]
    soc.bus.add_slave("spiflash", bus, SoCRegion(origin=FLASH_BASE, size=phy.flash.total_size, mode="rx"))
    soc.comb += core.mmap.offset.eq(FLASH_BASE >> 2)

    regions = {name: layout.region(name) for name in (BOOTLOADER, STORAGE, FIRMWARE)}
    for name, region in regions.items():
        soc.add_constant(f"FLASH_{name}", region.start)
    soc.add_constant("FLASH_STORAGE_SIZE", regions[STORAGE].size)
    soc.add_constant("FLASH_BOOT_ADDRESS", FLASH_BASE + regions[FIRMWARE].start)
    # What LiteX calls rom: where the bootloader's code lies.
    region = regions[BOOTLOADER]
    soc.bus.add_region("rom", SoCRegion(origin=FLASH_BASE + region.start, size=region.size, mode="rx", linker=True))


def add_identity(soc: Any, identity: Identity, startup: Startup) -> None:
    """Board id: the FPGA's DNA. Its upper seven bits are 0."""
    soc.dna = DNA()
    soc.entropy = Entropy(startup.noise_clk)
    # Nominally 65 MHz, and up to half more.
    soc.platform.add_period_constraint(soc.entropy.cd_noise.clk, 10.0)
    soc.comb += [identity.pads.board_id.eq(soc.dna.value), identity.pads.entropy.eq(soc.entropy.word)]


def add_small(soc: Any, platform: Any, leds: int, first_led: int) -> None:
    """I2C (``i2c``), reload (``icap``), and ``leds`` user LEDs from number ``first_led`` on, those that are no RTIO
    channels (``leds``)."""
    soc.i2c = I2CMaster(platform.request("i2c"))
    soc.icap = ICAP()
    if leds:
        soc.leds = GPIOOut(Cat(*(platform.request("user_led", first_led + n) for n in range(leds))))
