"""Core device management: requests, and a parser of replies. Existing codes 1 to 15, ours from 0x40.

The byte order is the device's (`e` little, `E` big); strings and bytes are a 32-bit length and that many bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from corelog.wire.errors import ProtocolError

PORT = 1380
MAGIC = b"ARTIQ management\n"
LONGEST_REPLY = 64 << 20  # a whole flash is 16 MiB


class Request(IntEnum):
    GET_LOG = 1
    CLEAR_LOG = 2
    REBOOT = 5
    PULL_LOG = 7
    DEBUG_ALLOCATOR = 8
    FLASH = 9
    CONFIG_READ = 12
    CONFIG_WRITE = 13
    CONFIG_REMOVE = 14
    CONFIG_ERASE = 15
    IDENTIFY = 0x40
    SUBSCRIBE = 0x41
    DEBUG = 0x42


class Reply(IntEnum):
    SUCCESS = 1
    LOG_CONTENT = 2
    REBOOT_IMMINENT = 3
    UNAVAILABLE = 4
    ERROR = 6
    CONFIG_DATA = 7
    IDENTITY = 0x40


class Capability(IntFlag):
    SUBSCRIBE = 1
    DEBUG = 2
    SESSION = 4
    DRTIO = 8


class DebugKind(IntEnum):
    PANIC = 0
    FLOOD = 1
    BENCH = 2


@dataclass(frozen=True, slots=True)
class Identity:
    """Answer to Identify. `uptime` in us."""

    board_id: int
    boot_id: int
    uptime: int
    capabilities: int
    gateware: str
    firmware: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed reply: its code and payload (LogContent, ConfigData: bytes; Identify: Identity; else None)."""

    code: Reply
    payload: bytes | Identity | None = None


def byte_order(answer: bytes) -> str:
    """struct's sign for the byte the device answers the magic with. Raises ProtocolError."""
    if answer == b"e":
        return "<"
    if answer == b"E":
        return ">"
    raise ProtocolError("Incorrect reply from device: expected e/E.")


def greeting(destination: int = 0) -> bytes:
    """What a client sends first."""
    return MAGIC + bytes([destination])


def blob(data: bytes, order: str = "<") -> bytes:
    """A `bytes` or `string` field. Raises ValueError above 2^31 - 1 bytes (upstream reads the length as signed)."""
    if len(data) > 0x7FFFFFFF:
        raise ValueError("longer than 2 GiB")
    return struct.pack(order + "I", len(data)) + data


def request(code: Request, *fields: bytes, order: str = "<") -> bytes:
    """A request whose fields are all strings or bytes."""
    return bytes([code]) + b"".join(blob(f, order) for f in fields)


def debug_request(
    kind: DebugKind, *, level: int = 3, body_length: int = 0, count: int = 0, warn_every: int = 0, interval: int = 0
) -> bytes:
    """Debug; `interval` in us. Raises ValueError when a number does not fit its field."""
    try:
        return struct.pack("<BBBBHHIII", Request.DEBUG, kind, level, 0, body_length, 0, count, warn_every, interval)
    except struct.error as exc:
        raise ValueError(f"debug request: {exc}") from exc


Reader = Generator[int, bytes, Answer]


def read_reply(order: str = "<") -> Reader:
    """Reads one reply without I/O: yields how many bytes it needs next, is sent exactly those, returns the Answer.

    Raises ProtocolError for an unknown code, an absurd length or text that is not UTF-8.
    """
    code = (yield 1)[0]
    if code in (Reply.SUCCESS, Reply.REBOOT_IMMINENT, Reply.UNAVAILABLE, Reply.ERROR):
        return Answer(Reply(code))
    if code in (Reply.LOG_CONTENT, Reply.CONFIG_DATA):
        return Answer(Reply(code), (yield from _blob(order)))
    if code == Reply.IDENTITY:
        board, boot, uptime, caps = struct.unpack("<QQQI", (yield 28))
        gateware = _utf8((yield from _blob("<")))
        firmware = _utf8((yield from _blob("<")))
        return Answer(Reply.IDENTITY, Identity(board, boot, uptime, caps, gateware, firmware))
    raise ProtocolError(f"Incorrect reply from device: {code}")


def _blob(order: str) -> Generator[int, bytes, bytes]:
    (length,) = struct.unpack(order + "I", (yield 4))
    if length > LONGEST_REPLY:
        raise ProtocolError(f"Incorrect reply from device: {length} bytes announced")
    return (yield length) if length else b""


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise ProtocolError("Incorrect reply from device: text is not UTF-8") from exc


def parse_reply(data: bytes, order: str = "<") -> tuple[Answer, bytes] | None:
    """The first reply in `data` and what follows it; None if it is not whole yet. Raises ProtocolError."""
    reader = read_reply(order)
    need = next(reader)
    pos = 0
    while len(data) - pos >= need:
        part, pos = data[pos : pos + need], pos + need
        try:
            need = reader.send(part)
        except StopIteration as done:
            return done.value, data[pos:]
    return None


def flash_image(components: list[bytes], order: str = "<") -> bytes:
    """Image of Flash: gateware, bootloader and firmware (each with its length), or one `boot.bin` alone; then CRC-32.

    Components carry no label on the wire, so a missing one would be written to another's place: anything but three
    or one is a ValueError, as is an empty one.
    """
    if len(components) not in (1, 3):
        raise ValueError("an image is gateware, bootloader and firmware, all three, or a boot.bin alone")
    if not all(components):
        raise ValueError("a component of the image is empty")
    body = components[0] if len(components) == 1 else b"".join(blob(c, order) for c in components)
    return body + struct.pack(order + "I", zlib.crc32(body))


def identity_reply(i: Identity) -> bytes:
    """The reply's bytes, for fakes and tests."""
    head = struct.pack("<BQQQI", Reply.IDENTITY, i.board_id, i.boot_id, i.uptime, i.capabilities)
    return head + blob(i.gateware.encode()) + blob(i.firmware.encode())
