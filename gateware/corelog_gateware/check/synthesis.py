"""Yosys synthesises a design for Xilinx's 7 series; what it takes is compared with what the device has."""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from ctypes.util import find_library
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from .clocks import CheckError

# Xilinx DS180, tables of the Artix-7 and Kintex-7 families; BRAM in blocks of 36 Kb, CMT: one MMCM and one PLL each.
DEVICES: dict[str, dict[str, int]] = {
    "xc7a100t": {"LUT": 63_400, "FF": 126_800, "BRAM": 135, "DSP": 240, "BUFG": 32, "MMCM": 6, "PLL": 6, "GT": 4},
    "xc7k325t": {"LUT": 203_800, "FF": 407_600, "BRAM": 445, "DSP": 840, "BUFG": 32, "MMCM": 10, "PLL": 10, "GT": 16},
}
# Above this the vendor's tool may still place it, but no longer meet timing with ease.
LIMIT = 0.8
# A processor alone takes more. What has lost its clock is optimised away to next to nothing.
LEAST_LUTS = 1500
# As LiteX writes them: from the first column on.
COMMENT = re.compile(r"^//[^\n]*\n?|^/\*.*?\*/\n?", re.MULTILINE | re.DOTALL)
# What a cell takes; a LUT memory takes the LUTs of its slice.
LUTS = {"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1S": 4, "RAM32X1S": 1,
        "RAM64X1S": 1, "RAM128X1S": 2, "SRL16E": 1, "SRLC32E": 1, "INV": 1, **{f"LUT{n}": 1 for n in range(1, 7)}}
TAKES: dict[str, tuple[str, float]] = {
    **{cell: ("LUT", luts) for cell, luts in LUTS.items()},
    **dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE", "LDCE", "LDPE"), ("FF", 1)),
    "RAMB36E1": ("BRAM", 1), "RAMB18E1": ("BRAM", 0.5), "FIFO36E1": ("BRAM", 1), "FIFO18E1": ("BRAM", 0.5),
    "DSP48E1": ("DSP", 1),
    **dict.fromkeys(("BUFG", "BUFGCTRL", "BUFGCE", "BUFGMUX"), ("BUFG", 1)),
    **dict.fromkeys(("MMCME2_ADV", "MMCME2_BASE"), ("MMCM", 1)),
    **dict.fromkeys(("PLLE2_ADV", "PLLE2_BASE"), ("PLL", 1)),
    **dict.fromkeys(("GTPE2_CHANNEL", "GTXE2_CHANNEL"), ("GT", 1)),
}


@dataclass(frozen=True)
class Usage:
    """What a design takes of ``device``, by the device's resources, and how long it took to find out. ``since``: when
    that was, if it was found by an earlier run on the same files."""

    device: str
    used: Mapping[str, float]
    seconds: float = 0
    since: str = field(default="", compare=False)

    def share(self, resource: str) -> float:
        return self.used.get(resource, 0) / DEVICES[self.device][resource]

    def faults(self) -> list[str]:
        sizes = DEVICES[self.device]
        return [f"{self.used[resource]:g} {resource} of {size}, more than {LIMIT:.0%}: make the design smaller"
                for resource, size in sizes.items() if resource in ("LUT", "FF", "BRAM", "DSP")
                and self.share(resource) > LIMIT] + [
            f"{self.used[resource]:g} {resource}, there are {size}: make the design smaller"
            for resource, size in sizes.items() if self.share(resource) > 1]


def yosys() -> list[str]:
    """The command: the pinned package in the environment, or a program that was installed."""
    if find_spec("pyosys") is not None:
        return [sys.executable, "-m", f"{__package__}.run_yosys"]
    found = shutil.which("yosys")
    if found is None:
        raise CheckError("there is no Yosys: run `make gateware-check`, which installs it")
    return [found, "-q"]


def environment() -> dict[str, str]:
    """A third of Yosys' time goes into glibc's allocator; Debian's libjemalloc2 saves it where it is installed."""
    allocator = find_library("jemalloc")
    return dict(os.environ) | ({"LD_PRELOAD": allocator} if allocator else {})


