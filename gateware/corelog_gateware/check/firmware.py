"""Which registers the firmware uses, asked from the compiler, and that a board has those that its role needs.

Each constant of ``csr.rs`` is marked as deprecated in a copy, so that the compiler reports every use of one in what it
compiles for that board, and fails on every use of one that is not there.
"""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..simulator.paths import FIRMWARE
from ..simulator.toolchain import TARGET, Toolchain
from .clocks import CheckError

CONSTANT = re.compile(r"^pub const (\w+):", re.MULTILINE)
USE = re.compile(r"use of deprecated constant `(?:\w+::)*csr::(\w+)`")
# Names in csr.rs without which the firmware would quietly do without a part that the board is there for.
STANDALONE = ("ETHMAC_INTERRUPT", "RTIO_TARGET_ADDR")
REQUIRED = {
    "standalone": STANDALONE,
    "master": (*STANDALONE, "DRTIO_N_RX_UP_ADDR", "DRTIO_N_SPACE_ADDR", "DRTIO_ROUTING_HOP_ADDR"),
    "satellite": ("DRTIOSAT_RX_UP_ADDR",),
}
ON_BOARDS = ("SPIFLASH_CORE_MASTER_CS_ADDR", "I2C_W_ADDR", "CRG_CLOCK_SEL_ADDR")
ON_SIMULATED = ("STORAGE_ADDRESS_ADDR",)
PACKAGES = {"standalone": "runtime", "master": "runtime", "satellite": "satman"}


@dataclass(frozen=True)
class Uses:
    """``used``: names of constants that the firmware of a board uses, ``errors``: of the compiler."""

    used: frozenset[str]
    errors: tuple[str, ...]


def defined(csr: str) -> frozenset[str]:
    return frozenset(CONSTANT.findall(csr))


def missing(csr: str, role: str, is_simulated: bool) -> list[str]:
    """What ``csr.rs`` lacks of what a board of this role is there for."""
    there = defined(csr)
    needed = (*REQUIRED[role], *(ON_SIMULATED if is_simulated else ON_BOARDS))
    lacks = ", ".join(name for name in needed if name not in there)
    return [f"csr.rs of a {role} lacks {lacks}: the firmware would leave those parts out"] if lacks else []


def marked(csr: str) -> str:
    return CONSTANT.sub(r"#[deprecated]\n\g<0>", csr)


def mentioned(sources: Path = FIRMWARE) -> frozenset[str]:
    """Names after ``csr::`` in the sources, without asking which board they are for."""
    found = set()
    for path in sources.glob("*/src/**/*.rs"):
        found |= set(re.findall(r"\bcsr::([A-Z][A-Z0-9_]+)\b", path.read_text()))
    return frozenset(found)


def compile_uses(csr: Path, role: str, directory: Path, toolchain: Toolchain, timeout: float = 900) -> Uses:
    """Has the compiler look at the firmware for the board of ``csr``. ``directory`` gets the marked copy."""
    directory.mkdir(parents=True, exist_ok=True)
    copy = directory / "csr.rs"
    copy.write_text(marked(csr.read_text()))
    command = [toolchain.cargo, "check", *toolchain.arguments, "--target", TARGET, "--release", "--locked",
               "-p", "corelog-board", "-p", PACKAGES[role], "--message-format=json"]  # fmt: skip
    own = {"CARGO_TARGET_DIR": str(directory.parents[1] / "firmware"), "CORELOG_GENERATED": str(directory)}
    done = subprocess.run(command, cwd=FIRMWARE, env={**os.environ, **toolchain.environment, **own},
                          capture_output=True, text=True, timeout=timeout, check=False)
    used, errors = set(), []
    for line in done.stdout.splitlines():
        message = json.loads(line).get("message") if line.startswith("{") else None
        if isinstance(message, dict):
            if match := USE.match(message["message"]):
                used.add(match[1])
            elif message["level"] == "error":
                errors.append(message["message"].splitlines()[0])
    if done.returncode and not errors:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise CheckError(f"the firmware cannot be compiled: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return Uses(frozenset(used), tuple(errors))
