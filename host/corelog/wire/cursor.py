"""Keeps a subscriber's place in every origin's record stream, and holds the stream to the law:

    records delivered + records declared lost = next seq - start seq, for each boot of each origin.

A gap that the device did not declare becomes a Loss with `declared` False; a record seen before is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from corelog.wire.errors import ProtocolError
from corelog.wire.frames import RETAINED_UNKNOWN, Boot, Cursor, Header, Level, Loss
from corelog.wire.stream import Item, Records


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The device does not keep boot `boot_id` any more: what was written in it from `seq` on, if anything, is lost."""

    origin: int
    boot_id: int
    seq: int


@dataclass(slots=True)
class Place:
    """Place in one boot of one origin: `seq` is the next record wanted, `retained` the errors and warnings before it.

    `delivered` and `lost` count from `start`; `end` is where a previous boot ended, None while the boot goes on.
    """

    boot_id: int
    seq: int
    retained: int = RETAINED_UNKNOWN
    start: int = 0
    delivered: int = 0
    lost: int = 0
    previous: bool = False
    end: int | None = None

    def moved(self, seq: int, retained: int) -> None:
        self.seq, self.retained = seq, retained


@dataclass(slots=True)
class Tracker:
    """Feed it the parser's items. `places`: origin -> Place. `min_level` below TRACE: gaps are records not wanted."""

    min_level: int = Level.TRACE
    places: dict[int, Place] = field(default_factory=dict)
    duplicates: int = 0
    _live: set[int] = field(default_factory=set)
    _core_boot_unknown: bool = False  # as the header says

    def cursors(self) -> list[Cursor]:
        """Cursors to resume at."""
        return [Cursor(origin, p.boot_id, p.seq, p.retained) for origin, p in sorted(self.places.items())]

    def restore(self, cursors: Iterable[Cursor]) -> None:
        """Starts from saved cursors."""
        self.places = {c.origin: Place(c.boot_id, c.seq, c.retained, start=c.seq) for c in cursors}

    def connected(self) -> None:
        """A new subscription begins: nothing may come of an origin before its boot frame."""
        self._live.clear()

    def feed(self, items: Iterable[Item]) -> list[Item | Forgotten]:
        """Returns the items with duplicates taken out and undeclared gaps put in. Raises ProtocolError.

        Every run of records in the result is of one origin.
        """
        out: list[Item | Forgotten] = []
        for item in items:
            if isinstance(item, Records):
                self._records(item, out)
            elif isinstance(item, Loss):
                self._loss(item, out)
            elif isinstance(item, Boot):
                self._boot(item, out)
            else:
                if isinstance(item, Header):
                    self._core_boot_unknown = item.boot_unknown
                out.append(item)
        return out

    def _place(self, origin: int) -> Place:
        if origin not in self._live:
            raise ProtocolError(f"records of origin {origin} before its boot frame")
        return self.places[origin]

    def _boot(self, boot: Boot, out: list[Item | Forgotten]) -> None:
        old = self.places.get(boot.origin)
        live = boot.origin in self._live
        self._live.add(boot.origin)
        end = boot.next_seq if boot.previous else None
        if old is not None and old.boot_id == boot.boot_id:
            if live or boot.start_seq > old.seq:
                self._gap(old, boot.origin, boot.start_seq, out)
            if boot.start_seq < old.seq:  # only where our cursor was ahead of the device
                old.moved(boot.start_seq, boot.start_retained)
                old.start, old.delivered, old.lost = boot.start_seq, 0, 0
            elif old.retained == RETAINED_UNKNOWN:
                old.retained = boot.start_retained
            old.previous, old.end = boot.previous, end
        else:
            if old is not None and old.end is not None:
                self._gap(old, boot.origin, old.end, out)
            elif old is not None and (live or boot.boot_unknown or (boot.origin == 0 and self._core_boot_unknown)):
                # a device that knows the boot of our cursor, and sends nothing of it, has nothing more of it
                out.append(Forgotten(boot.origin, old.boot_id, old.seq))
            self.places[boot.origin] = Place(
                boot.boot_id, boot.start_seq, boot.start_retained, boot.start_seq, previous=boot.previous, end=end
            )
        out.append(boot)

    def _gap(self, place: Place, origin: int, to: int, out: list[Item | Forgotten]) -> None:
        """Records up to `to` will not come."""
        missing = to - place.seq
        if missing <= 0:
            return
        if self.min_level >= Level.TRACE:
            place.lost += missing
            out.append(Loss(origin, place.seq, missing, missing, exact=False, declared=False))
        place.moved(to, RETAINED_UNKNOWN)

    def _loss(self, loss: Loss, out: list[Item | Forgotten]) -> None:
        place = self._place(loss.origin)
        end = loss.seq + loss.count
        if end <= place.seq:
            self.duplicates += loss.count
            return
        self._gap(place, loss.origin, loss.seq, out)
        known = place.retained != RETAINED_UNKNOWN and loss.exact
        place.lost += end - place.seq
        place.moved(end, place.retained + loss.retained if known else RETAINED_UNKNOWN)
        out.append(loss)

    def _records(self, run: Records, out: list[Item | Forgotten]) -> None:
        origins = run.origin
        begin = 0
        for end in [*(np.flatnonzero(origins[1:] != origins[:-1]) + 1).tolist(), len(run)]:
            self._of_one_origin(run[begin:end], int(origins[begin]), out)
            begin = end

    def _of_one_origin(self, run: Records, origin: int, out: list[Item | Forgotten]) -> None:
        place = self._place(origin)
        if run.damaged.any():
            self._number_damaged(run, place)
        seq = run.seq
        n = len(run)
        if int(seq[0]) == place.seq and int(seq[-1]) == place.seq + n - 1 and (n == 1 or (np.diff(seq) == 1).all()):
            self._deliver(run, place, out)
            return
        begin = 0
        for end in [*(np.flatnonzero(np.diff(seq) != 1) + 1).tolist(), n]:
            part = run[begin:end]
            begin = end
            known = place.seq - int(seq[end - len(part)])
            if known > 0:
                self.duplicates += min(known, len(part))
                part = part[known:]
            if len(part):
                self._gap(place, origin, int(part.seq[0]), out)
                self._deliver(part, place, out)

    def _deliver(self, run: Records, place: Place, out: list[Item | Forgotten]) -> None:
        last = len(run) - 1
        before = int(run.retained[last])
        if place.retained != RETAINED_UNKNOWN:  # the field has 32 bits only
            before += place.retained & ~0xFFFFFFFF
            if before < place.retained:
                before += 1 << 32
        place.delivered += len(run)
        damaged = bool(run.damaged[last])
        after = RETAINED_UNKNOWN if damaged else before + (int(run.level[last]) <= Level.WARN)
        place.moved(int(run.seq[last]) + 1, after)
        out.append(run)

    @staticmethod
    def _number_damaged(run: Records, place: Place) -> None:
        """A damaged record's number cannot be trusted: it is the one after the record before it."""
        for i in np.flatnonzero(run.damaged).tolist():
            run.with_seq(i, int(run.seq[i - 1]) + 1 if i else place.seq)
