"""Run identifiers: counted up for ever, never given twice."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

logger = logging.getLogger(__name__)

NEWEST_DAYS = 2
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_HOUR = re.compile(r"\d\d(-\d\d)?")  # older folders are by the minute
_RESULT = re.compile(r"(\d{9,})-.*\.h5")


class RIDCounter:
    """`path` holds the last identifier that was given: decimal and a newline.

    It is replaced before an identifier is given, so a killed master gives none twice. Waiting for the disk each time
    would hold up the master for longer than anything else a submission does; instead, as a power cut may bring an
    older file back, no start gives an identifier that the newest result files have. Without a file that says something
    all result files count.
    """

    def __init__(self, path: str | Path = "last_rid.pyon", results: str | Path = "results"):
        """Raises OSError if the file cannot be read or written."""
        self._path = Path(path)
        written = self._read()
        recovered = last_rid_of_results(Path(results), None if written is None else NEWEST_DAYS)
        if written is None or recovered > written:
            if recovered >= 0:
                logger.warning("%s: goes on after the last result, RID %d", path, recovered)
            self._write(recovered)
            written = recovered
        self._last = written

    @property
    def last(self) -> int:
        """The identifier that was given last; -1 if none was."""
        return self._last

    def get(self) -> int:
        """The next identifier. Raises OSError if it cannot be written that it is given; it is not then."""
        self._write(self._last + 1)
        self._last += 1
        return self._last

    def _read(self) -> int | None:
        try:
            text = self._path.read_text(errors="replace")
        except FileNotFoundError:
            return None
        try:
            last = int(text)
        except ValueError:
            last = -2
        if last < -1:
            logger.error("%s does not hold a RID: %r", self._path, text[:40])
            return None
        return last

    def _write(self, rid: int) -> None:
        new = self._path.with_name(f".{self._path.name}.new")  # always the same, so that crashes leave no litter
        with open(new, "w") as file:
            file.write(f"{rid}\n")
        os.replace(new, self._path)


def last_rid_of_results(results: Path, days: int | None = None) -> int:
    """The highest identifier in names of result files (YYYY-MM-DD/HH/NNNNNNNNN-Name.h5), -1 without any.

    With `days`, only so many folders of days are read, the newest.
    """
    last = -1
    for day in _folders(results, _DAY)[:days]:
        for hour in _folders(day, _HOUR):
            for name in os.listdir(hour):
                if match := _RESULT.fullmatch(name):
                    last = max(last, int(match.group(1)))
    return last


def _folders(path: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        names = sorted(os.listdir(path), reverse=True)
    except FileNotFoundError:
        return []
    return [path / name for name in names if pattern.fullmatch(name) and (path / name).is_dir()]
