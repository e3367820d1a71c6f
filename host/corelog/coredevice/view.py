"""Shows what a `Follower` gives to a person or as JSON lines: for `corelog log`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from corelog.coredevice.follow import Batch, Down, Event, Text
from corelog.coredevice.timeaxis import Moment, TimeAxis
from corelog.wire.cursor import Forgotten
from corelog.wire.frames import ENCODING_UTF8, Boot, Level, Loss, Record
from corelog.wire.stream import Records

_COLOURS = {Level.ERROR: "31;1", Level.WARN: "33", Level.INFO: "32", Level.DEBUG: "34", Level.TRACE: "2"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class View:
    """`lines(event)` gives the lines to print.

    axis: was fed with all that is shown. utc: host times in UTC, else local. colour: ANSI colours for the levels.
    as_json: one object per line.
    """

    def __init__(self, axis: TimeAxis, *, utc: bool = False, colour: bool = False, as_json: bool = False) -> None:
        self._axis = axis
        self._utc, self._colour, self._json = utc, colour, as_json
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
            elif isinstance(item, Forgotten):
                text = f"boot {item.boot_id:016x} is no longer kept: what it wrote from seq {item.seq} on is lost"
                boot_id = f"{item.boot_id:016x}"
                yield self._own("forgotten", Level.WARN, text, None, origin=item.origin, boot_id=boot_id, seq=item.seq)

    def _boot(self, boot: Boot) -> Iterator[str]:
        old = self._boots.get(boot.origin)
        self._boots[boot.origin] = boot
        if old is not None and old.boot_id == boot.boot_id and old.previous == boot.previous:
            return
        if boot.previous:
            text = f"previous boot {boot.boot_id:016x}" + (", which ended in a panic" if boot.panicked else "")
        else:
            text = f"boot {boot.boot_id:016x}"
        began = self._axis.moment(boot.origin, boot.boot_id, 0).host
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
        when = self._axis.moment(r.origin, boot.boot_id, r.time, arrival) if boot else Moment(None, None, None)
        message = r.body
        if r.encoding != ENCODING_UTF8:
            message = f"[unknown encoding {r.encoding}] {r.body.encode(errors='backslashreplace').hex()}"
        message = ("[damaged] " if r.damaged else "") + ("[undecodable] " if r.undecodable else "") + message
        if self._json:
            return self._line("record", r.level, r.target, message, when.host, r.time, origin=r.origin, seq=r.seq,
                              core_us=when.core_ns / 1000 if when.core_ns is not None else None,
                              uncertainty_ns=when.uncertainty_ns,
                              boot_id=f"{boot.boot_id:016x}" if boot else None, repeat=r.repeat,
                              truncated=r.truncated, previous_boot=bool(boot and boot.previous))  # fmt: skip
        message += "... (truncated)" if r.truncated else ""
        if r.repeat:
            message += " (repeated once)" if r.repeat == 1 else f" (repeated {r.repeat} times)"
        if boot is not None and boot.previous:
            message = "[previous boot] " + message
        device_us = r.time if when.core_ns is None else when.core_ns // 1000
        own = "" if when.core_ns is not None else " (own time)"
        return self._line("record", r.level, f"dest {r.origin}{own} {r.target}" if r.origin else r.target, message,
                          when.host, device_us)  # fmt: skip

    def _own(self, kind: str, level: int, message: str, host: float | None, **more: Any) -> str:
        """A line that is about the log, not of it."""
        where = f"dest {more['origin']} " if more.get("origin") and not self._json else ""
        return self._line(kind, level, f"{where}corelog", message, host, None, **more)

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
        prefix = f"{self._host(host) or '':27} {device} {name} {printable(target)}: "
        return prefix + printable(message).replace("\n", "\n" + " " * 49)

    def _host(self, time: float | None) -> str | None:
        if time is None:
            return None
        try:
            text = datetime.fromtimestamp(time, UTC if self._utc else None).isoformat(sep=" ", timespec="microseconds")
        except (ValueError, OverflowError, OSError):
            return None  # a device that gives absurd times
        return text.replace("+00:00", "Z") if self._utc else text


def printable(text: str) -> str:
    """The text with control characters, which could command the terminal, made visible; line ends and tabs stay."""
    return _CONTROL.sub(lambda m: f"\\x{ord(m.group()):02x}", text)
