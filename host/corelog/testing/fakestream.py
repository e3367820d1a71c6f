"""What one subscriber of the fake device gets, as bytes."""

from __future__ import annotations

import time
from typing import Protocol

from corelog.testing.ring import BootLog, BootReader, Kept
from corelog.wire import frames
from corelog.wire.frames import Boot, Cursor, From, Header, Heartbeat


class Source(Protocol):
    """What a stream needs of the device: present and previous boots by origin, and the time in us."""

    boots: dict[int, BootLog]
    previous: dict[int, BootLog]
    heartbeat: float

    def now(self) -> int: ...


class Stream:
    """What one subscriber gets, as bytes."""

    def __init__(
        self, device: Source, start: From, level: int, origins: set[int], cursors: dict[int, Cursor]
    ) -> None:
        self._device, self._start, self._level = device, start, level
        self._origins, self._cursors = origins, cursors
        self._readers: dict[int, list[tuple[BootReader, bool, bool]]] = {}  # origin -> (reader, previous, announced)
        self._beat = time.monotonic()

    def header(self) -> bytes:
        device, log = self._device, self._device.boots[0]
        cursor = self._cursors.get(0)
        known = {log.boot_id} | {b.boot_id for b in device.previous.values()}
        unknown = self._start == From.CURSORS and cursor is not None and cursor.boot_id not in known
        ahead = cursor is not None and cursor.boot_id == log.boot_id and cursor.seq > log.produced
        header = Header(log.boot_id, device.now(), log.oldest, log.produced, unknown, ahead)
        return frames.encode_header(header) + self.read()

    def _add(self, origin: int) -> None:
        """Starts an origin: which boots, and where in the first."""
        device, cursor = self._device, self._cursors.get(origin) if self._start == From.CURSORS else None
        logs = [(device.previous[origin], True)] if origin in device.previous else []
        logs.append((device.boots[origin], False))
        if self._start == From.NOW:
            log = device.boots[origin]
            self._readers[origin] = [(BootReader(log, origin, self._level, log.produced), False, False)]
            return
        boots = [log.boot_id for log, _ in logs]
        if cursor is not None and cursor.boot_id in boots:
            logs = logs[boots.index(cursor.boot_id) :]
            log, previous = logs.pop(0)
            seq, retained = cursor.seq, cursor.retained
            if seq > log.produced:
                seq, retained = log.produced, frames.RETAINED_UNKNOWN
            first = [(BootReader(log, origin, self._level, seq, retained), previous, False)]
            if previous and not first[0][0].behind:
                first = []  # there is nothing more of it
        else:
            first = []
        self._readers[origin] = first + [
            (BootReader(log, origin, self._level, log.oldest), previous, False) for log, previous in logs
        ]

    def read(self, limit: int = 512) -> bytes:
        """The next frames; empty if there are none now."""
        parts: list[bytes] = []
        for origin in list(self._device.boots):
            if self._origins and origin not in self._origins:
                continue
            if origin not in self._readers:
                self._add(origin)
            readers = self._readers[origin]
            while readers:
                reader, previous, announced = readers[0]
                if not announced:
                    readers[0] = (reader, previous, True)
                    log = reader.log
                    parts.append(frames.encode_boot(Boot(
                        origin, log.boot_id, log.oldest, log.produced, reader.seq,
                        reader.retained, previous, log.panicked)))  # fmt: skip
                parts += [i.frame if isinstance(i, Kept) else frames.encode_loss(i) for i in reader.read(limit)]
                if not previous or reader.behind:
                    break
                readers.pop(0)
        return b"".join(parts)

    def heartbeats(self) -> bytes:
        """Heartbeats, if they are due."""
        now = time.monotonic()
        if now - self._beat < self._device.heartbeat * 0.9:
            return b""
        self._beat = now
        return b"".join(
            frames.encode_heartbeat(Heartbeat(origin, self._device.now(), self._device.boots[origin].produced))
            for origin in self._readers
        )
