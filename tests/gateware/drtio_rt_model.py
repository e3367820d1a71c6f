"""Naive model of real-time packets, written from docs/drtio.md alone."""

from collections.abc import Iterable, Sequence

ECHO, SET_TIME, WRITE, SPACE_REQUEST, READ_REQUEST = range(5)
SPACE, READ_REPLY, READ_NO_EVENT = 1, 2, 3

# Bytes of every field.
TO_SATELLITE = {ECHO: (), SET_TIME: (8,), SPACE_REQUEST: (1, 1), READ_REQUEST: (3, 1, 8)}
FROM_SATELLITE = {ECHO: (), SPACE: (2, 2), READ_REPLY: (2, 8, 4), READ_NO_EVENT: (1, 1)}

# A word of the link's real-time side: (start, data), or None where there is none.
Word = tuple[bool, int] | None


def crc16(data: bytes) -> int:
    value = 0xFFFF
    for byte in data:
        for n in range(7, -1, -1):
            top = value >> 15
            value = value << 1 & 0xFFFF
            if top ^ (byte >> n & 1):
                value ^= 0x1021
    return value


def words(kind: int, payload: bytes) -> list[Word]:
    crc = crc16(bytes([kind]) + payload)
    body = [int.from_bytes(payload[n: n + 2], "little") for n in range(0, len(payload), 2)]
    return [(True, kind), *((False, word) for word in [*body, crc])]


def pack(sizes: Sequence[int], values: Sequence[int]) -> bytes:
    return b"".join(value.to_bytes(size, "little") for size, value in zip(sizes, values, strict=True))


def packet(kind: int, *values: int, to_satellite: bool = True) -> list[Word]:
    if to_satellite and kind == WRITE:
        time, channel, address, data = values
        extra = int(data > 0xFFFF)
        return words(kind, pack((8, 3, 1, 2, 2 + 2 * extra), (time, channel, address, extra, data)))
    return words(kind, pack((TO_SATELLITE if to_satellite else FROM_SATELLITE)[kind], values))


def length(kind: int, body: Sequence[int]) -> int | None:
    """Words after the start word, the CRC too, as far as they can be known from `body`; None: no packet has that."""
    if kind != WRITE:
        return sum(TO_SATELLITE[kind]) // 2 + 1
    if len(body) <= 6:
        return 9
    return 9 + body[6] if body[6] <= 1 else None


def receive(stream: Iterable[Word]) -> tuple[list[tuple[int, bytes]], int, int]:
    """Good packets to a satellite, and how many are corrupt and of unknown type."""
    good: list[tuple[int, bytes]] = []
    corrupt = unknown = 0
    kind: int | None = None  # of the packet under way
    body: list[int] = []
    excess_counts = False
    for word in [*stream, None]:
        start, data = word if word is not None else (False, None)
        if kind is not None and (word is None or start):
            corrupt += 1
            kind = None
        if word is None:
            excess_counts = False
            continue
        assert data is not None
        if start:
            body, excess_counts = [], False
            if data in (*TO_SATELLITE, WRITE):
                kind = data
            else:
                unknown += 1
            continue
        if kind is None:
            corrupt += excess_counts
            excess_counts = False
            continue
        body.append(data)
        size = length(kind, body)
        if size is None:
            corrupt += 1
            kind = None
        elif len(body) == size:
            payload = b"".join(part.to_bytes(2, "little") for part in body[:-1])
            if crc16(bytes([kind]) + payload) == data:
                good.append((kind, payload))
                excess_counts = True
            else:
                corrupt += 1
            kind = None
    return good, corrupt, unknown
