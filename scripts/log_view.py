"""Makes docs/log-view.svg, the README's picture of the log, from a real run of `corelog demo` in a terminal.

    .venv/bin/python scripts/log_view.py
"""

import os
import pty
import re
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
COLUMNS = 132
COLOURS = {"33": "#e5c07b", "1;31": "#ff6b68"}
CHAR_WIDTH, LINE_HEIGHT = 7.25, 18


def captured() -> list[str]:
    """Output lines of the demonstration, with the colours it uses on a terminal."""
    output = bytearray()

    def keep(fd: int) -> bytes:
        data = os.read(fd, 4096)
        output.extend(data)
        return data

    status = pty.spawn([str(ROOT / ".venv/bin/corelog"), "demo", "--once"], keep)
    if status != 0:
        sys.exit(f"corelog demo ended with status {os.waitstatus_to_exitcode(status)}; no picture made")
    return output.decode().replace("\r\n", "\n").splitlines()


def drawn(lines: list[str]) -> str:
    rows = []
    for number, line in enumerate(lines):
        found = re.match(r"\x1b\[([0-9;]+)m(.*)\x1b\[0m$", line)
        colour = COLOURS.get(found[1], "#d7dae0") if found else "#8fb98f" if line.startswith("--") else "#d7dae0"
        text = found[2] if found else line
        if len(text) > COLUMNS:
            text = text[:COLUMNS - 1] + "…"
        rows.append(f'<text x="16" y="{34 + number * LINE_HEIGHT}" fill="{colour}" xml:space="preserve">'
                    f"{escape(text)}</text>")
    width, height = int(COLUMNS * CHAR_WIDTH + 32), 34 + len(lines) * LINE_HEIGHT
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="12" '
            f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace">\n'
            f'<rect width="{width}" height="{height}" rx="8" fill="#1e2127"/>\n' + "\n".join(rows) + "\n</svg>\n")


if __name__ == "__main__":
    lines = [line for line in captured() if not line.startswith("   board: ")]
    (ROOT / "docs" / "log-view.svg").write_text(drawn(["$ make run", *lines]))
