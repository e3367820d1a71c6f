"""Where the log of a long-running program goes: console and file, without ever making the program wait for them.

Records of other programs keep their `source`; lines are `LEVEL:source:name:message`, in a file with the time before.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
import time
from collections import deque
from logging.handlers import TimedRotatingFileHandler
from typing import Protocol

from sipyco.logs import MultilineFormatter, SourceFilter

QUEUE_RECORDS = 200_000
QUEUE_CHARACTERS = 64 * 1024 * 1024
CLOSE_DEADLINE = 3.0
"""Seconds that the end of the program waits for a console or disk that does not take its lines."""


class Destination(Protocol):
    """Takes whole lines; may block, may raise OSError."""

    def write(self, text: str) -> None: ...


class Console:
    """Standard error."""

    def write(self, text: str) -> None:
        console = sys.stderr
        if console is not None:  # some systems start programs without a console
            console.write(text)
            console.flush()


class RotatedFile:
    """A file that gets the suffix .YYYY-MM-DD at midnight; of the old ones `backup_count` are kept (0: all)."""

    def __init__(self, path: str, backup_count: int):
        self._handler = TimedRotatingFileHandler(path, when="midnight", backupCount=backup_count, encoding="utf-8",
                                                 errors="backslashreplace")

    def write(self, text: str) -> None:
        if self._handler.shouldRollover(logging.makeLogRecord({})):
            self._handler.doRollover()
        stream = self._handler.stream
        if stream is None:
            raise ValueError("the log file is closed")
        stream.write(text)
        stream.flush()


class SourceFormatter(MultilineFormatter):
    """`LEVEL:source:name:message`, with `<lines>` after the level if there are several."""

    def __init__(self, *, with_time: bool = False):
        super().__init__()
        self._with_time = with_time
        self._second = (0, "")

    def format(self, record: logging.LogRecord) -> str:
        level, rest = super().format(record).split(":", 1)
        line = f"{level}:{getattr(record, 'source', '')}:{rest}"
        return f"{self._asctime(record.created)} {line}" if self._with_time else line

    def format_lines(self, lines: str, created: float) -> str:
        """The same for many records of one line and one time, which are `LEVEL:source:name:message` already."""
        if not self._with_time:
            return lines
        begin = f"{self._asctime(created)} "
        return begin + lines[:-1].replace("\n", "\n" + begin) + "\n"

    def _asctime(self, created: float) -> str:
        second = int(created)
        if self._second[0] != second:
            self._second = second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return f"{self._second[1]},{int((created - second) * 1000):03d}"


class ThreadedHandler(logging.Handler):
    """Formats in the caller's thread, writes many lines at once in its own.

    What does not fit into the queue while the destination is slow is counted in `lost`, and said in its place.
    """

    def __init__(self, destination: Destination, formatter: SourceFormatter):
        super().__init__()
        self.setFormatter(formatter)
        self._format_lines = formatter.format_lines
        self.lost = 0
        self._unsaid = 0
        self._destination = destination
        # Not the handler's own lock, which logging holds while it waits for `close`.
        self._queue_lock = threading.Lock()
        self._queue: deque[tuple[str, int]] = deque()  # lines, number of records
        self._records = self._characters = 0
        self._wake = threading.Event()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  arguments are the caller's; logging never raises into it
            line = f"{record.levelname}:{record.name}:{record.msg!r} cannot be formatted: {error!r}"
        self._put(line + "\n", 1)

    def put_lines(self, lines: str, count: int, time: float) -> None:
        """Many records of one line and one time, which are `LEVEL:source:name:message` already."""
        self._put(self._format_lines(lines, time), count)

    def _put(self, lines: str, count: int) -> None:
        with self._queue_lock:
            if self._records >= QUEUE_RECORDS or self._characters >= QUEUE_CHARACTERS:
                self.lost += count
                self._unsaid += count
                return
            if self._unsaid:
                text = f"WARNING::corelog.logs:{self._unsaid} records are missing here: they could not be written\n"
                self._queue.append((text, 0))
                self._unsaid = 0
            self._queue.append((lines, count))
            self._records += count
            self._characters += len(lines)
        if not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        while not self._ends or self._queue:
            self._wake.wait()
            self._write_queue()

    def _write_queue(self) -> None:
        self._wake.clear()
        with self._queue_lock:
            taken, self._queue = self._queue, deque()
            count, self._records, self._characters = self._records, 0, 0
        try:
            self._destination.write("".join(lines for lines, _ in taken))
        except (OSError, ValueError):  # full disk, closed terminal: counted, as there is nowhere to say it now
            with self._queue_lock:
                self.lost += count
                self._unsaid += count

    def close(self) -> None:
        """Writes what waits, as far as the destination takes it within a deadline."""
        self._ends = True
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join(CLOSE_DEADLINE)
        super().close()


def log_file_args(parser: argparse.ArgumentParser) -> None:
    """Adds --log-file and --log-backup-count."""
    group = parser.add_argument_group("logging")
    group.add_argument("--log-file", metavar="FILE", help="also write the log to this file, rotated at midnight")
    group.add_argument("--log-backup-count", type=int, default=0, metavar="N",
                       help="number of old log files to keep, 0 for all (default: %(default)s)")


def local_level(args: argparse.Namespace) -> int:
    """The level that -v and -q choose for this program's own records."""
    return logging.WARNING + 10 * int(args.quiet) - 10 * int(args.verbose)


def start(args: argparse.Namespace, source: str, *others: logging.Handler) -> list[ThreadedHandler]:
    """Lets the root logger write to `others`, the console, and the file if one was asked for; returns these two.

    Own records get `source` and are filtered by -v and -q; those of other programs always pass.
    """
    handlers = [ThreadedHandler(Console(), SourceFormatter())]
    if getattr(args, "log_file", None) is not None:
        handlers.append(ThreadedHandler(RotatedFile(args.log_file, args.log_backup_count),
                                        SourceFormatter(with_time=True)))
    root = logging.getLogger()
    root.setLevel(logging.NOTSET)  # the handlers' filters decide; records of others come at any level
    for handler in [*others, *handlers]:
        handler.addFilter(SourceFilter(local_level(args), source))
        root.addHandler(handler)
    return handlers
