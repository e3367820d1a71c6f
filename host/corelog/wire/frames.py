"""Frames of the record stream (docs/wire.md, Subscribe): types, encoders, the record checksum.

All integers are little endian, times are microseconds since the boot of their origin.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate

from corelog.wire.errors import ProtocolError

VERSION = 1
U64_MAX = 2**64 - 1
RETAINED_UNKNOWN = U64_MAX

SUBSCRIBE = 0x41
KIND_HEADER = 0x41
KIND_RECORD = 1
KIND_LOSS = 2
KIND_BOOT = 3
KIND_HEARTBEAT = 4
KIND_CLOCK = 5

REFUSED = 6

_HEADER = struct.Struct("<BBHIQQQQ")
_RECORD = struct.Struct("<BBHIQQIIBBBBHH")
_LOSS = struct.Struct("<BBHIQQQ")
_BOOT = struct.Struct("<BBHIQQQQQ")
_HEARTBEAT = struct.Struct("<BBHIQQ")
_CLOCK = struct.Struct("<BBHIQQQ")
_SUBSCRIBE = struct.Struct("<BBBBB3x")
_CURSOR = struct.Struct("<B7xQQQ")

RECORD_HEAD = _RECORD.size
LONGEST_FRAME = 0xFFFC
ENCODING_UTF8 = 0
FLAG_TRUNCATED = 1


class Level(IntEnum):
    """Level of a record; smaller is graver."""

    ERROR = 1
    WARN = 2
    INFO = 3
    DEBUG = 4
    TRACE = 5


class From(IntEnum):
    """Where a subscription starts."""

    NOW = 0
    OLDEST = 1
    CURSORS = 2


@dataclass(frozen=True, slots=True)
class Cursor:
    """First record wanted of an origin. `retained`: errors and warnings before it in its boot, or RETAINED_UNKNOWN."""

    origin: int
    boot_id: int
    seq: int
    retained: int = RETAINED_UNKNOWN


@dataclass(frozen=True, slots=True)
class Record:
    """One log record. `repeat` > 0: stands for that many further records equal to the one before it."""

    seq: int
    time: int
    level: int
    target: str
    body: str
    origin: int = 0
    retained: int = 0
    repeat: int = 0
    encoding: int = ENCODING_UTF8
    truncated: bool = False
    damaged: bool = field(default=False, compare=False)
    undecodable: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Header:
    """Start of a stream. `next_seq` and `oldest_seq` are of the core device's present boot."""

    boot_id: int
    time: int
    oldest_seq: int
    next_seq: int
    boot_unknown: bool = False
    cursor_ahead: bool = False


@dataclass(frozen=True, slots=True)
class Loss:
    """`count` records from `seq` on are gone, `retained` of them (at most, unless exact) errors or warnings.

    `declared` is False for a gap that the device did not declare and the reader found.
    """

    origin: int
    seq: int
    count: int
    retained: int
    exact: bool = True
    declared: bool = True


