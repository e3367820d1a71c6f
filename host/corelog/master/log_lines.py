"""The text in which log records are kept, and the fields that a record's text and names carry.

Records are network lines as SiPyCo sends them: `source:LEVEL:name:message`, with `LEVEL<N>` for N lines of which the
others follow as they are. A level without a name is its number. A line `@1700000000.123` before them gives the time
of the records that follow, in seconds of Unix time.

A name may carry fields, as `sipyco.logs` describes: what a core device says of its record besides, see FIELDS.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import re
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring_ascii as quote
from typing import Any, NamedTuple

LEVELS = {"CRITICAL": 50, "ERROR": 40, "WARNING": 30, "INFO": 20, "DEBUG": 10, "TRACE": 5}
NAMES = {number: name for name, number in LEVELS.items()}
ALL_LEVELS = 1 << len(LEVELS)
"""The bit of `levels` for records whose level has no name; they match whatever is asked for."""

FIELDS: dict[str, Callable[[str], Any]] = {
    "origin": int, "boot_id": str, "seq": int, "device_us": int, "host_time": float, "core_us": float,
    "uncertainty_ns": int}
"""Of a core device's record: destination, boot, number, microseconds since its boot, Unix time of that by the common
time axis, the same in microseconds of the core device and how far off that may be; each only where it is known."""

LOSS = re.compile(r"corelog\.master\.log:[0-9]+ log records missed by this receiver, .*--number ([0-9]+)-([0-9]+)")
"""What a client finds in its stream where records are missing: their numbers. See `loss_text`."""

_BITS = {name: 1 << i for i, name in enumerate(LEVELS)}
_MARKS = [(bit, f":{name}:".encode()) for name, bit in _BITS.items()]
_ORIGIN = re.compile(r"firmware(?:\.dest([0-9]{1,3}))?(?:\.|$)")
_SEQ = re.compile(r"from device seq ([0-9]{1,19})\b")
_FIELDS = re.compile(r"([^\x1f]*)\x1f([a-z_]+=[!-9;-~]*)")
_TEXT_WITH_FIELDS = re.compile(r"([^:\x1f]*)\x1f[a-z_]+=[!-9;-~]*(?=:)")
_ORIGINS_IN_BULK = [re.compile(rb":firmware(?:\.dest([0-9]{1,3}))?(?=[.:\x1f])"), re.compile(rb"origin=([0-9]{1,3})")]
_LAST_ORIGIN = 62
_WORKER = re.compile(r"worker\(([0-9]{1,18})(?=[,)])")
_RIDS = re.compile(r"\[RID ([0-9]{1,18}(?:, [0-9]{1,18})*)\]\Z")
_WORKER_IN_BULK = re.compile(_WORKER.pattern.encode())
_RIDS_IN_BULK = re.compile(rb"\[RID ([0-9]{1,18}(?:, [0-9]{1,18})*)\]\n")
_CORE_ERROR = re.compile(rb"^([^:\n]*:(?:ERROR|CRITICAL):firmware\.[^\n]*)$", re.MULTILINE)


class Record(NamedTuple):
    """One log record. `number` counts the records of a master, and of those before it with the same store."""

    number: int
    time: float
    level: int
    source: str
    name: str
    message: str
    said: str = ""  # its fields, as they came

    def fields(self) -> dict[str, Any]:
        """What the record says by itself, and what its source, name and message carry: `rids` (of the run it came
        from, or of those that ran), and what there is of FIELDS."""
        found: dict[str, Any] = dict(zip(self._fields[:-1], self, strict=False))
        if rids := self.rids():
            found["rids"] = rids
        if (origin := self.origin()) is not None:
            found["origin"] = origin
            if seq := _SEQ.search(self.message):
                found["seq"] = int(seq[1])
        if self.said:
            found.update(_known_fields(self.said))
            if found.get("origin") == 0 and "device_us" in found:  # its time is the core device's time
                found |= {"core_us": float(found["device_us"]), "uncertainty_ns": 0}
        return found

    def origin(self) -> int | None:
        """Destination of the device that the record is of; None if of none."""
        if self.said:
            for key, value in _known_fields(self.said):
                if key == "origin":
                    return int(value)
        named = _ORIGIN.match(self.name)
        return int(named[1] or 0) if named else None

    def rids(self) -> list[int]:
        """The runs that the record belongs to: its worker's, or those during which a core device error came."""
        if worker := _WORKER.match(self.source):
            return [int(worker[1])]
        if self.name.startswith("firmware.") and (marked := _RIDS.search(self.message)):
            return [int(rid) for rid in marked[1].split(", ")]
        return []


def _known_fields(said: str) -> Iterator[tuple[str, Any]]:
    for part in said.split(","):
        key, _, value = part.partition("=")
        if key in FIELDS:
            with contextlib.suppress(ValueError):
                yield key, FIELDS[key](value)


