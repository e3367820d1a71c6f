"""What a controller writes, as log records of source `controller(name)`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sipyco.logs import LogParser

LINE_MAX = 1 << 20
"""Longest line in bytes that is handed on in one piece by the ecosystem's own parser."""
LAST_LINE = 200
CUT = b" [cut: the controller was killed]"

READS_FIELDS = hasattr(LogParser, "feed")
"""Whether names of records may carry fields: ours understands them, the ecosystem's own does not."""

Throttle = Callable[[], Awaitable[Any]]
"""Awaited between portions of output: returns when the way to the master has room, or soon anyway."""


class Stream:
    """One of a controller's two output streams."""

    def __init__(self, source: str):
        self._parser = LogParser(lambda: source)
        # Ours takes bytes in bulk; the ecosystem's own takes lines.
        self._lines = None if hasattr(self._parser, "feed") else Lines(self._parser.line_input)
        self.complete_lines = 0
        self.tail = b""

    def feed(self, data: bytes) -> None:
        self.complete_lines += data.count(b"\n")
        self.tail = (self.tail + data[-LAST_LINE:])[-LAST_LINE:]
        if self._lines is None:
            self._parser.feed(data)
        else:
            self._lines.feed(data)

    def end(self, *, killed: bool) -> None:
        """Hands on what was not finished with an end of line, marked if the controller did not end by itself."""
        if killed and self.tail and not self.tail.endswith(b"\n"):
            (self._parser if self._lines is None else self._lines).feed(CUT)
        if self._lines is None:
            self._parser.end()
        else:
            self._lines.end()


class Output:
    """Both streams of one run of a controller."""

    def __init__(self, source: str, throttle: Throttle):
        self.stdout = Stream(source)
        self.stderr = Stream(source)
        self.throttle = throttle

    @property
    def last_line(self) -> str:
        """The end of what it wrote last to standard error, or else to standard output."""
        tail = self.stderr.tail.rstrip() or self.stdout.tail.rstrip()
        return tail.rpartition(b"\n")[2].decode(errors="replace")


class Lines:
    """Cuts a byte stream into lines of at most LINE_MAX bytes."""

    def __init__(self, take: Callable[[str], None]):
        self._take = take
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
            for line in lines:
                self._emit(line)
        self._rest += rest
        while len(self._rest) > LINE_MAX:
            self._emit(bytes(self._rest[:LINE_MAX]))
            del self._rest[:LINE_MAX]

    def end(self) -> None:
        if self._rest:
            self._emit(bytes(self._rest))
            self._rest.clear()

    def _emit(self, line: bytes) -> None:
        for begin in range(0, max(len(line), 1), LINE_MAX):
            self._take(line[begin:begin + LINE_MAX].removesuffix(b"\r").decode(errors="backslashreplace"))
