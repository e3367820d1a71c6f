"""Rust for the board: whichever toolchain of this machine can build the firmware's target.

``python -m corelog_gateware.simulator.toolchain build`` runs ``cargo build`` for the crates of every kind of board
whose gateware was elaborated, ``... clippy`` and other cargo commands likewise; further arguments go to cargo.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .paths import ALONE, BUILD, FIRMWARE, TREE, BuildError, Variant

TARGET = "riscv32imc-unknown-none-elf"


@dataclass(frozen=True)
class Toolchain:
    """``description`` names it with its version; ``cargo`` is the program; ``arguments`` follow its subcommand;
    ``environment`` is added to the caller's."""

    description: str
    cargo: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def output(*command: str) -> str | None:
    """Standard output of ``command``; None if it cannot be run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def with_installed_target() -> Toolchain | None:
    """The toolchain on the PATH, if the target's core library came with it (rustup)."""
    rustc, cargo = shutil.which("rustc"), shutil.which("cargo")
    if rustc is None or cargo is None:
        return None
    libraries = output(rustc, "--print", "target-libdir", "--target", TARGET)
    if not libraries or not any(Path(libraries).glob("libcore-*.rlib")):
        return None
    return Toolchain(output(rustc, "--version") or rustc, cargo, (), {"RUSTC": rustc})


def with_library_sources() -> Toolchain | None:
    """The distribution's toolchain, which builds the target's core library from its sources."""
    rustc, cargo, linker = "/usr/bin/rustc", "/usr/bin/cargo", shutil.which("ld.lld")
    root = output(rustc, "--print", "sysroot")
    if linker is None or root is None or not os.access(cargo, os.X_OK):
        return None
    if not (Path(root) / "lib/rustlib/src/rust/library/core").is_dir():
        return None
    environment = {
        "RUSTC": rustc,
        "RUSTC_BOOTSTRAP": "1",
        f"CARGO_TARGET_{TARGET.upper().replace('-', '_')}_LINKER": linker,
    }
    return Toolchain(output(rustc, "--version") or rustc, cargo, ("-Zbuild-std=core,alloc",), environment)


def find() -> Toolchain:
    """The first toolchain that can build the firmware; :class:`BuildError` if there is none."""
    toolchain = with_installed_target() or with_library_sources()
    if toolchain is None:
        raise BuildError(
            f"no Rust toolchain for {TARGET}: run scripts/setup, or `rustup target add {TARGET}`, or install Debian's "
            "rustc-web, cargo-web, rust-web-src and lld"
        )
    return toolchain


def command(toolchain: Toolchain, variant: Variant, subcommand: str, arguments: tuple[str, ...] = ()) -> list[str]:
    """Arguments of ``cargo subcommand`` for the crates of a kind of board, to be run in the firmware's folder."""
    packages = ["-p", "corelog-board", "-p", variant.package]
    target = ["--target", TARGET, "--release", "--locked"]
    return [toolchain.cargo, subcommand, *toolchain.arguments, *target, *packages, *arguments]


def built(variant: Variant) -> Path:
    """Where ``build`` leaves the ELF file. The kinds of boards share the folder, so that each crate is built once.

    What differs between them (through ``csr.rs``) is built anew for each."""
    return BUILD / "firmware" / TARGET / "release" / variant.package


def environment(toolchain: Toolchain, variant: Variant) -> dict[str, str]:
    """Environment for :func:`command`: what is built goes to ``build/firmware``."""
    own = {"CARGO_TARGET_DIR": str(BUILD / "firmware"), "CORELOG_GENERATED": str(variant.generated)}
    return {**os.environ, **toolchain.environment, **own}


def main(argv: list[str] | None = None) -> int:
    subcommand, *arguments = (sys.argv[1:] if argv is None else argv) or ["build"]
    try:
        toolchain = find()
    except BuildError as error:
        print(f"toolchain: {error}", file=sys.stderr)
        return 1
    elaborated = [variant for variant in (*ALONE, *TREE) if variant.generated.exists()]
    for variant in elaborated or ALONE:
        run = command(toolchain, variant, subcommand, tuple(arguments))
        status = subprocess.run(run, cwd=FIRMWARE, env=environment(toolchain, variant)).returncode
        if status != 0:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
