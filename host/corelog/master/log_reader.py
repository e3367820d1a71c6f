"""Reads the store of log records in pages; the RPC target `log_store`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import zlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

from corelog.master import log_lines
from corelog.master.log_store import LogStore, connect, used

MOST_RECORDS = 5000
MOST_CHARACTERS = 4 * 1024 * 1024
MOST_SCANNED = 50_000
"""Records looked at for one page: a question that few records answer takes several pages, some of them empty."""
LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Selection:
    """Which records are wanted: all that meet every condition that is not None."""

    since: float | None = None
    until: float | None = None
    level: int | None = None
    rid: int | None = None
    source: str | None = None
    contains: str | None = None
    origin: int | None = None

    def __post_init__(self) -> None:
        kinds: list[tuple[str, Any]] = [("since", (int, float)), ("until", (int, float)), ("level", int), ("rid", int),
                                        ("source", str), ("contains", str), ("origin", int)]
        for name, kind in kinds:
            value = getattr(self, name)
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                raise ValueError(f"{name} is not of the right type: {value!r}")
        if self.rid is not None and not 0 <= self.rid < 1 << 63:
            raise ValueError(f"no RID: {self.rid}")
        if self.origin is not None and not 0 <= self.origin < 256:
            raise ValueError(f"no DRTIO destination: {self.origin}")

    def takes(self, record: log_lines.Record) -> bool:
        """Whether a record is wanted."""
        return ((self.since is None or record.time >= self.since)
                and (self.until is None or record.time <= self.until)
                and (self.level is None or record.level >= self.level)
                and (self.source is None or record.source == self.source)
                and (self.contains is None or self.contains in f"{record.name}:{record.message}")
                and (self.rid is None or self.rid in record.rids())
                and (self.origin is None or self.origin == record.origin()))

    def blocks(self, start: int) -> tuple[str, list[Any]]:
        """Query for the blocks that may hold such records, from number `start` on."""
        conditions: list[str] = ["first >= ifnull((SELECT max(first) FROM blocks WHERE first <= ?), 0)"]
        values: list[Any] = [start]
        for condition, value in (("ended >= ?", self.since), ("began <= ?", self.until),
                                 ("first IN (SELECT first FROM rids WHERE rid = ?)", self.rid),
                                 ("origins & ?",
                                  None if self.origin is None else log_lines.origin_bit(self.origin)),
                                 ("levels & ?", None if self.level is None else log_lines.level_bits(self.level))):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        return (f"SELECT first, count, ended, packed, data FROM blocks WHERE {' AND '.join(conditions)} ORDER BY first",
                values)


class LogReader:
    """The store of log records: every record since the store began, as far back as its limit of size reaches."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._connection = connect(store.path, read_only=True)
        self._committed = asyncio.Event()

    def committed(self) -> None:
        """To be called, in the event loop, when records have become readable."""
        self._committed.set()
        self._committed = asyncio.Event()

    def close(self) -> None:
        """Ends the use of the store's file."""
        with self._lock:
            self._connection.close()

    async def read(self, start: int = 0, limit: int = 1000, wait: float = 0.0, since: float | None = None,
                   until: float | None = None, level: int | None = None, rid: int | None = None,
                   source: str | None = None, contains: str | None = None, origin: int | None = None) -> dict[str, Any]:
        """A page of at most `limit` records (5000 at most), in order, of number `start` or later.

        `since`, `until`: Unix time; `level`: the lowest; `rid`: records of that run, and core device errors during
        it; `contains`: text in "name:message"; `origin`: records of that core device (0) or satellite (its DRTIO
        destination). `wait`: seconds to wait (60 at most) if there are none yet.

        Returns "records", each a dict of number, time (of arrival), level, source, name, message, and where there are
        such: rids; of a core device's record origin, boot_id, seq, device_us (microseconds since its boot), host_time
        (Unix time of that), core_us (the same in the core device's time) and uncertainty_ns of it; "next", the `start`
        of the next page; "end", whether that is all there is at present.
        """
        selection = Selection(since, until, level, rid, source, contains, origin)
        start, limit = max(0, int(start)), max(1, min(int(limit), MOST_RECORDS))
        deadline = asyncio.get_running_loop().time() + (min(wait, LONGEST_WAIT) if wait > 0 else 0.0)
        while True:
            committed = self._committed
            page = await asyncio.to_thread(self._page, selection, start, limit)
            left = deadline - asyncio.get_running_loop().time()
            if page["records"] or not page["end"] or left <= 0:
                return page
            start = page["next"]
            try:
                async with asyncio.timeout(left):
                    await committed.wait()
            except TimeoutError:
                return page

    async def status(self) -> dict[str, Any]:
        """"first", "next": numbers of the oldest record kept and of the next one; "since": the oldest one's time;
        "size", "limit": bytes; "lost": records that the disk did not take; "failing": whether it does now."""
        def ask() -> dict[str, Any]:
            with self._lock:
                oldest = self._connection.execute("SELECT first, began FROM blocks ORDER BY first LIMIT 1").fetchone()
                size = used(self._connection)
            store = self._store
            return {"first": oldest[0] if oldest else store.committed, "since": oldest[1] if oldest else None,
                    "next": store.committed, "size": size, "limit": store.limit, "lost": store.lost,
                    "failing": store.failing}

        return await asyncio.to_thread(ask)

    def _page(self, selection: Selection, start: int, limit: int) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        end = self._store.committed
        scanned = characters = 0
        with self._lock, contextlib.closing(self._scan(selection, start)) as records:
            for record in records:
                if selection.takes(record):
                    found.append(record.fields())
                    characters += len(record.message)
                scanned += 1
                following = record.number + 1
                if len(found) >= limit or characters >= MOST_CHARACTERS or scanned >= MOST_SCANNED:
                    return {"records": found, "next": following, "end": following >= end}
                end = max(end, following)
        return {"records": found, "next": max(start, end), "end": True}

    def _scan(self, selection: Selection, start: int) -> Generator[log_lines.Record, None, None]:
        query, values = selection.blocks(start)
        with contextlib.closing(self._connection.execute(query, values)) as blocks:
            for first, count, ended, packed, data in blocks:
                if first + count > start:
                    for record in _records(first, count, ended, packed, data):
                        if record.number >= start:
                            yield record


def _records(first: int, count: int, ended: float, packed: int, data: bytes) -> Iterable[log_lines.Record]:
    try:
        return list(log_lines.parse(zlib.decompress(data) if packed else data, first))
    except (zlib.error, ValueError, RuntimeError) as error:
        text = f"{count} records are damaged in the store, numbers {first} to {first + count - 1}: {error!r}"
        return [log_lines.Record(first, ended, log_lines.LEVELS["ERROR"], "master", __name__, text)]
