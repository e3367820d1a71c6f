"""Signals from waveform files (VCD)."""

import itertools
from pathlib import Path


def changes(path: Path, name: str) -> list[tuple[int, int]]:
    """(time in the file's unit, value) of the outermost signal with this name, its value at the beginning first."""
    code, depth, found = None, 0, 1000
    values: list[tuple[int, int]] = []
    time = 0
    with path.open() as file:
        for line in file:
            if line.startswith("$enddefinitions"):
                break
            words = line.split()
            depth += {"$scope": 1, "$upscope": -1}.get(words[0], 0) if words else 0
            if words[:1] == ["$var"] and words[4] == name and depth < found:
                code, found = words[3], depth
        assert code is not None, f"{path} has no signal {name}"
        for line in file:
            if line.startswith("#"):
                time = int(line[1:])
            elif line[:1] == "b":
                bits, of = line[1:].split()
                if of == code:
                    values.append((time, int(bits, 2)))
            elif line[:1] in ("0", "1") and line[1:].strip() == code:
                values.append((time, int(line[0])))
    return values


def rises(path: Path, name: str, bit: int) -> list[int]:
    """Times at which the bit of the signal goes from 0 to 1."""
    values = changes(path, name)
    return [time for (_, before), (time, after) in itertools.pairwise(values)
            if after >> bit & 1 and not before >> bit & 1]
