"""The record of who asked the master for what: a line of JSON for each call that may change something."""

from __future__ import annotations

import json
import logging
import reprlib
import time
from logging.handlers import TimedRotatingFileHandler
from typing import Any

logger = logging.getLogger(__name__)

_SHORT = reprlib.Repr()
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 20
_SHORT.maxstring = _SHORT.maxother = 200
LINE_MAX = 2000
"""Characters of the arguments of a call."""


class _File(TimedRotatingFileHandler):
    failing = False

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk does not stop the laboratory, but is said, once."""
        if not self.failing:
            logger.error("the audit log cannot be written", exc_info=True)
        self.failing = True


class Audit:
    """Appends to the file, which gets the suffix .YYYY-MM-DD at midnight. Raises OSError if it cannot be opened."""

    def __init__(self, path: str):
        self._file = _File(path, when="midnight", encoding="utf-8", errors="backslashreplace")
        self._file.setFormatter(logging.Formatter("%(message)s"))

    def record(self, peer: str, who: str, call: str, args: Any, kwargs: Any, outcome: str, result: Any = None) -> None:
        """outcome: `ok`, `denied`, `refused` (a token that is not known) or `failed: ...`."""
        now = time.time()
        local = time.localtime(now)
        stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{int(now % 1 * 1000):03d}{time.strftime('%z', local)}"
        entry: dict[str, Any] = {"time": stamp, "peer": peer, "who": who, "call": call,
                                 "arguments": _text(args, kwargs), "outcome": outcome}
        if isinstance(result, int):  # the RID of what was submitted
            entry["result"] = result
        self._file.emit(logging.makeLogRecord({"msg": json.dumps(entry), "created": now}))

    def close(self) -> None:
        self._file.close()


def _text(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    try:
        parts = [_SHORT.repr(value) for value in args] + [f"{key}={_SHORT.repr(kwargs[key])}" for key in kwargs]
    except Exception as error:  # noqa: BLE001  the values are the client's
        return f"<cannot be shown: {type(error).__name__}>"
    return ", ".join(parts)[:LINE_MAX]
