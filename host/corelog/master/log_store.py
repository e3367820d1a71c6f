"""The durable store of all log records: an SQLite file of blocks of records as `log_lines` keeps them.

Records are put from one thread and written by another, at once and then every COMMIT_INTERVAL. A record that is
committed survives the end of the process, however it comes; the system going down may take what it had not yet
written itself. Of a master that was killed at most the last COMMIT_INTERVAL is missing, which its successor says.

Tables: `blocks`, of records with successive numbers, the newest at most TAIL bytes and growing, the others packed.
`levels`, `origins` and `rids` may name more than is in a block, never less; a file of before there were origins is
given them, as unknown. `state`: whether a master uses the file.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from corelog.master import log_lines
from corelog.master.claim import claim

logger = logging.getLogger(__name__)

COMMIT_INTERVAL = 0.1
RETRY_INTERVAL = 1.0
TAIL = 16 * 1024
"""Size of a block from which on it is packed and a new one begun."""
HIGH_WATER = 32 * 1024 * 1024
"""Bytes that wait for the disk, from which on those who send records are made to wait."""
MOST_WAITING = 2 * HIGH_WATER
"""Bytes kept for a disk that takes none; what comes then is given up, which is said in its place."""
NUMBERS_APART = 1_000_000
"""Left free after a master that was killed, so that numbers it told to anybody do not come again."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, began REAL NOT NULL,
                                   ended REAL NOT NULL, levels INTEGER NOT NULL, packed INTEGER NOT NULL,
                                   data BLOB NOT NULL, origins INTEGER NOT NULL DEFAULT -1);
