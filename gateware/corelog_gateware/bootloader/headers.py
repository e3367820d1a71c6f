"""What LiteX's BIOS has to know about a SoC, as the C headers and the linker's memory map that it includes."""

import importlib.metadata
from pathlib import Path
from typing import Any

from litedram.init import get_sdram_phy_c_header
from litex.soc.integration import export

# Only of these the BIOS sees registers. With others it would do more than start the board: boot from whoever answers
# on the network, or change the clock of the flash that it runs from.
MODULES = ("ddrphy", "sdram", "timer0", "uart")
MEMORIES = ("main_ram", "rom", "sram")
# And of the constants: those of LiteX's SoC, of these modules, and what tells it where to boot from. The same for all
# systems of a board, so that the bootloader goes with any gateware of it.
CONSTANTS = ("CONFIG_", "FLASH_BOOT_ADDRESS", "MEMTEST_", "TIMER0_", "UART_")
OF_A_SYSTEM = {"CONFIG_IDENTIFIER": None, "CONFIG_CPU_INTERRUPTS": 32}


def write(soc: Any, directory: Path) -> None:
    """Write ``generated/*`` of the finalized ``soc`` into ``directory``."""
    registers = {name: region for name, region in soc.csr.regions.items() if name in MODULES}
    memories = {name: soc.bus.regions[name] for name in MEMORIES}
    constants = {name: value for name, value in soc.constants.items() if name.startswith(CONSTANTS)} | OF_A_SYSTEM
    settings = soc.sdram.controller.settings
    texts = {
        # LiteX counts addresses from the first of these modules, the lowest, whatever base it is told.
        "csr.h": export.get_csr_header(registers, constants),
        "soc.h": export.get_soc_header(constants),
        "mem.h": export.get_mem_header(memories),
        "regions.ld": export.get_linker_regions(memories),
        "output_format.ld": export.get_linker_output_format(soc.cpu),
        "sdram_phy.h": get_sdram_phy_c_header(settings.phy, settings.timing, settings.geom),
        "git.h": f'#define LITEX_GIT_SHA1 "release {importlib.metadata.version("litex")}"\n',
    }
    generated = directory / "generated"
    generated.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        # Without LiteX's banner, which has the time in it: the same gateware gives the same files.
        lines = [line for line in text.splitlines(keepends=True) if not line.startswith("//")]
        (generated / name).write_text("".join(lines))
