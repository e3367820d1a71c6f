"""What was found, as text for people: ``build/check/report.md``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .allowed import Entry
from .crossings import KINDS, Crossing
from .elaborate import Found
from .synthesis import Usage

RESOURCES = ("LUT", "FF", "BRAM", "DSP", "BUFG", "MMCM", "PLL", "GT")


@dataclass
class Outcome:
    """Of one variant. ``faults`` is what has to be changed, a line each; ``usage`` and ``used`` (by the firmware) are
    only there if they were asked for."""

    name: str
    found: Found | None = None
    faults: list[str] = field(default_factory=list)
    allowed: dict[Crossing, Entry] = field(default_factory=dict)
    usage: Usage | None = None
    used: frozenset[str] | None = None


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown, with columns as wide as what is in them."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(header))]
    shown = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
             for line in lines]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])


def sizes(outcomes: Iterable[Outcome]) -> str:
    rows = []
    for outcome in outcomes:
        if outcome.usage is not None:
            usage = outcome.usage
            cells = [f"{usage.used.get(name, 0):g} ({usage.share(name):.0%})" for name in RESOURCES]
            took = f"unchanged since {usage.since}" if usage.since else f"{usage.seconds:.0f}"
            rows.append([outcome.name, usage.device, *cells, took])
    return table(["variant", "device", *RESOURCES, "s"], rows)


def _crossings(outcome: Outcome, found: Found) -> list[str]:
    rows = [[name, source, destination, str(number)] for name, source, destination, number in found.primitives]
    rows += [["same clock manager", source, destination, str(number)] for source, destination, number in found.related]
    lines = ["", table(["primitive", "from", "to", "times"], rows)] if rows else []
    if outcome.allowed:
        lines += ["", "Allowed without one:", ""]
        lines += [f"- {crossing}. {' '.join(entry.reason.split())}" for crossing, entry in outcome.allowed.items()]
    return lines


def report(outcomes: Sequence[Outcome], general: Sequence[str]) -> str:
    """:param general: faults that are of no one variant."""
    bad = [f"- {outcome.name}: {fault}" for outcome in outcomes for fault in outcome.faults]
    bad += [f"- {fault}" for fault in general]
    lines = ["# Check of the gateware", "", *(bad or ["No faults."]), ""]
    if any(outcome.usage for outcome in outcomes):
        devices = ", ".join(sorted({outcome.usage.device for outcome in outcomes if outcome.usage}))
        lines += ["## What it takes of the devices", "", sizes(outcomes), "",
                  f"Yosys' figures beside the sizes of {devices}. Simulated boards have no device of their own;",
                  "they are shown with 64 KiB of main RAM.", ""]
    lines += ["## Clock crossings", "", "What would be a fault:", ""]
    lines += [f"- *{kind}*: {meaning}" for kind, meaning in KINDS.items()]
    for outcome in outcomes:
        if outcome.found is not None:
            lines += ["", f"### {outcome.name}", *_crossings(outcome, outcome.found)]
            if outcome.used is not None:
                lines += ["", f"Its firmware uses {len(outcome.used)} generated constants; all are there."]
    return "\n".join(lines) + "\n"