def to_lines(level: int, source: str, name: str, message: str, fields: str = "") -> bytes:
    """One record as it is kept."""
    source, name = source.translate(_NO_COLON), name.replace("\n", " ")
    if fields:
        name += f"\x1f{fields}"
    count = f"<{message.count(chr(10)) + 1}>" if "\n" in message else ""
    text = f"{source}:{NAMES.get(level, level)}{count}:{name}:{message}\n"
    return text.encode(errors="backslashreplace")  # a str may hold what UTF-8 cannot (a lone surrogate)


_NO_COLON = str.maketrans(":\n", "..")


def loss_text(first: int, last: int) -> str:
    """`name:message` of the notice that these records were missed."""
    return (f"corelog.master.log:{last - first + 1} log records missed by this receiver, which read too slowly: "
            f"corelog client show log --number {first}-{last}")


def time_line(time: float) -> bytes:
    """What stands before records of that time."""
    return b"@%r\n" % time


def parse(data: bytes, number: int) -> Iterator[Record]:
    """The records in what was kept, of which the first has that number."""
    lines = iter(data.decode(errors="backslashreplace").split("\n"))
    levels, time = LEVELS, 0.0
    for line in lines:
        if line[:1] == "@" and ":" not in line:
            time = float(line[1:])
        elif line:
            source, word, name, message = line.split(":", 3)
            level = levels.get(word)
            if level is None:
                word, _, count = word.partition("<")
                if count:
                    message = "\n".join([message, *(next(lines) for _ in range(int(count[:-1]) - 1))])
                level = levels[word] if word in levels else int(word)
            said = ""
            if "\x1f" in name and (split := _FIELDS.fullmatch(name)):
                name, said = split.groups()
            yield Record(number, time, level, source, name, message, said)
            number += 1


def level_bits(lowest: int) -> int:
    """The bits of the levels from `lowest` on."""
    return sum(_BITS[name] for name, level in LEVELS.items() if level >= lowest) | ALL_LEVELS


def level_bit(level: int) -> int:
    """The bit of a level."""
    return _BITS[NAMES[level]] if level in NAMES else ALL_LEVELS


def levels_in(data: bytes) -> int:
    """The bits of the levels of one-line records; perhaps of some more, which a message mentions."""
    return sum(bit for bit, mark in _MARKS if mark in data)


def rids_in(data: bytes) -> set[int]:
    """The RIDs of the records; perhaps some more, which a message mentions."""
    found = set(_WORKER_IN_BULK.findall(data)) if b"worker(" in data else set()
    if b" [RID " in data:
        found.update(rid for rids in _RIDS_IN_BULK.findall(data) for rid in rids.split(b", "))
    return {int(rid) for rid in found}


def origin_bit(origin: int) -> int:
    """The bit of a core device (0) or satellite; the highest share one."""
    return 1 << min(origin, _LAST_ORIGIN)


def origins_in(data: bytes) -> int:
    """The bits of the origins of the records; perhaps of some more, which a message mentions."""
    found = {int(origin or 0) for pattern in _ORIGINS_IN_BULK for origin in set(pattern.findall(data))}
    return functools.reduce(operator.or_, map(origin_bit, found), 0)


def without_fields(text: str) -> str:
    """The text "name:message" without fields of the name."""
    found = _TEXT_WITH_FIELDS.match(text)
    return found[1] + text[found.end():] if found else text


def mark_rids(data: bytes, running: Callable[[], list[int]]) -> bytes:
    """One-line records, of which core device errors say which runs they came in."""
    if (rids := running()) and b":firmware." in data and (b":ERROR:" in data or b":CRITICAL:" in data):
        return _CORE_ERROR.sub(rb"\1" + rid_mark(rids).encode(), data)
    return data


def rid_mark(rids: list[int]) -> str:
    """What stands behind the message of an error that came in these runs."""
    return f" [RID {', '.join(map(str, rids))}]"


def to_broadcast(data: bytes, time: float) -> bytes:
    """One-line records as lines of the broadcast: PYON tuples (level number, source, time, "name:message")."""
    heads: dict[tuple[str, str], str] = {}
    found: list[str] = []
    for line in data[:-1].decode().split("\n"):
        source, word, text = line.split(":", 2)
        try:
            head = heads[source, word]
        except KeyError:
            head = f'{{"__jsonclass__":["tuple",[[{LEVELS[word]},{quote(source)},{time!r},'
            heads[source, word] = head
        if "\x1f" in text:
            text = without_fields(text)
        found.append(f"{head}{quote(text)}]]]}}\n")
    return "".join(found).encode("ascii")


def to_console(data: bytes) -> str:
    """One-line records as the console shows them: `LEVEL:source:name:message`."""
    found = []
    for line in data[:-1].decode().split("\n"):
        source, word, text = line.split(":", 2)
        if "\x1f" in text:
            text = without_fields(text)
        found.append(f"{word}:{source}:{text}\n")
    return "".join(found)
