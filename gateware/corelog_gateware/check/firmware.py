"""Which registers the firmware uses, asked from the compiler, and that each board has the parts that it should have.

Each constant of ``csr.rs`` is marked as deprecated in a copy, so that the compiler reports every use of one in what it
compiles for that board, and fails on every use of one that is not there.
"""

import json
import os
import re
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..simulator.paths import FIRMWARE
from ..simulator.toolchain import TARGET, Toolchain
from .clocks import CheckError

CONSTANT = re.compile(r"^pub const (\w+):", re.MULTILINE)
USE = re.compile(r"use of deprecated constant `(?:\w+::)*csr::(\w+)`")
PART = re.compile(r'\("(has_\w+)", "(\w+)"\)')
# Which boards have the parts that the firmware uses if it finds them (PARTS in firmware/board/build.rs), by their tags:
# without this a register that got another name would only make the firmware do without.
EVERYWHERE = ("standalone", "master", "satellite")
HAVE = {
    "has_kasli": ("kasli",),
    "has_kc705": ("kc705",),
    "has_store": ("sim",),
    "has_flash": ("board",),
    "has_i2c": ("board",),
    "has_clock_switch": ("board",),
    "has_si5324_reset": ("kc705",),
    "has_reload": ("board",),
    "has_error_led": ("v2.0",),
    "has_sfp_up": ("v2.0",),
    "has_ethernet": ("standalone", "master"),
    "has_rtio_cpu": EVERYWHERE,
    "has_ports": ("master", "satellite"),
    "has_credits": ("master",),
    "has_routing": ("master", "satellite"),
    "has_uplink": ("satellite",),
    "has_recovered_clock": ("board satellite",),
}
PACKAGES = {"standalone": "runtime", "master": "runtime", "satellite": "satman"}


@dataclass(frozen=True)
class Uses:
    """``used``: names of constants that the firmware of a board uses, ``errors``: of the compiler."""

    used: frozenset[str]
    errors: tuple[str, ...]


def defined(csr: str) -> frozenset[str]:
    return frozenset(CONSTANT.findall(csr))


def parts(build: Path = FIRMWARE / "board" / "build.rs") -> dict[str, str]:
    """What the firmware looks for, by the name that it gives it: the constant that tells."""
    return dict(PART.findall(build.read_text()))


def should_have(part: str, tags: Collection[str]) -> bool:
    return any(set(tags).issuperset(alternative.split()) for alternative in HAVE[part])


def faults(csr: str, tags: Collection[str], wanted: Mapping[str, str]) -> list[str]:
    """Where a board differs from what it should have.

    :param tags: target, hardware revision and role of the board, and ``board`` if it is a real one.
    :param wanted: see :func:`parts`.
    """
    there, lines = defined(csr), []
    for part, name in wanted.items():
        if part not in HAVE:
            lines.append(f"check/firmware.py does not say which boards have part {part}: add it")
        elif should_have(part, tags) != (name in there):
            state = "has" if name in there else "lacks"
            lines.append(f"csr.rs {state} {name}, which stands for {part}: see HAVE in check/firmware.py")
    return lines


def marked(csr: str) -> str:
    return CONSTANT.sub(r"#[deprecated]\n\g<0>", csr)


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
