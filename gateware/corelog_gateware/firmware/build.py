"""Compiles the firmware for built targets: ``BUILD/software/runtime/runtime.fbi`` or ``.../satman/satman.fbi``.

    python -m corelog_gateware.firmware BUILD...

An FBI file is length and CRC-32 of what follows, little endian, and the program from the start of main RAM on.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

from corelog.flash.images import ImageError, check, firmware_file
from corelog.flash.layout import FIRMWARE as REGION

from ..simulator.paths import BUILD, FIRMWARE, BuildError
from ..simulator.toolchain import TARGET, Toolchain, find
from ..version import commit
from .elf import ElfError, load

# Not that of the simulated boards, whose builds wait for each other.
CARGO_TARGET_DIR = BUILD / "firmware-boards"


class FirmwareError(Exception):
    """``str()`` is one line."""


def package(described: dict) -> str:
    """The program for a board, from its ``csr.json``: with an uplink it is a satellite."""
    return "satman" if described["constants"]["drtio_uplink"] else "runtime"


def pack(elf: bytes, ram: int) -> bytes:
    """The FBI file of a program that starts with the first word of main RAM, ``ram``. Raises FirmwareError."""
    try:
        program = load(elf)
    except ElfError as exc:
        raise FirmwareError(f"the firmware {exc}") from None
    if (program.start, program.entry) != (ram, ram):
        raise FirmwareError(f"the firmware starts at {program.entry:#x} of {program.start:#x}, main RAM is at {ram:#x}")
    return struct.pack("<II", len(program.data), zlib.crc32(program.data)) + program.data


def compile_elf(toolchain: Toolchain, name: str, generated: Path) -> bytes:
    """The program for the board of these constants. Raises FirmwareError."""
    command = [toolchain.cargo, "build", *toolchain.arguments, "--target", TARGET, "--release", "--locked", "--quiet",
               "-p", "corelog-board", "-p", name]  # fmt: skip
    own = {"CARGO_TARGET_DIR": str(CARGO_TARGET_DIR), "CORELOG_GENERATED": str(generated.absolute()),
           "CORELOG_COMMIT": commit()}  # fmt: skip
    done = subprocess.run(command, cwd=FIRMWARE, env={**os.environ, **toolchain.environment, **own}, check=False)
    if done.returncode:
        raise FirmwareError(f"cargo could not compile {name}, see above")
    return (CARGO_TARGET_DIR / TARGET / "release" / name).read_bytes()


def build(toolchain: Toolchain, directory: Path) -> Path:
    """Make the firmware of the target built in ``directory``. Raises FirmwareError."""
    generated = directory / "generated"
    try:
        described = json.loads((generated / "csr.json").read_text())
    except FileNotFoundError:
        raise FirmwareError(f"{directory} has no target: build it with corelog_gateware.targets.kasli or .kc705 first"
                            ) from None  # fmt: skip
    name = package(described)
    elf = compile_elf(toolchain, name, generated)
    path = directory / "software" / name / f"{name}.fbi"
    data = pack(elf, described["memories"]["main_ram"]["base"])
    try:
        check(REGION, data, str(path))
    except ImageError as exc:
        raise FirmwareError(str(exc)) from None
    if firmware_file(data) != path.name:
        raise FirmwareError(f"{path} does not tell that it is that: its title is missing, or another is there too")
    path.parent.mkdir(parents=True, exist_ok=True)
    # With names and lines, for addresses in panics and exceptions.
    path.with_suffix(".elf").write_bytes(elf)
    path.write_bytes(data)
    return path


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compile the firmware for built targets")
    parser.add_argument("builds", metavar="BUILD", type=Path, nargs="+", help="folder of a built target")
    return parser


def main(argv: list[str] | None = None) -> None:
    builds = get_argparser().parse_args(argv).builds
    try:
        toolchain = find()
        for directory in builds:
            path = build(toolchain, directory)
            print(f"{path}: {path.stat().st_size} bytes", flush=True)
    except (BuildError, FirmwareError) as exc:
        sys.exit(f"corelog_gateware.firmware: {exc}")
