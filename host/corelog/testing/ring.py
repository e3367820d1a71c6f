"""A naive model of the device's record store: what it keeps, per boot, and how a reader walks through it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from corelog.wire.frames import RETAINED_UNKNOWN, Level, Loss, Record, encode_raw_record


@dataclass(slots=True)
class Kept:
    """A record and its frame."""

    record: Record
    frame: bytes


@dataclass(slots=True)
class BootLog:
    """Records of one boot of one origin; of each lane (errors and warnings; the rest) the newest `capacity` are kept.

    `produced` counts all; `warnings` the errors and warnings among them.
    """

    boot_id: int
    capacity: int = 1 << 30
    panicked: bool = False
    produced: int = 0
    warnings: int = 0
    kept: dict[int, Kept] = field(default_factory=dict)
    _lanes: tuple[deque[int], deque[int]] = field(default_factory=lambda: (deque(), deque()))

    @property
    def oldest(self) -> int:
        return next(iter(self.kept), self.produced)

    def write(
        self, level: int, target: bytes, body: bytes, time: int, origin: int, repeat: int = 0, truncated: bool = False
    ) -> Record:
        """Appends a record; target and body may be any bytes."""
        record = Record(
            self.produced, time, level, target.decode(errors="replace"), body.decode(errors="replace"), origin,
            self.warnings & 0xFFFFFFFF, repeat, truncated=truncated,
        )  # fmt: skip
        self.kept[record.seq] = Kept(record, encode_raw_record(record, target, body))
        lane = self._lanes[level <= Level.WARN]
        lane.append(record.seq)
        if len(lane) > self.capacity:
            del self.kept[lane.popleft()]
        self.produced += 1
        self.warnings += level <= Level.WARN
        return record

    def warnings_before(self, seq: int) -> int | None:
        """Errors and warnings before `seq`; None where it cannot be told any more."""
        if seq >= self.produced:
            return self.warnings
        return self.kept[seq].record.retained if seq in self.kept else 0 if seq == 0 else None


@dataclass(slots=True)
class BootReader:
    """A subscriber's place in one boot."""

    log: BootLog
    origin: int
    level: int
    seq: int
    retained: int = RETAINED_UNKNOWN

    def __post_init__(self) -> None:
        if self.retained == RETAINED_UNKNOWN:
            before = self.log.warnings_before(self.seq)
            self.retained = RETAINED_UNKNOWN if before is None else before

    @property
    def behind(self) -> bool:
        return self.seq < self.log.produced

    def read(self, limit: int) -> list[Kept | Loss]:
        """The next at most `limit` records and the losses between them."""
        out: list[Kept | Loss] = []
        count = 0
        while self.behind and count < limit:
            if self.seq in self.log.kept:
                item = self.log.kept[self.seq]
                self.retained = item.record.retained + (item.record.level <= Level.WARN)
                self.seq += 1
                count += 1
                if item.record.level <= self.level:
                    out.append(item)
            else:
                out.append(self._loss())
        return out

    def _loss(self) -> Loss:
        first = self.seq
        while self.behind and self.seq not in self.log.kept:
            self.seq += 1
        after = self.log.warnings_before(self.seq)
        count = self.seq - first
        exact = after is not None and self.retained != RETAINED_UNKNOWN
        lost = after - self.retained if after is not None and exact else count
        self.retained = after if after is not None else RETAINED_UNKNOWN
        return Loss(self.origin, first, count, lost, exact)
