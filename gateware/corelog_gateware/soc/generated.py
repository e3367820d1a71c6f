"""Register map of a SoC for its software: Rust constants and JSON, from the finalized gateware, never retyped."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from migen import Memory

# A board has one of these for every downstream port: `drtio0_tx_enable`, `drtioaux1_mem`, ...
PORT = re.compile(r"(drtio|drtioaux)(\d+)(?:_(\w+))?")


def registers(soc: Any) -> dict[str, tuple[int, int]]:
    """``{"uptime_lo": (address, words)}`` of every CSR; a memory behind the CSR bus counts as one register."""
    found: dict[str, tuple[int, int]] = {}
    for module, region in soc.csr.regions.items():
        address = region.origin
        if isinstance(region.obj, Memory):
            found[module] = (address, region.obj.depth)
            continue
        for csr in region.obj:
            words = -(-csr.size // region.busword)
            found[f"{module}_{csr.name}"] = (address, words)
            address += 4 * words
    return found


def memories(soc: Any) -> dict[str, tuple[int, int]]:
    """``{"main_ram": (base, size in bytes)}`` of every bus region."""
    return {name: (region.origin, region.size) for name, region in soc.bus.regions.items()}


def constants(soc: Any, extra: dict[str, int]) -> dict[str, int]:
    """Integer constants: interrupts, those of the cores, the clock, downstream ports (``drtio_links``), whether there
    is an uplink (``drtio_uplink``), and ``extra``."""
    ports = [module for module in soc.csr.regions if re.fullmatch(r"drtio\d+", module)]
    found = {
        "clock_frequency": int(soc.clk_freq),
        "drtio_links": len(ports),
        "drtio_uplink": int("drtiosat" in soc.csr.regions),
        **extra,
    }
    for name, value in soc.constants.items():
        if isinstance(value, int) and not name.startswith("CONFIG_"):
            found.setdefault(name.lower(), value)
    return found


def rust(soc: Any, extra: dict[str, int]) -> str:
    """Rust source of nothing but ``pub const``: ``<MODULE>_<REGISTER>_ADDR`` and ``_WORDS``, ``<REGION>_BASE`` and
    ``_SIZE`` (usize), and the constants (u32, or u64 if they need it; DRTIO_LINKS usize). What there is for every
    downstream port is an array by port: ``DRTIO_N_TX_ENABLE_ADDR: [usize; 2]``, ``DRTIOAUX_N_MEM_BASE``,
    ``DRTIOAUX_N_INTERRUPT``; without ports there are none of these."""
    lines = ["// Generated from the gateware. Changes are lost at the next build."]
    of_ports: dict[tuple[str, str], dict[int, str]] = {}

    def const(name: str, kind: str, value: str) -> None:
        if port := PORT.fullmatch(name):
            of_ports.setdefault((f"{port[1]}_n_{port[3]}", kind), {})[int(port[2])] = value
            return
        identifier = re.sub(r"\W", "_", name).upper()
        lines.append(f"pub const {identifier}: {kind} = {value};")

    numbers = constants(soc, extra)
    links = numbers["drtio_links"]
    for name, number in sorted(numbers.items()):
        const(name, "usize" if name == "drtio_links" else "u32" if number < 2**32 else "u64", str(number))
    for name, (base, size) in memories(soc).items():
        const(f"{name}_base", "usize", f"{base:#010x}")
        const(f"{name}_size", "usize", f"{size:#x}")
    for name, (address, words) in registers(soc).items():
        const(f"{name}_addr", "usize", f"{address:#010x}")
        const(f"{name}_words", "usize", str(words))
    for (name, kind), values in of_ports.items():
        if sorted(values) != list(range(links)):
            raise ValueError(f"{name} is there for ports {sorted(values)} of {links}")
        const(name, f"[{kind}; {links}]", f"[{', '.join(values[port] for port in range(links))}]")
    return "\n".join(lines) + "\n"


def cpp(soc: Any, names: Iterable[str], pads: dict[str, int]) -> str:
    """C++ header with the memories ``names`` (``<NAME>_BASE`` and ``_SIZE``), the clock in Hz, and ``pads``."""
    lines = ["// Generated from the gateware.", "#pragma once", "#include <cstdint>", "namespace corelog {"]
    lines.append(f"constexpr uint32_t CLOCK_FREQUENCY = {int(soc.clk_freq)};")
    for name, value in pads.items():
        lines.append(f"constexpr unsigned {name.upper()} = {value};")
    for name in names:
        base, size = memories(soc)[name]
        lines.append(f"constexpr uint32_t {name.upper()}_BASE = {base:#010x}, {name.upper()}_SIZE = {size:#x};")
    return "\n".join([*lines, "}"]) + "\n"


def write(soc: Any, directory: Path, extra: dict[str, int], pads: dict[str, int] | None = None) -> None:
    """Write ``csr.rs`` and ``csr.json`` of the finalized ``soc``; ``extra`` are further constants for software. With
    ``pads``, constants for the simulator's harness, also ``corelog_soc.h``.

    Files that would not change keep their time, so that the firmware is not rebuilt for nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    described = {
        "constants": constants(soc, extra),
        "memories": {name: {"base": base, "size": size} for name, (base, size) in memories(soc).items()},
        "registers": {name: {"address": address, "words": words} for name, (address, words) in registers(soc).items()},
    }
    texts = {
        "csr.rs": rust(soc, extra),
        "csr.json": json.dumps(described, indent=1) + "\n",
    }
    if pads is not None:
        texts["corelog_soc.h"] = cpp(soc, ["main_ram"], pads)
    for name, text in texts.items():
        path = directory / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
