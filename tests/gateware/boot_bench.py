"""The part of a real board that boots: CPU, flash, DDR3 controller, timer, UART, with a model behind each."""

import logging
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litedram.modules import MT41K64M16
from litedram.phy.model import SDRAMPHYModel, get_sdram_phy_settings
from litex.build.generic_platform import GenericPlatform, Pins, Subsignal

from corelog.flash.layout import TARGETS
from corelog_gateware.bootloader import headers
from corelog_gateware.rtio.phy import slow
from corelog_gateware.soc import generated, parts
from corelog_gateware.soc.base import BoardSoC
from corelog_gateware.soc.byte_phy import BytePHY, byte_layout
from corelog_gateware.soc.core_device import CoreDevice
from corelog_gateware.soc.frame_phy import FramePHY, frame_layout
from corelog_gateware.soc.identity import Identity, identity_layout
from corelog_gateware.soc.reset import ResetManager
from corelog_gateware.soc.simulated import inline_contents
from support import verilated

CLK_FREQ = 100_000_000
LAYOUT = TARGETS["kasli"]
DRIVER = Path(__file__).with_name("boot_driver.cpp")


class Platform(GenericPlatform):
    def __init__(self) -> None:
        pads = {"serial": byte_layout(), "identity": identity_layout(), "flash": parts.flash_lines()}
        pads |= {"eth": frame_layout()}
        io = [(name, 0, *(Subsignal(field, Pins(width)) for field, width in layout)) for name, layout in pads.items()]
        super().__init__("sim", [("clk", 0, Pins(1)), *io], name="sim")


def make(core_device: bool) -> Any:
    platform = Platform()
    kind, ethernet = BoardSoC, {}
    if core_device:
        kind, ethernet = CoreDevice, {"ethernet_phy": FramePHY(platform.request("eth"))}
    soc = kind(
        platform=platform,
        crg=ResetManager(platform.request("clk")),
        clk_freq=CLK_FREQ,
        ident="test",
        reset_address=parts.reset_address(LAYOUT),
        identity=Identity(platform.request("identity")),
        uart_phy=BytePHY(platform.request("serial")),
        rtio_phys=[("out", slow.Output(busy_cycles=1))],
        **parts.OPTIONS | ethernet,
    )
    module = MT41K64M16(CLK_FREQ, "1:4")
    settings = get_sdram_phy_settings(module.memtype, 16, CLK_FREQ)
    parts.add_ddr3(soc, SDRAMPHYModel(module, settings=settings, clk_freq=CLK_FREQ), module)
    parts.add_flash_memory(soc, platform.request("flash"), LAYOUT)
    # A model needs no time to settle, and takes long to test.
    soc.add_config("BIOS_NO_DELAYS")
    soc.add_constant("MEMTEST_DATA_SIZE", 2048, check_duplicate=False)
    soc.add_constant("MEMTEST_ADDR_SIZE", 2048, check_duplicate=False)
    return soc


@dataclass
class Bench:
    """``directory``: what a target's build folder has, for bootloader and firmware; ``mark``: address of
    ``identity_mark``."""

    program: Path
    directory: Path
    mark: int

    def boot(self, flash: bytes, cycles: int, busy: int = 0, until: str = "give up", timeout: float = 300) -> str:
        """What the board said until its firmware made a mark, it asked for commands, it said ``until``, or the cycles
        were over. The flash is busy for so many cycles, and as behind STARTUPE2 the first three of its clock never
        reach it."""
        image = self.directory / "flash.bin"
        image.write_bytes(flash)
        command = [str(self.program), str(image), str(cycles), "3", str(busy), until]
        return subprocess.run(command, capture_output=True, timeout=timeout).stdout.decode(errors="replace")


def build(directory: Path, core_device: bool = False) -> Bench:
    """With ``core_device`` it has what the runtime needs."""
    logging.disable(logging.INFO)
    soc = make(core_device)
    soc.finalize()
    headers.write(soc, directory / "software/include")
    rtio = {"rtio_channels": 1, "rtio_mu_per_coarse": 8, "rtio_mu_fs": 1_250_000}
    generated.write(soc, directory / "generated", rtio)
    output = soc.platform.get_verilog(soc, name="dut")
    text = inline_contents(output.main_source, output.data_files)
    # From the first module on: LiteX's banner has the time in it.
    text = text[text.index("module dut") :]
    program = verilated.build_verilog(text, DRIVER, "boot", [Path(path) for path, *_ in soc.platform.sources])
    return Bench(program, directory, generated.registers(soc)["identity_mark"][0])
