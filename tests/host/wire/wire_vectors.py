"""The frozen bytes in tests/vectors."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "vectors"


def load(name: str) -> dict[str, list[dict[str, Any]]]:
    """The file NAME.json: sections of cases, each with at least `name` and `hex`."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def cases(file: str, section: str) -> list[tuple[str, bytes, dict[str, Any]]]:
    """(name, bytes, the whole case) of a section."""
    found = [(c["name"], bytes.fromhex(c["hex"]), c) for c in load(file)[section]]
    assert found
    return found


def ids(found: list[tuple[str, bytes, dict[str, Any]]]) -> list[str]:
    return [name for name, _, _ in found]
