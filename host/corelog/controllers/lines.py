"""Turns a record stream into SiPyCo process lines (`LEVEL:name:message`), in bulk, cut into chunks for a pipe.

Every chunk says which cursor it leads to, so that whoever knows how many lines got through knows where to resume.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from corelog.controllers.fields import MARK, Fields
from corelog.wire.cursor import Forgotten
from corelog.wire.frames import ENCODING_UTF8, FLAG_TRUNCATED, RETAINED_UNKNOWN, Boot, Cursor, Level, Loss, Record
from corelog.wire.stream import Item, Records
from corelog.wire.text import TextRecord

# a write of up to this much to a pipe is all or nothing (PIPE_BUF on Linux)
CHUNK = 4096

LEVEL_NAMES = {
    Level.ERROR: "ERROR",
    Level.WARN: "WARNING",
    Level.INFO: "INFO",
    Level.DEBUG: "DEBUG",
    Level.TRACE: "TRACE",
}
OWN_NAME = "firmware.corelog"  # of an origin: own_name


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines. `cursor`: where to resume once they are delivered, None if that does not change."""

    data: bytes
    lines: int
    cursor: Cursor | None = None


def logger_name(target: str, origin: int = 0) -> str:
    """`runtime::rtio_mgt` -> `firmware.runtime.rtio_mgt`, of satellites `firmware.destN.runtime.rtio_mgt`; a name has
    no colon, no line break, and no fields that are not ours."""
    name = (f"firmware.dest{origin}." if origin else "firmware.") + target.replace("::", ".")
    return "".join("." if c in f":\n\r{MARK}" else c for c in name).rstrip(".")


def process_line(level: int, name: str, message: str) -> bytes:
    """One message as a process line, or as `LEVEL<lines>` with as many."""
    count = message.count("\n") + 1
    mark = f"<{count}>" if count > 1 else ""
    text = f"{LEVEL_NAMES[Level(level)]}{mark}:{name}:{message}\n"
    # a str may hold what UTF-8 cannot (a lone surrogate)
    return text.encode(errors="backslashreplace")


def own_name(origin: int) -> str:
    """Name of what is said about the log of an origin."""
    return logger_name("corelog", origin)


def mark(previous: bool) -> str:
    """What stands before the message of the boot before this one."""
    return "[previous boot] " if previous else ""


def record_message(record: Record, previous: bool = False) -> str:
    """The message of a record with everything that has to be said about it."""
    text = mark(previous)
    body = record.body
    if record.damaged:
        text += "[damaged] "
    if record.encoding != ENCODING_UTF8:
        text += f"[unknown encoding {record.encoding}] "
        body = record.body.encode(errors="backslashreplace").hex()
    elif record.undecodable:
        text += "[undecodable] "
    text += body
    if record.truncated:
        text += "... (truncated)"
    if record.repeat:
        text += " (repeated once)" if record.repeat == 1 else f" (repeated {record.repeat} times)"
    return text


def loss_message(loss: Loss, previous: bool = False) -> str:
    """`N records lost (M errors or warnings) from device seq S`, with what is not certain about it."""
    most = "" if loss.exact else "at most "
    undeclared = "" if loss.declared else ", not declared by the device"
    records = "record" if loss.count == 1 else "records"
    return (
        f"{mark(previous)}{loss.count} {records} lost ({most}{loss.retained} errors or warnings) "
        f"from device seq {loss.seq}{undeclared}"
    )


def forgotten_message(item: Forgotten) -> str:
    """Of a boot that is gone it is not known how much it wrote."""
    return (
        f"the device no longer keeps its boot {item.boot_id:016x}: "
        f"what it wrote then from device seq {item.seq} on, if anything, is lost"
    )


def text_message(record: TextRecord) -> str:
    """The message of a record that came as text."""
    return ("[cut] " if record.cut else "") + ("[undecodable] " if record.undecodable else "") + record.body


def text_chunk(record: TextRecord, origin: int = 0, fields: Fields | None = None) -> Chunk:
    """A record that came as text."""
    message = text_message(record)
    name = logger_name(record.target, origin)
    if fields is not None:
        name += fields.known(origin=origin, device_us=record.time)
    return Chunk(process_line(record.level, name, message), message.count("\n") + 1)


class _Prefixes(dict[bytes, bytes]):
    """target -> `LEVEL:firmware.target`, for one level and origin; grows with the targets."""

    LIMIT = 4096

    def __init__(self, level: int, origin: int) -> None:
        super().__init__()
        self._level, self._origin = level, origin

    def __missing__(self, target: bytes) -> bytes:
        if len(self) >= self.LIMIT:
            self.clear()
        name = logger_name(target.decode(errors="backslashreplace"), self._origin)
        prefix = process_line(self._level, name, "")[:-2]
        self[target] = prefix
        return prefix


@dataclass(slots=True)
class _Origin:
    boot_id: int
    previous: bool
    retained: int


