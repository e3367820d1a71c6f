"""What one subscriber of the fake device gets, as bytes."""

from __future__ import annotations

import time
from typing import Protocol

from corelog.testing.ring import BootLog, BootReader, Kept
from corelog.wire import frames
from corelog.wire.frames import Boot, Clock, Cursor, From, Header, Heartbeat

UNIT_FS = 1_000_000  # 1 ns


class Source(Protocol):
    """What a stream needs of the device: present and previous boots by origin, the time in us of each, the origins
    that are synchronised to the RTIO counter, and the satellites whose link is down."""

    boots: dict[int, BootLog]
    previous: dict[int, BootLog]
    heartbeat: float
    synchronised: set[int]
    down: set[int]

    def now(self, origin: int = 0) -> int: ...
    def clock(self, origin: int) -> tuple[int, int]: ...


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
        unknown = self._unknown(0)
        ahead = cursor is not None and cursor.boot_id == log.boot_id and cursor.seq > log.produced
        header = Header(log.boot_id, device.now(), log.oldest, log.produced, unknown, ahead)
        return frames.encode_header(header) + self.read()

    def _unknown(self, origin: int) -> bool:
        """Whether the subscriber's cursor is in a boot that the device does not keep."""
        device, cursor = self._device, self._cursors.get(origin)
        logs = [log for log in (device.boots.get(origin), device.previous.get(origin)) if log is not None]
        return self._start == From.CURSORS and cursor is not None and cursor.boot_id not in [x.boot_id for x in logs]

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

    def _rebooted(self, origin: int) -> None:
        """The origin has booted since it was read last: first the rest of the old boot, if it is kept."""
        readers, kept = self._readers[origin], self._device.previous.get(origin)
        rest = [(reader, True, False) for reader, _, _ in readers if reader.log is kept and reader.behind]
        new = self._device.boots[origin]
        self._readers[origin] = [*rest, (BootReader(new, origin, self._level, 0), False, False)]

    def read(self, limit: int = 512) -> bytes:
        """The next frames; empty if there are none now."""
        parts: list[bytes] = []
        for origin in list(self._device.boots):
            if (self._origins and origin not in self._origins) or origin in self._device.down:
                continue
            if origin not in self._readers:
                self._add(origin)
            elif self._readers[origin][-1][0].log is not self._device.boots[origin]:
                self._rebooted(origin)
            readers = self._readers[origin]
            while readers:
                reader, previous, announced = readers[0]
                if not announced:
                    readers[0] = (reader, previous, True)
                    log = reader.log
                    parts.append(frames.encode_boot(Boot(
                        origin, log.boot_id, log.oldest, log.produced, reader.seq,
                        reader.retained, previous, log.panicked, origin > 0 and self._unknown(origin))))  # fmt: skip
                    self._cursors.pop(origin, None)
                    if not previous:
                        parts.append(self._clock(origin))
                parts += [i.frame if isinstance(i, Kept) else frames.encode_loss(i) for i in reader.read(limit)]
                if not previous or reader.behind:
                    break
                readers.pop(0)
        return b"".join(parts)

    def _clock(self, origin: int) -> bytes:
        device = self._device
        if origin not in device.synchronised:
            return b""
        return frames.encode_clock(Clock(origin, 1000, *device.clock(origin), UNIT_FS))

    def heartbeats(self) -> bytes:
        """Heartbeats and clocks, if they are due. Those of the core device come whatever origins are wanted."""
        now = time.monotonic()
        if now - self._beat < self._device.heartbeat * 0.9:
            return b""
        self._beat = now
        device = self._device
        return b"".join(
            frames.encode_heartbeat(Heartbeat(origin, device.now(origin), device.boots[origin].produced))
            + self._clock(origin)
            for origin in sorted({0, *self._readers}) if origin not in device.down
        )  # fmt: skip
