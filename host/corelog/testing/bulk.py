"""Record frames by the million, for measuring readers."""

from __future__ import annotations

import numpy as np

from corelog.wire.frames import Level, Record, encode_record

_DIGITS = 9


def records(
    count: int, first: int = 0, target: str = "runtime::mgmt", length: int = 60, level: int = Level.INFO
) -> bytes:
    """Frames of `count` records from seq `first` on, bodies `record NNNNNNNNN` padded with dots to `length` bytes.

    length: at least 16. None is an error or warning: `retained` stays 0.
    """
    body = f"record {0:0{_DIGITS}}".ljust(length, ".")
    frame = np.frombuffer(encode_record(Record(0, 0, level, target, body)), np.uint8)
    out = np.tile(frame, (count, 1))
    seq = np.arange(first, first + count, dtype=np.uint64)
    out[:, 8:16] = seq.astype("<u8").view(np.uint8).reshape(count, 8)
    out[:, 16:24] = (seq * np.uint64(2)).astype("<u8").view(np.uint8).reshape(count, 8)
    at = 40 + len(target) + len("record ")
    for i in range(_DIGITS):
        out[:, at + i] = 48 + seq // np.uint64(10 ** (_DIGITS - 1 - i)) % np.uint64(10)
    words = out.view("<u4")
    covered = np.delete(words, 1, axis=1)
    covered[:, 7] &= 0xFFFFFF00
    a = np.cumsum(covered, axis=1, dtype=np.uint32)
    b = a.sum(axis=1, dtype=np.uint32)
    last = a[:, -1]
    words[:, 1] = b ^ (last << np.uint32(16) | last >> np.uint32(16))
    return words.tobytes()
