"""Log text of devices that know only GetLog and PullLog:

    [     0.000123s]  INFO(runtime::net): message

A message may have further lines without that prefix. Whatever else arrives is delivered too, and marked: the rest of
a line whose beginning the device has overwritten (`cut`), bytes that are not UTF-8 (`undecodable`).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from corelog.wire.errors import ProtocolError
from corelog.wire.frames import Level

LONGEST_CHUNK = 4 << 20
LONGEST_LINE = 1 << 16

_PREFIX = re.compile(r"\[ *([0-9]{1,14})\.([0-9]{6})s\] +(ERROR|WARN|INFO|DEBUG|TRACE)\(([^()\n]*)\): ?")


@dataclass(frozen=True, slots=True)
class TextRecord:
    """One message. `time` in us since the device's boot; None, as level INFO and target "", where it is not known."""

    time: int | None
    level: int
    target: str
    body: str
    cut: bool = False
    undecodable: bool = False


class TextParser:
    """Feed it the text in portions as the device sent them; `flush` gives what is left of an unfinished line.

    A message ends with the portion, if that ends with a line: devices write a message whole.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[TextRecord]:
        """Returns the messages that are complete. Never raises."""
        data = self._rest + data
        cut = data.rfind(b"\n") + 1
        self._rest = data[cut:]
        found = _messages(data[: max(cut - 1, 0)]) if cut else []
        if len(self._rest) > LONGEST_LINE:
            found += self.flush()
        return found

    def flush(self) -> list[TextRecord]:
        """Returns an unfinished line as a message. Never raises."""
        rest, self._rest = self._rest, b""
        return _messages(rest) if rest else []


def parse(text: bytes) -> list[TextRecord]:
    """All messages of a whole text, as GetLog gives it."""
    parser = TextParser()
    return parser.feed(text) + parser.flush()


def _messages(data: bytes) -> list[TextRecord]:
    found: list[TextRecord] = []
    lines: list[str] = []
    head: tuple[int | None, int, str, bool] = (None, Level.INFO, "", True)
    bad = False

    def finish() -> None:
        if lines:
            found.append(TextRecord(head[0], head[1], head[2], "\n".join(lines), head[3], bad))

    for raw in data.split(b"\n"):
        try:
            line, broken = raw.decode(), False
        except UnicodeDecodeError:
            line, broken = raw.decode(errors="backslashreplace"), True
        match = _PREFIX.match(line)
        if match:
            finish()
            seconds, micros, level, target = match.groups()
            head = (int(seconds) * 1_000_000 + int(micros), Level[level], target, False)
            lines, bad = [line[match.end() :]], broken
        else:
            lines.append(line)
            bad = bad or broken
    finish()
    return found


class PullParser:
    """Takes apart the answer to PullLog: for ever, a 32-bit length and that much text. Feed it any portions."""

    def __init__(self, order: str = "<") -> None:
        self._length = struct.Struct(order + "I")
        self._data = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Returns the texts that are whole (without empty ones). Raises ProtocolError for an absurd length."""
        data = self._data + data
        pos, texts = 0, []
        while len(data) - pos >= 4:
            (length,) = self._length.unpack_from(data, pos)
            if length > LONGEST_CHUNK:
                raise ProtocolError(f"the device announces {length} bytes of log text at once")
            if len(data) - pos - 4 < length:
                break
            if length:
                texts.append(data[pos + 4 : pos + 4 + length])
            pos += 4 + length
        self._data = data[pos:]
        return texts
