"""Bytes of the session protocol (TCP 1381), without any I/O.

Source: docs/wire.md, "Session port". A session starts with MAGIC, answered by READY. Then requests and replies, each
`u8 code, 3 bytes zero, u32 length, payload`, little endian. Times are machine units ("mu"), modulo 2^64.
"""

import struct
from dataclasses import dataclass

PORT = 1381
MAGIC = b"CORELOG session\n"
READY = b"e"
VERSION = 1

REQUEST_HELLO = 1
REQUEST_RUN = 2
REPLY_HELLO = 1
REPLY_DONE = 2
REPLY_EXCEPTION = 3
REPLY_ERROR = 6

EXCEPTION_UNDERFLOW = 1
EXCEPTION_OVERFLOW = 2
EXCEPTION_UNREACHABLE = 3

ASYNC_COLLISION = 1
ASYNC_BUSY = 2
ASYNC_SEQUENCE = 4

NO_EVENT = (1 << 64) - 1
"""Timestamp result of an Input during which no event arrived."""

MASK64 = (1 << 64) - 1
MAX_REPLY = 1 << 20
"""Longest reply payload accepted, in bytes: more is a broken peer, not a result."""

_FRAME = struct.Struct("<B3xI")
_HELLO = struct.Struct("<IIQIIQ")
_DONE = struct.Struct("<QQII")
_EXCEPTION = struct.Struct("<IIQqII")

HEADER_SIZE = _FRAME.size


class SessionProtocolError(Exception):
    """The peer sent bytes that are not the session protocol, or said so of ours."""


@dataclass(frozen=True)
class Hello:
    """What a core device says about itself."""

    version: int
    coarse_mu: int
    """Machine units per coarse RTIO cycle."""
    unit_fs: int
    """Length of a machine unit in femtoseconds."""
    channels: int
    longest_program: int
    """In bytes."""
    counter: int
    """RTIO counter in machine units."""


@dataclass(frozen=True)
class Done:
    """A program's last event was submitted."""

    cursor: int
    counter: int
    async_errors: int
    """ASYNC_* bits reported while it ran."""
    results: tuple[int, ...]


@dataclass(frozen=True)
class Exceptional:
    """A program was stopped by an RTIO exception (one of EXCEPTION_*)."""

    kind: int
    channel: int
    timestamp: int
    slack: int
    operation: int
    """Index of the operation in the program, from 0."""


@dataclass(frozen=True)
class Refused:
    """The device does not accept the request."""

    text: str


Reply = Hello | Done | Exceptional | Refused


def encode_request(code: int, payload: bytes = b"") -> bytes:
    """A whole request frame."""
    return _FRAME.pack(code, len(payload)) + payload


def decode_header(header: bytes) -> tuple[int, int]:
    """(code, payload length) of a reply's first HEADER_SIZE bytes.

    Raises SessionProtocolError for an unknown code or a length no reply has."""
    code, length = _FRAME.unpack(header)
    if code not in (REPLY_HELLO, REPLY_DONE, REPLY_EXCEPTION, REPLY_ERROR) or header[1:4] != b"\0\0\0":
        raise SessionProtocolError(f"unknown reply {header.hex()}: is this the session port of a Corelog device?")
    if length > MAX_REPLY:
        raise SessionProtocolError(f"reply of {length} bytes is longer than the {MAX_REPLY} allowed")
    return code, length


def decode_reply(code: int, payload: bytes) -> Reply:
    """The reply with this code. Raises SessionProtocolError if the payload does not fit it."""
    try:
        if code == REPLY_HELLO:
            return Hello(*_HELLO.unpack(payload))
        if code == REPLY_DONE:
            cursor, counter, errors, count = _DONE.unpack_from(payload)
            results = struct.unpack_from(f"<{_results(payload, count)}Q", payload, _DONE.size)
            return Done(cursor, counter, errors, results)
        if code == REPLY_EXCEPTION:
            kind, channel, timestamp, slack, operation, _zero = _EXCEPTION.unpack(payload)
            return Exceptional(kind, channel, timestamp, slack, operation)
    except struct.error as error:
        raise SessionProtocolError(f"reply {code} of {len(payload)} bytes is malformed: {error}") from None
    if code == REPLY_ERROR:
        return Refused(payload.decode(errors="replace"))
    raise SessionProtocolError(f"unknown reply code {code}")


def _results(payload: bytes, count: int) -> int:
    if _DONE.size + 8 * count != len(payload):
        raise SessionProtocolError(f"Done of {len(payload)} bytes cannot hold {count} results")
    return count


class Program:
    """A program being written, operation by operation."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.operations = 0
        self.results = 0
        """Number of u64 results that a Done of this program carries."""
        self.forward = 0
        """Machine units by which delays and waits for input can move the cursor ahead: how long it may take."""
        self.latest_at: int | None = None
        """The latest time set by an At, if any."""
        self.inputs: set[int] = set()
        """Indices of the operations that read."""

    def __len__(self) -> int:
        """Length in bytes."""
        return len(self._data)

    def encode(self) -> bytes:
        """The payload of a Run request."""
        return bytes(self._data)

    def reset(self, slack: int) -> None:
        """RTIO reset; cursor = counter + slack; result: cursor."""
        self.forward += slack
        self._append("<BI", 1, slack, results=1)

    def break_realtime(self, slack: int) -> None:
        """cursor = max(cursor, counter + slack); result: cursor."""
        self.forward += slack
        self._append("<BI", 2, slack, results=1)

    def at(self, time: int) -> None:
        """cursor = time."""
        self.latest_at = max(self.latest_at or 0, time & MASK64)
        self._append("<BQ", 3, time & MASK64)

    def delay(self, duration: int) -> None:
        """cursor += duration, which may be negative."""
        self.forward += max(0, duration)
        self._append("<Bq", 4, _signed(duration))

    def output(self, channel: int, address: int, data: int) -> None:
        """Submits an event at the cursor."""
        _check_channel(channel)
        if not 0 <= address < 1 << 8:
            raise ValueError(f"no such RTIO target: channel 0x{channel:04x}, address {address}")
        self._append("<BII", 5, channel << 8 | address, data & 0xFFFFFFFF)

    def input(self, channel: int, until: int) -> None:
        """Waits for an event until cursor + until; results: timestamp (NO_EVENT if none), data."""
        self._read(channel, until)
        self._append("<BIq", 6, channel, _signed(until), results=2)

    def count(self, channel: int, until: int) -> None:
        """Counts the events until cursor + until; result: count."""
        self._read(channel, until)
        self._append("<BIq", 7, channel, _signed(until), results=1)

    def now(self) -> None:
        """Result: cursor."""
        self._append("<B", 8, results=1)

    def counter(self) -> None:
        """Result: RTIO counter."""
        self._append("<B", 9, results=1)

    def _read(self, channel: int, until: int) -> None:
        _check_channel(channel)
        self.inputs.add(self.operations)
        self.forward += max(0, until)

    def _append(self, layout: str, *fields: int, results: int = 0) -> None:
        try:
            self._data += struct.pack(layout, *fields)
        except struct.error as error:
            raise ValueError(f"session operation {fields}: {error}") from None
        self.operations += 1
        self.results += results


def _check_channel(channel: int) -> None:
    """Global number: DRTIO destination << 16 | channel there; destination 0 is the core device itself."""
    if not 0 <= channel < 1 << 24:
        raise ValueError(f"no such RTIO channel: {channel}")


def _signed(value: int) -> int:
    """The i64 with the same bits modulo 2^64."""
    value &= MASK64
    return value - (1 << 64) if value >> 63 else value
