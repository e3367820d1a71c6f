"""Naive models of a DRTIO link's lowest layers (docs/drtio.md, sections 1, 2 and 4), bit by bit and word by word."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

IDLE, AUX, AUX_LAST, START = 0xBC, 0x3C, 0x5C, 0x7C
FRAME_BYTES = 1024
RX_BUFFERS = 8


class Word(NamedTuple):
    """A word on the wire."""

    d: int
    k: int
    bad: bool = False


class Plain(NamedTuple):
    """A word before scrambling: symbol is its K symbol, None for a word of two D bytes."""

    symbol: int | None
    value: int


class BitScrambler:
    """x^23 + x^18 + 1, one bit at a time, least significant bit of a byte first."""

    def __init__(self, sent: Iterable[int] = (1,) * 23) -> None:
        self.sent = list(sent)

    def _byte(self, byte: int, descramble: bool) -> int:
        result = 0
        for n in range(8):
            given = byte >> n & 1
            made = given ^ self.sent[-18] ^ self.sent[-23]
            self.sent = [*self.sent[-22:], given if descramble else made]
            result |= made << n
        return result

    def bytes(self, given: Iterable[int], descramble: bool) -> bytes:
        return bytes(self._byte(byte, descramble) for byte in given)

    def word(self, d: int, k: int, descramble: bool = False) -> int:
        """The word d; with k its byte 0 is a K symbol."""
        low = d & 0xFF if k & 1 else self._byte(d & 0xFF, descramble)
        return low | self._byte(d >> 8, descramble) << 8


def encode(words: Iterable[Plain]) -> list[Word]:
    """What a transmitter sends after reset."""
    scrambler = BitScrambler()
    return [
        Word(scrambler.word(value, 0), 0) if symbol is None else Word(scrambler.word(symbol | value << 8, 1), 1)
        for symbol, value in words
    ]


class Received(NamedTuple):
    """What the link layer says of one word."""

    kind: str  # "idle", "start", "data", "aux", "last", "bad"; "" while down
    value: int
    up: bool   # after this word


class LinkModel:
    """The receiving side: one word at a time; None while rx_up is low."""

    def __init__(self) -> None:
        self.scrambler = BitScrambler()
        self.up = False
        self.good = 0
        self.in_packet = False
        self.window: list[bool] = []  # bad or not, from the window's first bad word on

    def word(self, word: Word | None) -> Received:
        if word is None:
            self.up, self.good, self.in_packet, self.window = False, 0, False, []
            return Received("", 0, False)
        kind, value = self._sort(word)
        self.in_packet = kind in ("start", "data")
        if self.up:
            if self.window or kind == "bad":
                self.window.append(kind == "bad")
            if sum(self.window) == 64:
                self.up, self.good, self.window = False, 0, []
            if len(self.window) == 256:
                self.window = []
            return Received(kind, value, self.up)
        self.good = 0 if kind == "bad" else self.good + 1
        if self.good >= 64 and kind == "idle":
            self.up = True
        return Received("", 0, self.up)

    def _sort(self, word: Word) -> tuple[str, int]:
        if word.bad:
            return "bad", 0
        d = self.scrambler.word(word.d, word.k, descramble=True)
        if word.k == 0:
            return ("data", d) if self.in_packet else ("bad", 0)
        if word.k != 1:
            return "bad", 0
        kind = {IDLE: "idle", AUX: "aux", AUX_LAST: "last", START: "start"}.get(d & 0xFF, "bad")
        return ("bad", 0) if kind == "bad" or (kind == "idle" and d >> 8) else (kind, d >> 8)


def frame(content: bytes) -> bytes:
    """An aux frame: id and fields, zeros, CRC."""
    padded = content + bytes((12 - len(content) % 8) % 8)
    return padded + zlib.crc32(padded).to_bytes(4, "little")


def whole(received: Sequence[int]) -> bool:
    size = len(received)
    crc = int.from_bytes(bytes(received[-4:]), "little")
    return 0 < size <= FRAME_BYTES and size % 8 == 0 and zlib.crc32(bytes(received[:-4])) == crc


@dataclass
class AuxModel:
    """Receive buffers: frames held, and those that were dropped."""

    held: list[bytes] = field(default_factory=list)
    corrupt: int = 0
    overflows: int = 0
    under_way: list[int] = field(default_factory=list)
    no_room: bool = False
    lost: bool = False

    def link(self, received: Received) -> None:
        """One word's worth of the link layer."""
        if received.kind in ("aux", "last"):
            if not self.under_way:
                self.no_room = len(self.held) == RX_BUFFERS
            self.under_way.append(received.value)
            if received.kind == "last":
                if not self.lost:
                    self._end()
                self.under_way, self.lost = [], False
        if self.under_way and not self.lost and (received.kind == "bad" or not received.up):
            self.corrupt += 1
            self.lost = True
        if not received.up:
            self.under_way, self.lost = [], False

    def _end(self) -> None:
        if not whole(self.under_way):
            self.corrupt += 1
        elif self.no_room:
            self.overflows += 1
        else:
            self.held.append(bytes(self.under_way))