@dataclass(frozen=True, slots=True)
class Boot:
    """What follows of this origin belongs to this boot; the subscriber's part of it starts at `start_seq`.

    `boot_unknown`: the boot of the subscriber's cursor for this origin is not known (of origin 0 the header says it).
    """

    origin: int
    boot_id: int
    oldest_seq: int
    next_seq: int
    start_seq: int
    start_retained: int
    previous: bool = False
    panicked: bool = False
    boot_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Device time and next sequence number of an origin, at least every second."""

    origin: int
    time: int
    next_seq: int


@dataclass(frozen=True, slots=True)
class Clock:
    """At device time `time` (us since the origin's boot) the RTIO counter, which all boards of a tree share, stood at
    `counter` machine units of `unit_fs` femtoseconds, give or take `uncertainty_ns`."""

    origin: int
    uncertainty_ns: int
    time: int
    counter: int
    unit_fs: int


def checksum(frame: bytes) -> int:
    """Checksum of a whole record frame (its own field is left out, its origin counts as 0)."""
    words = list(struct.unpack(f"<{len(frame) // 4}I", frame))
    words[8] &= 0xFFFFFF00
    del words[1]
    sums = list(accumulate(words))  # a after each word; b is the sum of them
    a, b = sums[-1] & 0xFFFFFFFF, sum(sums) & 0xFFFFFFFF
    return b ^ ((a << 16 | a >> 16) & 0xFFFFFFFF)


def encode_record(record: Record) -> bytes:
    """Raises ValueError if target (255 bytes) or the frame (65,532 bytes) is too long."""
    return encode_raw_record(record, record.target.encode(), record.body.encode())


def encode_raw_record(record: Record, target: bytes, body: bytes) -> bytes:
    """As `encode_record`, with the bytes of target and body given (they may be anything)."""
    length = (RECORD_HEAD + len(target) + len(body) + 3) & ~3
    if len(target) > 255 or length > LONGEST_FRAME:
        raise ValueError(f"record too long: target {len(target)} bytes, frame {length} bytes")

    def head(check: int) -> bytes:
        return _RECORD.pack(
            KIND_RECORD, record.level, length, check, record.seq, record.time, record.retained & 0xFFFFFFFF,
            record.repeat, record.origin, record.encoding, len(target), FLAG_TRUNCATED * record.truncated,
            len(body), 0)  # fmt: skip

    rest = (target + body).ljust(length - RECORD_HEAD, b"\0")
    return head(checksum(head(0) + rest)) + rest


def encode_header(h: Header) -> bytes:
    flags = h.boot_unknown | h.cursor_ahead << 1
    return _HEADER.pack(KIND_HEADER, VERSION, _HEADER.size, flags, h.boot_id, h.time, h.oldest_seq, h.next_seq)


def encode_loss(loss: Loss) -> bytes:
    return _LOSS.pack(KIND_LOSS, loss.origin, _LOSS.size, loss.exact, loss.seq, loss.count, loss.retained)


def encode_boot(b: Boot) -> bytes:
    flags = b.previous | b.panicked << 1 | b.boot_unknown << 2
    return _BOOT.pack(
        KIND_BOOT, b.origin, _BOOT.size, flags, b.boot_id, b.oldest_seq, b.next_seq, b.start_seq, b.start_retained
    )


def encode_heartbeat(h: Heartbeat) -> bytes:
    return _HEARTBEAT.pack(KIND_HEARTBEAT, h.origin, _HEARTBEAT.size, 0, h.time, h.next_seq)


def encode_clock(c: Clock) -> bytes:
    return _CLOCK.pack(KIND_CLOCK, c.origin, _CLOCK.size, c.uncertainty_ns, c.time, c.counter, c.unit_fs)


def encode_subscribe(
    start: From = From.OLDEST, level: int = Level.TRACE, origins: Sequence[int] = (), cursors: Iterable[Cursor] = ()
) -> bytes:
    """The Subscribe request. Raises ValueError for more than 255 origins or cursors."""
    cursors = list(cursors)
    if len(origins) > 255 or len(cursors) > 255:
        raise ValueError("at most 255 origins and 255 cursors")
    parts = [_SUBSCRIBE.pack(SUBSCRIBE, start, level, len(origins), len(cursors)), bytes(origins)]
    parts += [_CURSOR.pack(c.origin, c.boot_id, c.seq, c.retained) for c in cursors]
    return b"".join(parts)


def decode_control(data: bytes, pos: int, length: int) -> Header | Loss | Boot | Heartbeat | Clock | None:
    """The frame (not a record) at `pos`; None for a kind not known. Raises ProtocolError."""
    kind, x = data[pos], data[pos + 1]
    try:
        if kind == KIND_HEADER:
            _expect(length, _HEADER, "header")
            if x != VERSION:
                raise ProtocolError(f"the device speaks version {x} of the record stream, this program version 1")
            _, _, _, flags, boot, time, oldest, nxt = _HEADER.unpack_from(data, pos)
            return Header(boot, time, oldest, nxt, bool(flags & 1), bool(flags & 2))
        if kind == KIND_LOSS:
            _expect(length, _LOSS, "loss")
            _, _, _, flags, seq, count, retained = _LOSS.unpack_from(data, pos)
            return Loss(x, seq, count, retained, bool(flags & 1))
        if kind == KIND_BOOT:
            _expect(length, _BOOT, "boot")
            _, _, _, flags, boot, oldest, nxt, start, retained = _BOOT.unpack_from(data, pos)
            return Boot(x, boot, oldest, nxt, start, retained, bool(flags & 1), bool(flags & 2), bool(flags & 4))
        if kind == KIND_HEARTBEAT:
            _expect(length, _HEARTBEAT, "heartbeat")
            _, _, _, _, time, nxt = _HEARTBEAT.unpack_from(data, pos)
            return Heartbeat(x, time, nxt)
        if kind == KIND_CLOCK:
            _expect(length, _CLOCK, "clock")
            _, _, _, uncertainty, time, counter, unit = _CLOCK.unpack_from(data, pos)
            return Clock(x, uncertainty, time, counter, unit)
    except struct.error as exc:
        raise ProtocolError(f"frame of kind {kind} cut short") from exc
    return None


def _expect(length: int, layout: struct.Struct, name: str) -> None:
    if length != layout.size:
        raise ProtocolError(f"{name} frame of {length} bytes, not {layout.size}")
