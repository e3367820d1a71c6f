"""Incremental parser of the record stream. Made for bulk: a run of records is decoded as columns, not one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from corelog.wire.errors import ProtocolError
from corelog.wire.frames import (
    FLAG_TRUNCATED,
    KIND_HEADER,
    KIND_RECORD,
    RECORD_HEAD,
    REFUSED,
    Boot,
    Clock,
    Header,
    Heartbeat,
    Level,
    Loss,
    Record,
    decode_control,
)

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
Column = npt.NDArray[np.integer[Any]]


class SubscribeRefused(ProtocolError):
    """The device answered Error to Subscribe."""


class Records:
    """A run of consecutive record frames, as columns of equal length. Iterating gives `Record`s.

    data: the bytes that hold the frames; starts: offset of each in data. `damaged`: the checksum does not fit.
    """

    __slots__ = ("data", "starts", "words")

    def __init__(self, data: bytes, starts: npt.NDArray[np.int64], words: U32) -> None:
        self.data = data
        self.starts = starts
        self.words = words  # (records, 11): the 10 words of each head, and 1 if damaged

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, part: slice) -> Records:
        return Records(self.data, self.starts[part], self.words[part])

    @property
    def level(self) -> Column:
        return (self.words[:, 0] >> 8) & 0xFF

    @property
    def seq(self) -> U64:
        return _u64(self.words, 2)

    @property
    def time(self) -> U64:
        return _u64(self.words, 4)

    @property
    def retained(self) -> Column:
        return self.words[:, 6]

    @property
    def repeat(self) -> Column:
        return self.words[:, 7]

    @property
    def origin(self) -> Column:
        return self.words[:, 8] & 0xFF

    @property
    def encoding(self) -> Column:
        return (self.words[:, 8] >> 8) & 0xFF

    @property
    def target_length(self) -> Column:
        return (self.words[:, 8] >> 16) & 0xFF

    @property
    def flags(self) -> Column:
        return self.words[:, 8] >> 24

    @property
    def body_length(self) -> Column:
        return self.words[:, 9] & 0xFFFF

    @property
    def damaged(self) -> Column:
        return self.words[:, 10]

    def only_origin(self) -> int:
        """Of all of a run that a Tracker gave; of any other run, of its first record."""
        return int(self.words[0, 8]) & 0xFF

    def last_body(self) -> bytes:
        """Text of the last record, as it came."""
        at = int(self.starts[-1]) + RECORD_HEAD + int(self.target_length[-1])
        return self.data[at : at + int(self.body_length[-1])]

    def with_seq(self, index: int, seq: int) -> None:
        """Gives a damaged record the number that its place implies."""
        self.words[index, 2] = seq & 0xFFFFFFFF
        self.words[index, 3] = seq >> 32

    def __iter__(self) -> Iterator[Record]:
        data = self.data
        columns = (self.starts, self.seq, self.time, self.level, self.origin, self.retained, self.repeat,
                   self.encoding, self.flags, self.target_length, self.body_length, self.damaged)  # fmt: skip
        rows = zip(*(c.tolist() for c in columns), strict=True)
        for start, seq, time, level, origin, retained, repeat, encoding, flags, t_len, b_len, damaged in rows:
            at = start + RECORD_HEAD
            target, bad_target = _text(data[at : at + t_len])
            body, bad_body = _text(data[at + t_len : at + t_len + b_len])
            yield Record(seq, time, level, target, body, origin, retained, repeat, encoding,
                         bool(flags & FLAG_TRUNCATED), bool(damaged), bad_target or bad_body)  # fmt: skip


Item = Records | Header | Loss | Boot | Heartbeat | Clock
Frame = Record | Header | Loss | Boot | Heartbeat | Clock


def frames(items: Iterable[Item]) -> Iterator[Frame]:
    """The items with the runs of records taken apart."""
    for item in items:
        if isinstance(item, Records):
            yield from item
        else:
            yield item


def _u64(words: U32, column: int) -> U64:
    return words[:, column].astype(np.uint64) | (words[:, column + 1].astype(np.uint64) << np.uint64(32))


def _text(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return data.decode(errors="backslashreplace"), True


class Parser:
    """Feed it what the socket gives, in any portions; it gives whole frames. Holds less than one frame (64 KiB).

    The first bytes must be the answer to Subscribe: a header, or Error, which raises SubscribeRefused.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._started = False

    def feed(self, data: bytes) -> list[Item]:
        """Returns the frames that are complete now. Raises ProtocolError (the parser is then of no further use)."""
        if self._rest:
            data = self._rest + data
        if not self._started and data:
            if data[0] == REFUSED:
                raise SubscribeRefused("the device refused the subscription")
            if data[0] != KIND_HEADER:
                raise ProtocolError(f"the stream begins with byte {data[0]:#04x}, not with a header")
            self._started = True
        starts, lengths, end = _walk(data)
        self._rest = data[end:]
        if not starts:
            return []
        return _decode(data, end, starts, lengths)


