"""Elaborates one variant and searches it: ``python -m corelog_gateware.check.elaborate VARIANT``.

In a process of its own, as LiteX keeps state. Writes ``build/check/VARIANT``, with what it found in ``found.json``.
"""

import json
import logging
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import timing
from .clocks import CheckError
from .crossings import Crossing, crossings
from .design import Design
from .variants import Variant, all_variants

TIMEOUT = 300
# Exit code of the process if the check itself cannot go on.
STOPPED = 3


@dataclass(frozen=True)
class Found:
    """``device`` is empty for a simulated board. ``primitives`` and ``related`` as in :class:`crossings.Crossings`,
    flat, with the number last."""

    device: str
    crossings: list[Crossing]
    primitives: list[tuple[str, str, str, int]]
    related: list[tuple[str, str, int]]
    transceiver_ports: list[str]
    clock_ports: list[str]
    timing_faults: list[str]


def search(variant: Variant) -> Found:
    """In this process."""
    logging.disable(logging.INFO)
    soc = variant.make()
    soc.finalize()
    design = Design(soc, soc.platform.constraint_manager.get_io_signals(), variant.pad_clocks)
    result = crossings(design)
    toolchain = soc.platform.toolchain
    timed = []
    if toolchain:
        timed += timing.faults(design, result.memories, toolchain.false_paths)
        timed += timing.without_period(design, toolchain.clocks)
    special = [design.transceiver_ports(), design.clock_ports()]
    variant.write(soc, variant.directory)
    # Ports have got their names.
    transceivers, clocks = (sorted(design.names.signal(port) for port in ports) for ports in special)
    return Found(
        "" if variant.is_simulated else soc.platform.device.partition("-")[0],
        sorted(result.faults),
        sorted((*key, number) for key, number in result.primitives.items()),
        sorted((*key, number) for key, number in result.related.items()),
        transceivers,
        clocks,
        timed,
    )


def elaborate(variant: Variant) -> Found:
    """In a process of its own. Raises CheckError."""
    command = [sys.executable, "-m", __name__, variant.name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise CheckError(f"its elaboration took longer than {TIMEOUT} s") from None
    lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
    if done.returncode == STOPPED:
        raise CheckError(lines[-1])
    if done.returncode:
        raise CheckError(f"it does not elaborate: {lines[-1]}")
    return read(variant.directory / "found.json")


def read(path: Path) -> Found:
    given: dict[str, Any] = json.loads(path.read_text())
    given["crossings"] = [Crossing(**fields) for fields in given["crossings"]]
    return Found(**given)


def main(argv: list[str] | None = None) -> None:
    (name,) = sys.argv[1:] if argv is None else argv
    variant = all_variants()[name]
    variant.directory.mkdir(parents=True, exist_ok=True)
    try:
        found = search(variant)
    except CheckError as error:
        print(error, file=sys.stderr)
        sys.exit(STOPPED)
    (variant.directory / "found.json").write_text(json.dumps(asdict(found), indent=1) + "\n")


if __name__ == "__main__":
    main()
