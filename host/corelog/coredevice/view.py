"""Shows what a `Follower` gives to a person or as JSON lines: for `corelog log`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from corelog.coredevice.clock import ClockMap
from corelog.coredevice.follow import Batch, Down, Event, Text
from corelog.wire.cursor import Forgotten
from corelog.wire.frames import ENCODING_UTF8, Boot, Header, Heartbeat, Level, Loss, Record
from corelog.wire.stream import Records

_COLOURS = {Level.ERROR: "31;1", Level.WARN: "33", Level.INFO: "32", Level.DEBUG: "34", Level.TRACE: "2"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class View:
    """`lines(event)` gives the lines to print.

    utc: host times in UTC, else local. colour: ANSI colours for the levels. as_json: one object per line.
    """

    def __init__(self, *, utc: bool = False, colour: bool = False, as_json: bool = False) -> None:
        self._utc, self._colour, self._json = utc, colour, as_json
        self._clocks: dict[int, ClockMap] = {}  # by boot id
        self._boots: dict[int, Boot] = {}
        self.records = self.lost = 0

    def lines(self, event: Event) -> Iterator[str]:
        """Lines without line ends. Nothing for heartbeats."""
        if isinstance(event, Batch):
            yield from self._batch(event)
        elif isinstance(event, Text):
            for r in event.records:
                self.records += 1
                mark = ("[cut] " if r.cut else "") + ("[undecodable] " if r.undecodable else "")
                yield self._line("record", r.level, r.target, mark + r.body, event.arrival, r.time)
        elif isinstance(event, Down):
            what = "no connection yet" if event.first else "connection lost"
            yield self._own("disconnected", Level.WARN, f"{what} ({event.reason}); trying again", event.at)
        elif event.after is not None:
            yield self._own("connected", Level.INFO, f"connected again after {event.after:.1f} s", event.at)

    def _batch(self, batch: Batch) -> Iterator[str]:
        for item in batch.items:
            if isinstance(item, Records):
                yield from (self._record(record, batch.arrival) for record in item)
            elif isinstance(item, Boot):
                yield from self._boot(item)
            elif isinstance(item, Loss):
                yield self._loss(item)
            elif isinstance(item, Heartbeat):
                self._clock(item.origin).sample(item.time, batch.arrival)
            elif isinstance(item, Header):
                self._clocks.setdefault(item.boot_id, ClockMap()).sample(item.time, batch.arrival)
            elif isinstance(item, Forgotten):
                text = f"boot {item.boot_id:016x} is no longer kept: what it wrote from seq {item.seq} on is lost"
                boot_id = f"{item.boot_id:016x}"
                yield self._own("forgotten", Level.WARN, text, None, origin=item.origin, boot_id=boot_id, seq=item.seq)

    def _clock(self, origin: int) -> ClockMap:
        boot = self._boots.get(origin)
        return self._clocks.setdefault(boot.boot_id, ClockMap()) if boot is not None else ClockMap()

    def _boot(self, boot: Boot) -> Iterator[str]:
        old = self._boots.get(boot.origin)
        self._boots[boot.origin] = boot
        if len(self._clocks) > 1024:
            present = {b.boot_id for b in self._boots.values()}
            self._clocks = {boot_id: clock for boot_id, clock in self._clocks.items() if boot_id in present}
        if old is not None and old.boot_id == boot.boot_id and old.previous == boot.previous:
            return
        if boot.previous:
            text = f"previous boot {boot.boot_id:016x}" + (", which ended in a panic" if boot.panicked else "")
        else:
            text = f"boot {boot.boot_id:016x}"
        began = self._clock(boot.origin).host(0)
        yield self._own("boot", Level.INFO, text, began, origin=boot.origin, boot_id=f"{boot.boot_id:016x}",
                        previous_boot=boot.previous, panicked=boot.panicked)  # fmt: skip

    def _loss(self, loss: Loss) -> str:
        self.lost += loss.count
        most = "" if loss.exact else "at most "
        text = f"{loss.count} records lost ({most}{loss.retained} errors or warnings) from seq {loss.seq}"
        return self._own("loss", Level.WARN, text, None, origin=loss.origin, seq=loss.seq, count=loss.count,
                         retained=loss.retained, exact=loss.exact, declared=loss.declared)  # fmt: skip

    def _record(self, r: Record, arrival: float) -> str:
        self.records += 1
        boot = self._boots.get(r.origin)
        # the clock of a boot that is over is known only if it was followed then
        clock = self._clock(r.origin)
        host = clock.host(r.time, arrival) if clock.known else None
        message = r.body
        if r.encoding != ENCODING_UTF8:
            message = f"[unknown encoding {r.encoding}] {r.body.encode(errors='backslashreplace').hex()}"
        message = ("[damaged] " if r.damaged else "") + ("[undecodable] " if r.undecodable else "") + message
        if self._json:
            return self._line("record", r.level, r.target, message, host, r.time, origin=r.origin, seq=r.seq,
                              boot_id=f"{boot.boot_id:016x}" if boot else None, repeat=r.repeat,
                              truncated=r.truncated, previous_boot=bool(boot and boot.previous))  # fmt: skip
        message += "... (truncated)" if r.truncated else ""
        if r.repeat:
            message += " (repeated once)" if r.repeat == 1 else f" (repeated {r.repeat} times)"
        if boot is not None and boot.previous:
            message = "[previous boot] " + message
        return self._line("record", r.level, r.target, message, host, r.time, origin=r.origin)

    def _own(self, kind: str, level: int, message: str, host: float | None, **more: Any) -> str:
        """A line that is about the log, not of it."""
        return self._line(kind, level, "corelog", message, host, None, **more)

    def _line(
        self, kind: str, level: int, target: str, message: str, host: float | None, device_us: int | None, **more: Any
    ) -> str:
        if self._json:
            row = {"type": kind, "host_time": self._host(host), "device_us": device_us, "level": Level(level).name,
                   "target": target, "message": message, **more}  # fmt: skip
            return json.dumps(row, ensure_ascii=False)
        device = f"{device_us / 1e6:14.6f}" if device_us is not None else " " * 14
        name = f"{Level(level).name:5}"
        if self._colour:
            name = f"\x1b[{_COLOURS[Level(level)]}m{name}\x1b[0m"
        where = f"satellite {more['origin']} " if more.get("origin") else ""
        prefix = f"{self._host(host) or '':27} {device} {name} {where}{printable(target)}: "
        return prefix + printable(message).replace("\n", "\n" + " " * 49)

    def _host(self, time: float | None) -> str | None:
        if time is None:
            return None
        if self._utc:
            text = datetime.fromtimestamp(time, UTC).isoformat(sep=" ", timespec="microseconds")
            return text.replace("+00:00", "Z")
        return datetime.fromtimestamp(time).isoformat(sep=" ", timespec="microseconds")


def printable(text: str) -> str:
    """The text with control characters, which could command the terminal, made visible; line ends and tabs stay."""
    return _CONTROL.sub(lambda m: f"\\x{ord(m.group()):02x}", text)