def passes(sources: str, top: str) -> str:
    """Yosys' own flow for the 7 series, with ``abc`` where it has ``abc9``: that would take a quarter of the time
    and find 3 % less LUTs, for the sake of timing, which is not asked for here."""
    flow = f"synth_xilinx -family xc7 -flatten -top {top} -run"
    return "; ".join((
        f"read_verilog {sources}", f"{flow} begin:map_luts",
        "opt_expr -mux_undef -noclkinv", "abc -luts 2:2,3,6:5", "clean", "xilinx_srl -fixed -minlen 3",
        "techmap -map +/xilinx/lut_map.v -map +/xilinx/cells_map.v -D LUT_WIDTH=6",
        "xilinx_dffopt", "opt_lut_ins -tech xilinx",
        f"{flow} finalize:check", "check -assert", "tee -q -o yosys.json stat -json",
    ))  # fmt: skip


def count(cells: Mapping[str, int]) -> Counter[str]:
    """Resources taken by ``cells``, a number of each type."""
    taken: Counter[str] = Counter()
    for cell, number in cells.items():
        if cell in TAKES:
            resource, each = TAKES[cell]
            taken[resource] += each * number  # type: ignore[assignment]
    return taken


def with_less_memory(verilog: str, name: str, words: int) -> str:
    """``verilog`` with memory ``name`` cut down to ``words``, for what a device could never hold."""
    text, times = re.subn(rf"^(reg \[\d+:0\] {name}\[0:)\d+\];", rf"\g<1>{words - 1}];", verilog, flags=re.MULTILINE)
    if times != 1:
        raise CheckError(f"the design has {times} memories named {name}, not one")
    return text


def design_key(directory: Path, command: Sequence[str]) -> str:
    """Changes with Yosys and with what it reads; comments, with the date and an overview in an order that
    changes, are none of it."""
    version = "" if find_spec("pyosys") is None else importlib.metadata.version("pyosys")
    total = hashlib.sha256(" ".join([version, *command]).encode())
    for path in sorted([*directory.glob("*.v"), *directory.glob("*.init")]):
        total.update(f"{path.name}\n{COMMENT.sub('', path.read_text())}\n".encode())
    return total.hexdigest()


def synthesise(directory: Path, top: str, device: str, least: int = LEAST_LUTS, timeout: float = 1800) -> Usage:
    """Runs Yosys on the Verilog files in ``directory``, which gets ``yosys.log``, ``yosys.json`` and ``usage.json``.
    If it did so before on the same files, that result is taken.

    Raises CheckError, also if no more than ``least`` LUTs are left of the design.
    """
    names = " ".join(sorted(source.name for source in directory.glob("*.v")))
    command = [*yosys(), "-l", "yosys.log", "-p", passes(names, top)]
    key, usage = design_key(directory, command), directory / "usage.json"
    if usage.exists() and (known := json.loads(usage.read_text()))["key"] == key:
        written = time.strftime("%Y-%m-%d %H:%M", time.localtime(usage.stat().st_mtime))
        return Usage(device, known["used"], known["seconds"], written)
    log = directory / "yosys.log"
    for old in (usage, directory / "yosys.json", log):
        old.unlink(missing_ok=True)
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=directory, env=environment(), capture_output=True, text=True,
                              timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise CheckError(f"Yosys took longer than {timeout:g} s: see {log}") from None
    # It has been seen to end well without having done its work: only the figures show that it did.
    used: Counter[str] | None
    try:
        design = json.loads((directory / "yosys.json").read_text())["design"]
        used = count(design["num_cells_by_type"])
    except (OSError, ValueError, KeyError):
        used = None
    if done.returncode or used is None:
        said = done.stderr + done.stdout + (log.read_text() if log.exists() else "")
        lines = [line for line in said.splitlines() if "ERROR" in line]
        why = lines[0] if lines else f"exit code {done.returncode}, no figures"
        raise CheckError(f"Yosys failed: {why}: see {log}")
    if used["LUT"] < least:
        raise CheckError(f"only {used['LUT']:g} LUTs are left of the design: is a clock or reset not connected?")
    seconds = time.monotonic() - start
    usage.write_text(json.dumps({"key": key, "used": used, "seconds": seconds}))
    return Usage(device, used, seconds)
