"""The configuration store as bytes (protocols.md B.6): records one after the other, then `ff ff ff ff`.

A record is its size (u32, big endian, itself included), the key, a zero byte and the value. The last one of a key
counts; an empty value removes the key.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from corelog.flash.layout import SECTOR

SIZE = SECTOR  # the store is one sector
END = b"\xff\xff\xff\xff"


class StoreError(Exception):
    """An image cannot be made or read; `str()` is one line."""


def encode(records: Iterable[tuple[str, bytes]]) -> bytes:
    """The image for these keys and values. Raises StoreError for a bad key, one given twice, and too much."""
    image, seen = bytearray(), set()
    for key, value in records:
        name = key.encode(errors="replace")
        if not name or b"\0" in name or name.decode() != key:
            raise StoreError(f"{key!r} is no key: it is empty, holds a zero byte, or is not UTF-8")
        if key in seen:
            raise StoreError(f"the key {key} is given twice")
        seen.add(key)
        size = 5 + len(name) + len(value)
        if len(image) + size + len(END) > SIZE:
            room = SIZE - len(END) - len(image)
            raise StoreError(f"{key} takes {size} bytes, but {room} of the store's {SIZE} are left")
        image += struct.pack(">I", size) + name + b"\0" + value
    return bytes(image) + END


def decode(image: bytes) -> dict[str, bytes]:
    """The keys that are set, and their values. Raises StoreError for what no device could read."""
    if len(image) > SIZE:
        raise StoreError(f"a store has {SIZE} bytes at most, this has {len(image)}")
    found: dict[str, bytes] = {}
    pos = 0
    while len(image) - pos >= 4 and image[pos : pos + 4] != END:
        (size,) = struct.unpack_from(">I", image, pos)
        key, nul, value = image[pos + 4 : pos + size].partition(b"\0")
        if size < 5 or pos + size > len(image) or not nul or not key:
            raise StoreError(f"the record at byte {pos} is damaged")
        try:
            name = key.decode()
        except UnicodeDecodeError:
            raise StoreError(f"the key at byte {pos} is not text") from None
        found.pop(name, None)
        if value:
            found[name] = value
        pos += size
    if image[pos : pos + 4] != END and pos != SIZE:
        raise StoreError(f"the end of the list is missing at byte {pos}")
    return found