CREATE TABLE IF NOT EXISTS rids (rid INTEGER, first INTEGER, PRIMARY KEY (rid, first)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (in_use INTEGER NOT NULL);
"""


class Lines(NamedTuple):
    """Records of one time."""

    number: int
    time: float
    data: bytes
    records: int
    levels: int


@dataclass
class _Block:
    first: int
    count: int = 0
    began: float = float("inf")
    ended: float = float("-inf")
    levels: int = 0
    origins: int = 0
    rids: set[int] = field(default_factory=set)
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    time: float | None = None

    def add(self, lines: Lines) -> None:
        if lines.time != self.time:
            self.time = lines.time
            self.parts.append(log_lines.time_line(lines.time))
        self.parts.append(lines.data)
        self.count += lines.records
        self.began, self.ended = min(self.began, lines.time), max(self.ended, lines.time)
        self.levels |= lines.levels
        self.origins |= log_lines.origins_in(lines.data)
        self.rids |= log_lines.rids_in(lines.data)
        self.size += len(lines.data)

    def copy(self) -> _Block:
        return _Block(self.first, self.count, self.began, self.ended, self.levels, self.origins,
                      set(self.rids),                      [b"".join(self.parts)], self.size, self.time)


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection without transactions of its own making, usable from any one thread at a time."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA query_only = ON" if read_only else "PRAGMA synchronous = NORMAL")
    return connection


def used(connection: sqlite3.Connection) -> int:
    """Bytes of the file that are in use."""
    pages, free, page = (connection.execute(f"PRAGMA {name}").fetchone()[0]
                         for name in ("page_count", "freelist_count", "page_size"))
    size: int = (pages - free) * page
    return size


class LogStore:
    """Opened by its construction; sqlite3.Error if that fails. `limit` bounds the size of the records' file, in bytes.

    `next`: number of the next record. `committed`: number before which all that is kept can be read; `on_commit` is
    called from the writer's thread when that has grown. `lost` counts the records given up.
    """

    def __init__(self, path: str, limit: int, on_commit: Callable[[], None] = lambda: None) -> None:
        self.path, self.limit, self.on_commit = path, limit, on_commit
        # Two masters that write one store would give the same numbers twice.
        self._claim = claim(f"{path}-lock")
        self._connection = self._open()
        last = self._connection.execute("SELECT first + count FROM blocks ORDER BY first DESC LIMIT 1").fetchone()
        self.killed = self._connection.execute("SELECT in_use FROM state").fetchone() is not None
        """Whether the master before this one was killed."""
        self.next: int = (last[0] if last else 0) + (NUMBERS_APART if self.killed else 0)
        self.committed = self.next
        self.lost = 0
        self.failing = False
        self._queue: deque[Lines] = deque()
        self._bytes = 0
        self._missing_from: int | None = None
        self._lock = threading.Lock()
        self._wake, self._ends = threading.Event(), threading.Event()
        self._tail: _Block | None = None
        self._thread = threading.Thread(target=self._run, name="log store", daemon=True)

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if not os.path.isfile(self.path) or isinstance(error, sqlite3.OperationalError):
                raise
            aside = f"{self.path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
            os.rename(self.path, aside)
            logger.error("the log store %s is damaged (%s): kept as %s, a new one begins", self.path, error, aside)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self.path)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA journal_size_limit = 4194304")
            connection.executescript(_SCHEMA)
            if "origins" not in [column[1] for column in connection.execute("PRAGMA table_info(blocks)")]:
                connection.execute("ALTER TABLE blocks ADD COLUMN origins INTEGER NOT NULL DEFAULT -1")
        except BaseException:
            connection.close()
            raise
        return connection

    def start(self) -> None:
        """Begins to write; what was put before waits until then."""
        self._connection.execute("DELETE FROM state")
        self._connection.execute("INSERT INTO state VALUES (1)")
        self._thread.start()

    def stop(self) -> None:
        """Writes what waits, as far as the disk takes it, and closes the file."""
        if self._thread.is_alive():
            self._ends.set()
            self._wake.set()
            self._thread.join()
            if not self._queue:
                self._connection.execute("DELETE FROM state")
        self._connection.close()
        self._claim.close()

    def put(self, time: float, data: bytes, count: int, levels: int) -> int:
        """Takes records, for `levels` see log_lines; returns the first one's number. From one thread only."""
        number, self.next = self.next, self.next + count
        with self._lock:
            if self._bytes > MOST_WAITING:
                self.lost += count
                if self._missing_from is None:
                    self._missing_from = number
                return number
            self._say_missing(number, time)
            self._queue.append(Lines(number, time, data, count, levels))
            self._bytes += len(data)
        if not self._wake.is_set():
            self._wake.set()
        return number

    def has_room(self) -> bool:
        """Whether more can be sent. A disk that refuses does not hold up the log, a slow one does."""
        return self._bytes < HIGH_WATER or self.failing

    def _say_missing(self, number: int, time: float) -> None:
        """Puts a record in the place of those before `number` that were given up."""
        first, self._missing_from = self._missing_from, None
        if first is not None:
            text = (f"{number - first} records are missing here, numbers {first} to {number - 1}: "
                    "the log store could not be written")
            level = log_lines.LEVELS["ERROR"]
            data = log_lines.to_lines(level, "master", __name__, text)
            self._queue.append(Lines(first, time, data, 1, log_lines.level_bit(level)))
            self._bytes += len(data)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            ends = self._ends.is_set()
            with self._lock:
                if ends:
                    self._say_missing(self.next, time.time())
                taken = list(self._queue)
                self._queue.clear()
            try:
                self._write(taken)
            except (sqlite3.Error, OSError) as error:
                with self._lock:
                    self._queue.extendleft(reversed(taken))
                self._failed(error)
            else:
                self._written(taken)
            if ends:
                return
            if self._ends.wait(RETRY_INTERVAL if self.failing else COMMIT_INTERVAL) or self.failing:
                self._wake.set()

    def _failed(self, error: Exception) -> None:
        if not self.failing:
            self.failing = True
            logger.error("the log store %s cannot be written: %s; trying again", self.path, error)

    def _written(self, taken: list[Lines]) -> None:
        with self._lock:
            self._bytes -= sum(len(lines.data) for lines in taken)
        if taken:
            self.committed = taken[-1].number + taken[-1].records
        if self.failing:
            self.failing = False
            logger.warning("the log store %s is written again", self.path)
        self.on_commit()

    def _write(self, taken: list[Lines]) -> None:
        tail = self._tail.copy() if self._tail is not None else None
        blocks: list[_Block] = []
        for lines in taken:
            if tail is None or tail.size >= TAIL or tail.first + tail.count != lines.number:
                tail = _Block(lines.number)
                blocks.append(tail)
            elif not blocks:
                blocks.append(tail)
            tail.add(lines)
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        try:
            for block in blocks:
                data, packed = b"".join(block.parts), block.size >= TAIL
                run("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (block.first, block.count, block.began, block.ended, block.levels, packed,
                     zlib.compress(data, 1) if packed else data, block.origins))
                self._connection.executemany("INSERT OR IGNORE INTO rids VALUES (?, ?)",
                                             [(rid, block.first) for rid in block.rids])
            self._delete_oldest()
            run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                run("ROLLBACK")
            raise
        self._tail = tail

    def _delete_oldest(self) -> None:
        run = self._connection.execute
        while used(self._connection) > self.limit:
            rows = run("SELECT first FROM blocks ORDER BY first LIMIT 9").fetchall()
            if len(rows) < 2:
                return  # the newest is kept whatever its size
            end = rows[-1][0]
            run("DELETE FROM blocks WHERE first < ?", (end,))
            run("DELETE FROM rids WHERE first < ?", (end,))