class LineMaker:
    """Feed it the items of a `Tracker`; it gives chunks in order.

    Boots: a boot that is new to this LineMaker (`known` holds the ones it starts with) is announced.
    fields: the names carry them, see there.
    """

    def __init__(self, known: Iterable[Cursor] = (), fields: Fields | None = None) -> None:
        self._fields = fields
        self._origins = {c.origin: _Origin(c.boot_id, False, c.retained) for c in known}
        self._prefixes: dict[tuple[int, int], _Prefixes] = {}
        self._panics: dict[int, int] = {}  # origin -> boot whose panic was said
        self.records = self.lost = 0

    def forget(self) -> None:
        """The cursors it started with are void: every boot is new."""
        self._origins.clear()

    def feed(self, items: Iterable[Item | Forgotten], arrival: float | None = None) -> list[Chunk]:
        """arrival: host time when they came, which no record is later than."""
        chunks: list[Chunk] = []
        for item in items:
            if isinstance(item, Records):
                self._run(item, chunks, arrival)
            elif isinstance(item, Loss):
                self._loss(item, chunks)
            elif isinstance(item, Boot):
                self._boot(item, chunks)
            elif isinstance(item, Forgotten):
                # no cursor: it changes with the boot that comes next
                name = self._own_name(item.origin, item.boot_id, item.seq)
                chunks.append(Chunk(process_line(Level.WARN, name, forgotten_message(item)), 1))
        return chunks

    def _own_name(self, origin: int, boot_id: int, seq: int | None = None) -> str:
        """Of what is said about a boot, or about what is missing from `seq` on."""
        fields = self._fields
        return own_name(origin) + ("" if fields is None else fields.known(origin=origin, boot_id=boot_id, seq=seq))

    def _boot(self, boot: Boot, chunks: list[Chunk]) -> None:
        known = self._origins.get(boot.origin)
        self._origins[boot.origin] = _Origin(boot.boot_id, boot.previous, boot.start_retained)
        new = known is None or known.boot_id != boot.boot_id
        where, identity = mark(boot.previous), f"boot id {boot.boot_id:016x}"
        if boot.previous and boot.panicked and boot.boot_id != self._panics.get(boot.origin):
            self._panics[boot.origin] = boot.boot_id
            text = f"{where}the device panicked; what it wrote last follows, {identity}"
            line = process_line(Level.WARN, self._own_name(boot.origin, boot.boot_id), text)
        elif new and not boot.previous:
            name = self._own_name(boot.origin, boot.boot_id)
            line = process_line(Level.INFO, name, f"{where}device booted, {identity}")
        else:
            return
        chunks.append(Chunk(line, 1, Cursor(boot.origin, boot.boot_id, boot.start_seq, boot.start_retained)))

    def _loss(self, loss: Loss, chunks: list[Chunk]) -> None:
        origin = self._origins[loss.origin]
        self.lost += loss.count
        known = origin.retained != RETAINED_UNKNOWN and loss.exact
        origin.retained = origin.retained + loss.retained if known else RETAINED_UNKNOWN
        name = self._own_name(loss.origin, origin.boot_id, loss.seq)
        line = process_line(Level.WARN, name, loss_message(loss, origin.previous))
        chunks.append(Chunk(line, 1, Cursor(loss.origin, origin.boot_id, loss.seq + loss.count, origin.retained)))

    def _run(self, run: Records, chunks: list[Chunk], arrival: float | None) -> None:
        """The run is of one origin: a Tracker cuts it so."""
        self.records += len(run)
        number = run.only_origin()
        origin = self._origins[number]
        seq = run.seq.tolist()
        after = (run.retained + (run.level <= Level.WARN)).tolist()
        fields = self._fields
        told = [""] * len(run) if fields is None else fields.records(run, number, origin.boot_id, arrival)
        blob = None
        special = (run.flags & FLAG_TRUNCATED) | run.repeat | run.damaged | run.encoding
        if not special.any():
            blob = self._plain(run, number, mark(origin.previous), told)
        if blob is None:  # something in it needs a closer look: record by record
            for i, record in enumerate(run):
                message = record_message(record, origin.previous)
                line = process_line(record.level, logger_name(record.target, number) + told[i], message)
                cursor = self._cursor(number, origin, seq[i], None if record.damaged else after[i])
                chunks.append(Chunk(line, message.count("\n") + 1, cursor))
            return
        pos = done = 0
        while pos < len(blob):
            end = blob.rfind(b"\n", pos, pos + CHUNK) + 1 or blob.find(b"\n", pos) + 1
            lines = blob.count(b"\n", pos, end)
            done += lines
            cursor = self._cursor(number, origin, seq[done - 1], after[done - 1])
            chunks.append(Chunk(blob[pos:end], lines, cursor))
            pos = end

    @staticmethod
    def _cursor(number: int, origin: _Origin, seq: int, after: int | None) -> Cursor:
        """Cursor after record `seq`; `after`: errors and warnings up to and with it, modulo 2^32, None if unknown.

        They are continued to 64 bits where the count before is known.
        """
        if after is None:
            origin.retained = RETAINED_UNKNOWN
        elif origin.retained != RETAINED_UNKNOWN:
            high = origin.retained & ~0xFFFFFFFF
            origin.retained = high + after + ((1 << 32) if high + after < origin.retained else 0)
        else:
            origin.retained = after
        return Cursor(number, origin.boot_id, seq + 1, origin.retained)

    def _plain(self, run: Records, origin: int, before: str, fields: list[str]) -> bytes | None:
        """All lines of a run, one each, with `before` before the messages; None if one has several lines or is not
        UTF-8."""
        prefixes = {level: self._prefix(level, origin) for level in Level}
        data = run.data
        parts: list[bytes] = []
        append = parts.append
        texts = run.starts + 40
        bodies = texts + run.target_length
        ends = bodies + run.body_length
        rows = zip(run.level.tolist(), texts.tolist(), bodies.tolist(), ends.tolist(), fields, strict=True)
        for level, text, body, end, more in rows:
            append(prefixes[level][data[text:body]])
            append(f"{more}:{before}".encode())
            append(data[body:end])
            append(b"\n")
        blob = b"".join(parts)
        if blob.count(b"\n") != len(run):
            return None
        if not blob.isascii():
            try:
                blob.decode()
            except UnicodeDecodeError:
                return None
        return blob

    def _prefix(self, level: int, origin: int) -> _Prefixes:
        key = (level, origin)
        if key not in self._prefixes:
            self._prefixes[key] = _Prefixes(*key)
        return self._prefixes[key]
