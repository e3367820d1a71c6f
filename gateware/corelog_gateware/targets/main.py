"""What the targets of real boards have in common: arguments, the files they write, and Vivado.

``BUILD/gateware`` gets Verilog (``top.v``), constraints (``top.xdc``), Vivado's script (``top.tcl``) and with
``--build`` the bitstream (``top.bit``, ``top.bin``); ``BUILD/generated`` the constants for the firmware;
``BUILD/software/include`` headers for the bootloader.
"""

import argparse
import logging
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from litedram.modules import SDRAMModule
from litex.soc.cores.uart import RS232PHY
from migen import Module

from corelog.boards.description import Description, DescriptionError
from corelog.flash.images import ImageError
from corelog.flash.images import check as check_image
from corelog.flash.layout import GATEWARE, Target

from ..bootloader import headers
from ..eem import eem_phys
from ..rtio.cri import FINE_BITS
from ..soc import generated, parts
from ..soc.identity import Identity
from ..version import commit, version
from .variants import TargetError, builtin, described

CLOCK_FREQUENCY = 125_000_000
TOP = "top"
MakeSoC = Callable[[Description, str], Any]


def get_argparser(target: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f"Gateware of a {target}: Verilog, constraints, constants, bitstream")
    system = parser.add_mutually_exclusive_group(required=True)
    system.add_argument("description", metavar="FILE", type=Path, nargs="?", help="system description (JSON)")
    system.add_argument("--variant", choices=builtin(target), metavar="VARIANT", help=", ".join(builtin(target)))
    parser.add_argument("--build-dir", type=Path, help="default: build/VARIANT")
    parser.add_argument("--build", action="store_true", help="run Vivado, for gateware/top.bit")
    return parser


def ident(description: Description, commit: str = "") -> str:
    return f"{version()}{commit};{description.variant}"


def check(description: Description) -> None:
    """Raises TargetError if there is no gateware for the system."""
    if description.rtio_frequency != CLOCK_FREQUENCY:
        raise TargetError(
            f"rtio_frequency is {description.rtio_frequency:g}: there is gateware for {CLOCK_FREQUENCY:g} only"
        )
    if not description.channels:
        raise TargetError("peripherals is empty and there are no LEDs: the RTIO core needs a channel")


def board_options(platform: Any, crg: Any, ident: str, layout: Target, description: Description) -> dict[str, Any]:
    """What every board's SoC is made of: parameters of ``soc.base.BoardSoC``."""
    return {
        "platform": platform,
        "crg": crg,
        "clk_freq": CLOCK_FREQUENCY,
        "ident": ident,
        "reset_address": parts.reset_address(layout),
        "identity": Identity(),
        "uart_phy": RS232PHY(platform.request("serial"), CLOCK_FREQUENCY),
        "rtio_phys": eem_phys(platform, description),
        "lanes": description.sed_lanes,
    } | parts.OPTIONS


def add_parts(
    soc: Any, ddr3_phy: Module, ddr3: SDRAMModule, layout: Target, leds: int, description: Description
) -> None:
    """What every board has beside its SoC: DDR3, flash, identity, I2C, and the ``leds`` that are no channels."""
    platform = soc.platform
    parts.add_ddr3(soc, ddr3_phy, ddr3)
    startup = parts.add_flash(soc, platform.request("spiflash"), layout)
    parts.add_identity(soc, soc.identity, startup)
    rtio_leds = sum(channel.kind == "led" for channel in description.channels)
    parts.add_small(soc, platform, leds - rtio_leds, rtio_leds)


def write(soc: Any, build_dir: Path) -> None:
    """Everything that needs no vendor tool, into ``build_dir``. Finalizes ``soc``."""
    soc.finalize()
    gateware = build_dir / "gateware"
    gateware.mkdir(parents=True, exist_ok=True)
    # Copies, so that the folder is complete.
    sources = soc.platform.sources
    for n, (path, language, library, *_) in enumerate(sources):
        copy = shutil.copy(path, gateware)
        sources[n] = (Path(copy).name, language, library)
    mu_per_coarse = 2**FINE_BITS
    extra = {
        "rtio_channels": len(soc.rtio_core.channels),
        "rtio_mu_per_coarse": mu_per_coarse,
        "rtio_mu_fs": 10**15 // (int(soc.clk_freq) * mu_per_coarse),
    }
    generated.write(soc, build_dir / "generated", extra)
    # By which `corelog flash` knows the firmware that was compiled for it.
    registers = zlib.crc32((build_dir / "generated/csr.rs").read_bytes())
    soc.platform.toolchain.bitstream_commands.append(
        f'set_property BITSTREAM.CONFIG.USERID "{registers:#010x}" [current_design]'
    )
    soc.build(build_dir=str(gateware), build_name=TOP, run=False)
    headers.write(soc, build_dir / "software/include")


def run_vivado(vivado: str, gateware: Path) -> None:
    """Makes ``top.bit``. Raises TargetError."""
    bitstream = gateware / f"{TOP}.bit"
    bitstream.unlink(missing_ok=True)
    result = subprocess.run([vivado, "-mode", "batch", "-source", f"{TOP}.tcl"], cwd=gateware, check=False)
    if result.returncode or not bitstream.exists():
        raise TargetError(f"Vivado made no bitstream: see {gateware / 'vivado.log'}")
    try:
        image = check_image(GATEWARE, bitstream.read_bytes(), str(bitstream))
    except ImageError as exc:
        raise TargetError(str(exc)) from None
    # Without the header, as the latest artiq_flash takes it.
    bitstream.with_suffix(".bin").write_bytes(image.data)


def run(target: str, make: MakeSoC, argv: list[str] | None) -> None:
    args = get_argparser(target).parse_args(argv)
    # LiteX describes the whole SoC at INFO on stderr, whatever its user has set up.
    logging.disable(logging.INFO)
    try:
        vivado = shutil.which("vivado")
        if args.build and vivado is None:
            raise TargetError("--build needs Vivado: there is no vivado in PATH (source its settings64.sh first)")
        name, description = described(target, args.description) if args.description else (
            args.variant, builtin(target)[args.variant])  # fmt: skip
        check(description)
        build_dir = args.build_dir or Path("build") / name
        write(make(description, ident(description, commit())), build_dir)
        if args.build and vivado:
            run_vivado(vivado, build_dir / "gateware")
    except (DescriptionError, TargetError) as exc:
        sys.exit(f"corelog_gateware.targets.{target}: {exc}")
