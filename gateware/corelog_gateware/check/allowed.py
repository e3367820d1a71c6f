"""Crossings that are right as they are, each with its reason: ``allowed.toml``."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from .clocks import CheckError
from .crossings import KINDS, Crossing

FILE = Path(__file__).with_name("allowed.toml")
FIELDS = ("kind", "source", "destination", "reason")
SHORTEST_REASON = 20


@dataclass(frozen=True)
class Entry:
    """``source`` and ``destination`` are patterns for the names that the check prints."""

    kind: str
    source: str
    destination: str
    reason: str

    def fits(self, crossing: Crossing) -> bool:
        return (
            crossing.kind == self.kind
            and fnmatchcase(crossing.source, self.source)
            and fnmatchcase(crossing.destination, self.destination)
        )


def load(path: Path = FILE) -> list[Entry]:
    """Raises CheckError if an entry is not complete."""
    try:
        given = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise CheckError(f"{path.name} is no TOML: {error}") from error
    entries = []
    for n, fields in enumerate(given.get("crossing", []), 1):
        if sorted(fields) != sorted(FIELDS) or not all(isinstance(value, str) for value in fields.values()):
            raise CheckError(f"entry {n} of {path.name} must have {', '.join(FIELDS)}, all strings")
        if fields["kind"] not in KINDS:
            raise CheckError(f"entry {n} of {path.name}: kind {fields['kind']} is none of {', '.join(KINDS)}")
        if len(fields["reason"].strip()) < SHORTEST_REASON:
            raise CheckError(f"entry {n} of {path.name} ({fields['source']}) gives no reason")
        if set(fields["source"]) <= {"*", "?"} and set(fields["destination"]) <= {"*", "?"}:
            raise CheckError(f"entry {n} of {path.name} allows everything: name the source or the destination")
        entries.append(Entry(**fields))
    return entries


def sort_out(found: Iterable[Crossing], entries: Iterable[Entry]) -> tuple[list[Crossing], dict[Crossing, Entry]]:
    """What is not allowed, and what is, by which entry."""
    faults: list[Crossing] = []
    allowed: dict[Crossing, Entry] = {}
    known = list(entries)
    for crossing in sorted(found):
        entry = next((entry for entry in known if entry.fits(crossing)), None)
        if entry is None:
            faults.append(crossing)
        else:
            allowed[crossing] = entry
    return faults, allowed
