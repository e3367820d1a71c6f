"""Which systems there are: the built-in ones, and any that a description says."""

import json
from pathlib import Path

from corelog.boards.description import Description, load, parse

from ..platforms import KASLI_REVISIONS

BASES = ("standalone", "master", "satellite")
KASLI_CARDS = [
    {"type": "dio", "ports": [0], "bank_direction_low": "input", "bank_direction_high": "output"},
    {"type": "dio", "ports": [1], "bank_direction_low": "output", "bank_direction_high": "output"},
]
# All but one SMA connector drive nothing until an experiment says so: any card may be at the LPC.
KC705_CARDS = [
    {"type": "user_sma", "direction_p": "input", "direction_n": "output", "edge_counter": True},
    {
        "type": "fmc", "connector": "lpc", "direction": "input",
        "pins": [f"LA{n:02}_{pin}" for n in range(2, 6) for pin in "PN"],
    },
]  # fmt: skip


class TargetError(Exception):
    """There is no gateware for this; ``str()`` is one line that says what to do."""


def builtin(target: str) -> dict[str, Description]:
    """A system of every revision and role, by name, with two TTL cards (Kasli), or the SMA connectors and eight
    lines of the LPC (KC705)."""
    found = {}
    for hw_rev in KASLI_REVISIONS if target == "kasli" else ("",):
        for base in BASES:
            name = "-".join(filter(None, (target, hw_rev, base)))
            given = {"target": target, "variant": name.replace(".", "_"), "base": base}
            given |= {"hw_rev": hw_rev, "peripherals": KASLI_CARDS} if hw_rev else {"peripherals": KC705_CARDS}
            found[name] = parse(json.dumps(given))
    return found


def described(target: str, path: Path) -> tuple[str, Description]:
    """Name (for files) and description of the system in a file. Raises DescriptionError, TargetError."""
    description = load(path)
    if description.target != target:
        raise TargetError(f"{path} describes a {description.target}: use corelog_gateware.targets.{description.target}")
    variant = description.variant
    return variant if variant.startswith(f"{target}-") else f"{target}-{variant}", description
