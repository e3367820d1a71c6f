"""Checks the gateware of every variant: ``python -m corelog_gateware.check [VARIANT...] [--quick]``.

Writes ``build/check/report.md``; the exit status is 1 if something has to be changed.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from ..simulator import toolchain
from ..simulator.paths import BuildError
from . import allowed, constraints, firmware, synthesis
from .clocks import CheckError
from .elaborate import Found, elaborate
from .report import Outcome, report, sizes
from .variants import OUTPUT, Variant, all_variants, newest

# What a simulated board is compared with, though it is for no device.
DEVICE_OF_SIMULATED = "xc7a100t"
MAIN_RAM_WORDS = 16384


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Check the gateware of every variant without a vendor's tools")
    parser.add_argument("variants", metavar="VARIANT", nargs="*", help="default: all")
    parser.add_argument("--list", action="store_true", help="print the names of the variants")
    parser.add_argument("--jobs", type=int, default=1, help="variants at a time (default: %(default)s); 1 GB each")
    parser.add_argument("--quick", action="store_true", help="neither synthesis nor firmware")
    parser.add_argument(
        "--newest", action="store_true",
        help="synthesise only the latest hardware revision of each board and role, check the others as ever",
    )  # fmt: skip
    return parser


def check_quickly(variant: Variant, entries: list[allowed.Entry]) -> Outcome:
    """It elaborates, crosses clocks by named primitives, constrains every port, and has what its role needs."""
    outcome = Outcome(variant.name)
    try:
        found = outcome.found = elaborate(variant)
    except CheckError as error:
        outcome.faults.append(str(error))
        return outcome
    faults, outcome.allowed = allowed.sort_out(found.crossings, entries)
    outcome.faults += [f"clock crossing, {fault}" for fault in faults]
    outcome.faults += found.timing_faults
    if not variant.is_simulated:
        verilog, xdc = (variant.directory / "gateware" / f"top.{kind}" for kind in ("v", "xdc"))
        outcome.faults += constraints.faults(
            verilog.read_text(), xdc.read_text(), found.transceiver_ports, found.clock_ports
        )
    csr = (variant.directory / "generated" / "csr.rs").read_text()
    outcome.faults += firmware.faults(csr, variant.tags, firmware.parts())
    return outcome


def check_firmware(variant: Variant, outcome: Outcome, rust: toolchain.Toolchain) -> None:
    """Its firmware compiles."""
    try:
        uses = firmware.compile_uses(
            variant.directory / "generated" / "csr.rs", variant.role, variant.directory / "marked", rust
        )
        outcome.used = uses.used
        outcome.faults += [f"its firmware: {error}" for error in uses.errors]
    except CheckError as error:
        outcome.faults.append(str(error))


def check_size(variant: Variant, outcome: Outcome, found: Found) -> None:
    """It fits into its device."""
    gateware = variant.directory / "gateware"
    try:
        if variant.is_simulated:
            top = gateware / "corelog_sim.v"
            top.write_text(synthesis.with_less_memory(top.read_text(), "main_ram", MAIN_RAM_WORDS))
        outcome.usage = synthesis.synthesise(
            gateware, "corelog_sim" if variant.is_simulated else "top", found.device or DEVICE_OF_SIMULATED
        )
        outcome.faults += outcome.usage.faults()
    except CheckError as error:
        outcome.faults.append(str(error))


def main(argv: list[str] | None = None) -> int:
    args = get_argparser().parse_args(argv)
    if args.jobs < 1:
        sys.exit("check: --jobs must be at least 1")
    known = all_variants()
    if args.list:
        print(*known, sep="\n")
        return 0
    if unknown := [name for name in args.variants if name not in known]:
        sys.exit(f"check: there is no variant {unknown[0]}: see --list")
    try:
        entries = allowed.load()
        rust = None if args.quick else toolchain.find()
        if rust is not None:
            synthesis.yosys()
    except (CheckError, BuildError) as error:
        sys.exit(f"check: {error}")

    sized = newest(known) if args.newest else set(known)

    def check(name: str) -> Outcome:
        outcome = check_quickly(known[name], entries)
        if rust is not None and outcome.found is not None:
            check_firmware(known[name], outcome, rust)
            if name in sized:
                check_size(known[name], outcome, outcome.found)
        print(f"{name}: {'; '.join(outcome.faults) or 'well'}", file=sys.stderr, flush=True)
        return outcome

    with ThreadPoolExecutor(args.jobs) as pool:
        outcomes = list(pool.map(check, args.variants or known))
    general = []
    if not args.variants and all(outcome.found for outcome in outcomes):
        fitting = {entry for outcome in outcomes for entry in outcome.allowed.values()}
        general = [f"allowed.toml: {entry.source} -> {entry.destination} fits nothing: remove it"
                   for entry in entries if entry not in fitting]
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "report.md").write_text(report(outcomes, general))
    if any(outcome.usage for outcome in outcomes):
        print(sizes(outcomes))
    if left := [] if args.quick else [outcome.name for outcome in outcomes if outcome.name not in sized]:
        print("Not synthesised, as --newest says:", *left)
    faults = sum(len(outcome.faults) for outcome in outcomes) + len(general)
    print(*general, f"{len(outcomes)} variants, {faults} faults: see {OUTPUT / 'report.md'}", sep="\n", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