def _walk(data: bytes) -> tuple[list[int], list[int], int]:
    """Starts and lengths of the whole frames, and where they end."""
    half_words = memoryview(data)[: len(data) & ~3].cast("H")
    starts: list[int] = []
    lengths: list[int] = []
    pos, last, end = 0, len(data) - 4, len(data)
    while pos <= last:
        length = half_words[(pos >> 1) + 1]
        if length & 3 or not length:
            raise ProtocolError(f"frame of {length} bytes")
        if pos + length > end:
            break
        starts.append(pos)
        lengths.append(length)
        pos += length
    return starts, lengths, pos


def _decode(data: bytes, end: int, starts: list[int], lengths: list[int]) -> list[Item]:
    words = np.frombuffer(data, "<u4", end >> 2)
    at = np.array(starts, np.int64)
    is_record = (words[at >> 2] & 0xFF) == KIND_RECORD
    items: list[Item] = []
    done = 0
    for other in [*np.flatnonzero(~is_record).tolist(), len(starts)]:
        if other > done:
            items.append(_records(data, words, at[done:other], np.array(lengths[done:other], np.int64)))
        if other < len(starts):
            item = decode_control(data, starts[other], lengths[other])
            if item is not None:
                items.append(item)
        done = other + 1
    return items


_COLUMNS = np.arange(RECORD_HEAD // 4)


def _records(data: bytes, words: U32, at: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Records:
    if lengths.min() < RECORD_HEAD:
        raise ProtocolError(f"record frame of {lengths.min()} bytes, shorter than its head")
    first = at >> 2
    head = np.empty((len(at), RECORD_HEAD // 4 + 1), np.uint32)
    head[:, :-1] = words[first[:, None] + _COLUMNS]
    run = Records(data, at, head)
    text = run.target_length.astype(np.int64) + run.body_length
    if not np.array_equal((text + (RECORD_HEAD + 3)) & ~3, lengths):
        raise ProtocolError("record frame whose length does not fit its text")
    levels = run.level
    if levels.min() < Level.ERROR or levels.max() > Level.TRACE:
        raise ProtocolError("record of an unknown level")
    head[:, -1] = _checksums(words, first, lengths >> 2) != head[:, 1]
    return run


def _checksums(words: U32, first: npt.NDArray[np.int64], count: npt.NDArray[np.int64]) -> U32:
    """Checksums of the record frames that stand at words `first`, one after the other, each of `count` words.

    With A the running sum of all words and B the running sum of A, the sums of one frame are differences: a is the
    difference of A over the frame, b that of B less `count` times A before the frame. All modulo 2^32.
    """
    base, stop = int(first[0]), int(first[-1] + count[-1])
    w = words[base:stop].copy()
    start = first - base
    w[start + 1] = 0
    w[start + 8] &= 0xFFFFFF00
    size = len(w)
    sums = np.zeros(size + 1, np.uint32)
    np.cumsum(w, out=sums[1:], dtype=np.uint32)
    double = np.zeros(size + 1, np.uint32)
    np.cumsum(sums[1:], out=double[1:], dtype=np.uint32)
    n = count.astype(np.uint32)
    a = sums[start + count] - sums[start]
    # a zero in the checksum's place adds the sum so far, which is the first word, once too often to b
    b = double[start + count] - double[start] - n * sums[start] - w[start]
    return b ^ (a << np.uint32(16) | a >> np.uint32(16))
