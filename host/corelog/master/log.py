"""The master's log: every record that comes is numbered, stored, broadcast and shown, in one order.

Broadcast is channel `log`, tuples (level, source, time, "name:message"), the time that of the arrival in the master.
What a client that reads slowly misses is said in its stream, by the numbers with which it can be had from the store.

Records of other programs come in bulk (`MasterLog.take_bulk`), without a call per record; the master's own, and
those that take several lines, through logging (`MasterLog.handler`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from corelog.master import log_lines
from corelog.master.log_reader import LogReader
from corelog.master.log_store import LogStore
from sipyco import logs
from sipyco.broadcast import Broadcaster

logger = logging.getLogger(__name__)

CHANNEL = "log"
QUEUE_LIMIT = 65536
"""Records kept for a client that does not read."""
STORE_FILE = "log_store.sqlite"
STORE_MIB = 1024
_ROOM_CHECK = 0.02

LogEntry = tuple[int, str, float, str]


class Display(Protocol):
    """Shows one-line records, which are `LEVEL:source:name:message` lines of one time."""

    def put_lines(self, lines: str, count: int, time: float) -> None: ...


class RunMarker(logging.Filter):
    """Lets core device errors say during which runs they came, to all handlers after its own."""

    def __init__(self, running: Callable[[], list[int]]) -> None:
        super().__init__()
        self._running = running

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.levelno >= logging.ERROR and record.name.startswith("firmware.") and not record.args
        if error and (rids := self._running()):
            record.msg = f"{record.msg}{log_lines.rid_mark(rids)}"
        return True


class LogHandler(logging.Handler):
    """Passes records, from any thread, to `take(level, source, time, name, message, fields)` in the loop's thread."""

    def __init__(self, take: Callable[[int, str, float, str, str, str], None]) -> None:
        super().__init__()
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
            if record.exc_info or record.exc_text:
                if not record.exc_text and record.exc_info is not None:
                    record.exc_text = logging.Formatter().formatException(record.exc_info)
                message = f"{message}\n{record.exc_text}"
        except Exception as error:  # noqa: BLE001  arguments are the caller's; logging never raises into it
            message = f"{record.msg!r} cannot be formatted: {error!r}"
        taken = (record.levelno, getattr(record, "source", "master"), record.created, record.name, message,
                 getattr(record, "line_fields", ""))
        if threading.get_ident() == self._thread:
            self._take(*taken)
        else:
            try:
                self._loop.call_soon_threadsafe(self._take, *taken)
            except RuntimeError:  # the loop has ended, and with it all clients
                return


class MasterLog:
    """Build it in the running loop (raises sqlite3.Error if the store cannot be opened), `start`, at the end `stop`.

    `handler` is for the root logger, before its other handlers; `server` for the logging port, `broadcaster` for the
    broadcast port, `reader` the RPC target `log_store` (methods `read` and `status`). `displays` get the records that
    come in bulk. `running` is asked at each core device error for the RIDs of the runs in stage running; a run stays
    among them a moment after that stage, since what the device says arrives a few milliseconds later.
    """

    def __init__(self, path: str = STORE_FILE, limit: int = STORE_MIB << 20) -> None:
        self.running: Callable[[], Iterable[int]] = tuple
        self.displays: list[Display] = []
        self._loop = asyncio.get_running_loop()
        self.store = LogStore(path, limit, self._on_commit)
        self.reader = LogReader(self.store)
        self.handler = LogHandler(self._take)
        self.handler.addFilter(RunMarker(self._rids))
        self.broadcaster, self.server = self._make_servers()

    def _make_servers(self) -> tuple[Broadcaster, logs.Server]:
        try:
            return (Broadcaster(queue_limit=QUEUE_LIMIT, loss_message=self.loss_entry),
                    logs.Server(self.take_bulk, self.wait_room))
        except TypeError:  # the ecosystem's own sipyco drops in silence, and knows no bulk
            logger.warning("this sipyco cannot tell clients which log records they missed")
            return Broadcaster(queue_limit=QUEUE_LIMIT), logs.Server()

    async def start(self) -> None:
        """Begins to write the store."""
        self.store.start()
        if self.store.killed:
            logger.warning("the master before this one was killed: of its log the last second may be missing")

    async def stop(self) -> None:
        """Writes what waits."""
        await asyncio.to_thread(self.store.stop)
        self.reader.close()

    def take_bulk(self, data: bytes) -> None:
        """Network lines of one-line records."""
        now = time.time()
        data = log_lines.mark_rids(data, self._rids)
        count = data.count(b"\n")
        self.store.put(now, data, count, log_lines.levels_in(data))
        if self.broadcaster.listening(CHANNEL):
            self.broadcaster.broadcast_encoded(CHANNEL, log_lines.to_broadcast(data, now))
        if self.displays:
            lines = log_lines.to_console(data)
            for display in self.displays:
                display.put_lines(lines, count, now)

    def _take(self, level: int, source: str, when: float, name: str, message: str, fields: str) -> None:
        self.store.put(when, log_lines.to_lines(level, source, name, message, fields), 1, log_lines.level_bit(level))
        self.broadcaster.broadcast(CHANNEL, (level, source, when, f"{name}:{message}"))

    def loss_entry(self, channel: str, count: int) -> LogEntry | None:
        """What stands in a client's stream where `count` messages are missing; None for other channels.

        The missing ones are always the newest.
        """
        if channel != CHANNEL:
            return None
        text = log_lines.loss_text(self.store.next - count, self.store.next - 1)
        return logging.WARNING, "master", time.time(), text

    def _rids(self) -> list[int]:
        return sorted(self.running())

    async def wait_room(self) -> None:
        """Returns when more may be logged: for those who read records from elsewhere and can make it wait."""
        while not self.store.has_room():
            await asyncio.sleep(_ROOM_CHECK)

    def _on_commit(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self.reader.committed)
        except RuntimeError:  # the loop has ended
            return
