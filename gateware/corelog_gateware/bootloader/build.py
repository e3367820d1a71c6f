"""Compiles LiteX's BIOS for a built target: ``BUILD/software/bootloader/bootloader.bin``.

    python -m corelog_gateware.bootloader BUILD...

The sources are those of the Python packages litex and picolibc, as they are, compiled by any RISC-V gcc. LiteX's own
way builds all of picolibc with Meson first, for the dozen functions that are needed here.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import litex

COMPILERS = ("riscv64-unknown-elf-gcc", "riscv32-unknown-elf-gcc", "riscv64-none-elf-gcc", "riscv32-none-elf-gcc")
# CSR instructions belong to the base set in this version of the specification, also for the choice of libgcc.
MACHINE = ["-march=rv32imac", "-misa-spec=2.2", "-mabi=ilp32"]
FLAGS = [
    "-std=gnu99", "-Os", "-fno-builtin", "-ffunction-sections", "-fdata-sections", "-fomit-frame-pointer", "-w",
    "-D__vexriscv__", "-DBIOS_CONSOLE_LITE", "-DBIOS_CONSOLE_NO_HISTORY", "-DBIOS_CONSOLE_NO_AUTOCOMPLETE",
    "-DFORMAT_DEFAULT_INTEGER",
]  # fmt: skip
LITEX = Path(litex.__file__).parent / "soc"
CPU = LITEX / "cores/cpu/vexriscv"
SOFTWARE = LITEX / "software"
# Folder -> sources, from LiteX and from picolibc.
BIOS_SOURCES = {
    CPU: ("crt0.S", "boot-helper.S"),
    SOFTWARE / "bios": ("boot.c", "helpers.c", "main.c", "readline_simple.c"),
    SOFTWARE / "bios/cmds": ("cmd_bios.c", "cmd_boot.c", "cmd_litedram.c", "cmd_mem.c"),
    SOFTWARE / "libbase": (
        "console.c", "crc16.c", "crc32.c", "isr.c", "memtest.c", "progress.c", "system.c", "uart.c"),
    SOFTWARE / "libc": ("stdio.c",),
    SOFTWARE / "liblitedram": ("accessors.c", "bist.c", "sdram.c", "sdram_dbg.c", "sdram_spd.c", "utils.c"),
}  # fmt: skip
LIBC_SOURCES = {
    "tinystdio": ("fgetc.c", "fputs.c", "printf.c", "puts.c", "strtoul.c", "vfiprintf.c"),
    "string": ("memcmp.c", "memcpy.c", "memset.c", "strchr.c", "strcmp.c", "strlen.c", "strnlen.c"),
    "stdlib": ("lldiv.c",),
    "errno": ("errno.c",),
}
# What Meson would find out about picolibc.
PICOLIBC_H = "#define TINY_STDIO 1\n#define _TINY_STDIO 1\n"


class BootloaderError(Exception):
    """``str()`` is one line."""


def compiler() -> str:
    for name in COMPILERS:
        if path := shutil.which(name):
            return path
    raise BootloaderError("there is no RISC-V C compiler: `make bootloader` installs it, or install Debian's "
                          "gcc-riscv64-unknown-elf")  # fmt: skip


def picolibc() -> Path:
    """Folder of picolibc's C library."""
    try:
        from pythondata_software_picolibc import data_location
    except ImportError:
        raise BootloaderError("there is no Python package pythondata-software-picolibc: `make bootloader` installs it"
                              ) from None  # fmt: skip
    return Path(data_location) / "newlib/libc"


def link(include: Path, work: Path) -> Path:
    """The BIOS for the SoC of the headers in ``include``, linked in ``work``. Raises BootloaderError."""
    gcc, libc = compiler(), picolibc()
    (work / "picolibc.h").write_text(PICOLIBC_H)
    includes = [work, libc / "tinystdio", libc / "include", SOFTWARE / "include", SOFTWARE, SOFTWARE / "libbase",
                include, CPU]  # fmt: skip
    sources = [folder / name for folder, names in BIOS_SOURCES.items() for name in names]
    sources += [libc / folder / name for folder, names in LIBC_SOURCES.items() for name in names]
    # In two steps: the linker's script tells the start-up code by the name of its object.
    run([gcc, "-c", *MACHINE, *FLAGS, *(f"-I{path}" for path in includes), *map(str, sources)], work)
    run([gcc, *MACHINE, "-nostdlib", f"-L{include}", "-T", str(SOFTWARE / "bios/linker.ld"), "-N", "-Wl,--gc-sections",
         *sorted(path.name for path in work.glob("*.o")), "-lgcc", "-o", "bios.elf"], work)  # fmt: skip
    return work / "bios.elf"


def run(command: list[str], work: Path) -> None:
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "collect2" not in line]
        errors = [line for line in lines if any(word in line for word in ("error", "undefined", "overflowed"))]
        said = (errors or lines or ["no message"])[0]
        raise BootloaderError(f"{command[0]} failed: {said}")


def image(elf: Path, size: int) -> bytes:
    """The program as it lies in flash: code, then its CRC-32, which it checks itself. Raises BootloaderError."""
    objcopy = compiler().removesuffix("gcc") + "objcopy"
    run([objcopy, "-O", "binary", "bios.elf", "bios.bin"], elf.parent)
    data = elf.with_suffix(".bin").read_bytes()
    data += zlib.crc32(data).to_bytes(4, "little")
    if len(data) > size:
        raise BootloaderError(f"the bootloader has {len(data)} bytes, its region of the flash {size}")
    return data


def build(directory: Path) -> Path:
    """Make the bootloader of the target built in ``directory``. Raises BootloaderError."""
    include = directory.absolute() / "software/include"
    try:
        regions = (include / "generated/regions.ld").read_text()
    except FileNotFoundError:
        raise BootloaderError(f"{directory} has no target: build it with corelog_gateware.targets.kasli or .kc705 first"
                              ) from None  # fmt: skip
    size = int(re.findall(r"rom : .*LENGTH = (0x[0-9a-f]+)", regions)[0], 16)
    with tempfile.TemporaryDirectory() as work:
        data = image(link(include, Path(work)), size)
    path = directory / "software/bootloader/bootloader.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compile the bootloader for built targets")
    parser.add_argument("builds", metavar="BUILD", type=Path, nargs="+", help="folder of a built target")
    return parser


def main(argv: list[str] | None = None) -> None:
    for directory in get_argparser().parse_args(argv).builds:
        try:
            path = build(directory)
        except BootloaderError as exc:
            sys.exit(f"corelog_gateware.bootloader: {exc}")
        print(f"{path}: {path.stat().st_size} bytes")
