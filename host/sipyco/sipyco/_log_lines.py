"""The text forms of log records: made from records, and parsed from what a program or a peer wrote.

Process line: ``LEVEL:name:message``, or for a message of N > 1 lines ``LEVEL<N>:name:first line`` and N - 1 raw lines.
Network line: ``source:`` and a process line; its continuation lines carry no source.
Any other line is a record of level INFO and name ``print``.

A name may carry *fields*, which say more about its record, between programs that know of them: ``name``, the character
U+001F and ``key=value,key=value``. A record has that text in its attribute ``line_fields``, and its name without it.
"""

import logging
import re
import sys
from collections.abc import Callable
from typing import Any

TRACE = 5
logging.addLevelName(TRACE, "TRACE")
setattr(logging, "TRACE", TRACE)  # noqa: B010  there for users as logging.TRACE, which type checkers do not know

LEVELS: dict[str, int] = {
    "CRITICAL": logging.CRITICAL, "ERROR": logging.ERROR, "WARN": logging.WARNING, "WARNING": logging.WARNING,
    "INFO": logging.INFO, "DEBUG": logging.DEBUG, "TRACE": TRACE,
}

MAX_LINE = 1024 * 1024
"""Longest line taken whole, in bytes; a longer one is cut into pieces of this size."""
MAX_EXTRA_LINES = 65536
"""Longest record in lines; a larger count is taken for ordinary text."""
MAX_RECORD = 4 * 1024 * 1024
"""Longest multi-line record, in characters; a longer one is delivered in pieces."""

FIELDS = "\x1f"
"""What begins the fields of a name."""

_logger = logging.getLogger("fwd")
_WITH_FIELDS = re.compile(rf"([^{FIELDS}]*){FIELDS}([a-z_]+=[!-9;-~]*)")
_LINE_WITH_FIELDS = re.compile(rb"([^:\n]*:[^:\n]*:[^:\n\x1f]*)\x1f[a-z_]+=[!-9;-~]*(?=:)")


def split_fields(name: str) -> tuple[str, str]:
    """A name without its fields, and these; "" if it has none."""
    found = _WITH_FIELDS.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


def without_fields(line: bytes) -> bytes:
    """A record as network lines, without fields."""
    found = _LINE_WITH_FIELDS.match(line)
    return found[1] + line[found.end():] if found else line


class MultilineFormatter(logging.Formatter):
    """Formats records as process lines."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s:%(name)s:%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The process line(s) of a record, with its traceback if it has one, without a newline at the end."""
        if record.exc_info or record.exc_text or record.stack_info:
            text = super().format(record)
        else:
            record.message = message = record.getMessage()
            name = record.name
            if "\n" in name:
                name = name.replace("\n", " ")
            text = f"{record.levelname}:{name}:{message}"
        if "\n" in text:
            level, rest = text.split(":", 1)
            return f"{level}<{text.count(chr(10)) + 1}>:{rest}"
        return text


def parse_log_message(msg: str) -> tuple[int, int, str, str]:
    """(number of lines that follow, level, name, message) of the first line of a record."""
    parts = msg.split(":", 2)
    if len(parts) == 3:
        level = LEVELS.get(parts[0])
        if level is not None:
            return 0, level, parts[1], parts[2]
        word, bracket, count = parts[0].partition("<")
        level = LEVELS.get(word)
        if bracket and level is not None and count.endswith(">"):
            digits = count[:-1]
            if digits.isascii() and digits.isdigit() and len(digits) < 9:
                # A count of 0 says nothing sensible; of one line there is no doubt.
                extra = max(int(digits) - 1, 0)
                if extra <= MAX_EXTRA_LINES:
                    return extra, level, parts[1], parts[2]
    return 0, logging.INFO, "print", msg


class RecordSink:
    """Feeds records to the logging system as cheaply as it allows.

    They go to the handlers of a logger called `fwd`, which are the root logger's unless someone says otherwise.
    A level or filter set on that logger applies.
    """

    def __init__(self) -> None:
        self._template: dict[str, Any] = {}
        self._handlers: list[tuple[int, Callable[[logging.LogRecord], Any]]] | None = None

    def begin(self) -> None:
        """A new batch of records, which share their time of arrival, begins."""
        self._template = logging.LogRecord("", 0, "(unknown file)", 0, "", (), None).__dict__
        plain = not _logger.filters and logging.getLogRecordFactory() is logging.LogRecord
        self._handlers = self._find_handlers() if plain else None

    @staticmethod
    def _find_handlers() -> list[tuple[int, Callable[[logging.LogRecord], Any]]] | None:
        found: list[tuple[int, Callable[[logging.LogRecord], Any]]] = []
        current: logging.Logger | None = _logger
        while current is not None:
            found += [(handler.level, handler.handle) for handler in current.handlers]
            current = current.parent if current.propagate else None
        return found or None  # without handlers logging has a last resort, which the slow path reaches

    def log(self, source: str, level: int, name: str, message: str) -> None:
        """Log one record. `begin` must have been called in this turn of the event loop."""
        if not _logger.isEnabledFor(level):
            return
        extra = {"source": source}
        if FIELDS in name:
            name, fields = split_fields(name)
            if fields:
                extra["line_fields"] = fields
        if self._handlers is None:
            log_with_name(name, level, message, extra=extra)
            return
        record = logging.LogRecord.__new__(logging.LogRecord)
        record.__dict__.update(self._template, name=name, msg=message, levelno=level,
                               levelname=logging.getLevelName(level), **extra)
        for handler_level, handle in self._handlers:
            if level >= handler_level:
                handle(record)


def log_with_name(name: str, level: int, msg: Any, *args: Any, extra: dict[str, Any] | None = None,
                  exc_info: Any = None, stack_info: bool = False, stacklevel: int = 1) -> None:
    """Log as if by the logger called `name`, without creating one for each name that a peer may think of.

    Level and handlers are those of the logger `fwd`.
    """
    if not _logger.isEnabledFor(level):
        return
    path, line, function, stack = _logger.findCaller(stack_info, stacklevel + 1)
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    elif exc_info and not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    _logger.handle(_logger.makeRecord(name, level, path, line, msg, args, exc_info, function, extra, stack))
