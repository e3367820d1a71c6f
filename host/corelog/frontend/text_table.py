"""Tables of text for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def printable(text: str) -> str:
    """Without what would move the cursor or colour the terminal: names and values are other people's."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns; a cell may have several lines."""
    lines: list[list[str]] = []
    for row in [header, *rows]:
        cells = [[printable(line) for line in cell.split("\n")] for cell in row]
        for i in range(max(map(len, cells))):
            lines.append([cell[i] if i < len(cell) else "" for cell in cells])
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
                     for line in lines)
