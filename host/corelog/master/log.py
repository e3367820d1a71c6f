"""The master's log as its clients see it: broadcast channel `log`, tuples (level, source, time, "name:message")."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

CHANNEL = "log"
QUEUE_LIMIT = 65536
"""Records kept for a client that does not read; what it misses beyond is declared in its stream."""

LogEntry = tuple[int, str, float, str]


def entry(record: logging.LogRecord) -> LogEntry:
    """The broadcast form of a record; its time is that of its arrival in the master."""
    message = record.getMessage()
    if record.exc_info or record.exc_text:
        if not record.exc_text and record.exc_info is not None:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        message = f"{message}\n{record.exc_text}"
    return record.levelno, getattr(record, "source", "master"), record.created, f"{record.name}:{message}"


def loss_entry(channel: str, count: int) -> LogEntry | None:
    """What stands in a client's stream where `count` messages are missing; None for other channels."""
    if channel != CHANNEL:
        return None
    text = f"{__name__}:{count} log records missed by this receiver, which read too slowly"
    return logging.WARNING, "master", time.time(), text


class LogBroadcast(logging.Handler):
    """Broadcasts records; usable from any thread. `broadcast(channel, object)` runs in the loop's thread."""

    def __init__(self, broadcast: Callable[[str, Any], None]):
        super().__init__()
        self._broadcast = broadcast
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = entry(record)
        except Exception as error:  # noqa: BLE001  arguments are the caller's; logging never raises into it
            message = (record.levelno, getattr(record, "source", "master"), record.created,
                       f"{record.name}:{record.msg!r} cannot be formatted: {error!r}")
        if threading.get_ident() == self._thread:
            self._broadcast(CHANNEL, message)
        else:
            try:
                self._loop.call_soon_threadsafe(self._broadcast, CHANNEL, message)
            except RuntimeError:  # the loop has ended, and with it all clients
                return
