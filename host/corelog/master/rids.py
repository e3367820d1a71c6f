"""Run identifiers: counted up for ever, never given twice, also after a crash or power cut."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

logger = logging.getLogger(__name__)

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_HOUR = re.compile(r"\d\d(-\d\d)?")  # older folders are by the minute
_RESULT = re.compile(r"(\d{9,})-.*\.h5")


class RIDCounter:
    """`path` holds the last identifier that was given: decimal and a newline.

    Without the file, or if it says nothing, counting goes on after the highest identifier among the result files.
    """

    def __init__(self, path: str | Path = "last_rid.pyon", results: str | Path = "results"):
        """Raises OSError if the file cannot be read or written."""
        self._path = Path(path)
        last = self._read()
        if last is None:
            last = last_rid_of_results(Path(results))
            if last >= 0:
                logger.info("%s: goes on after the last result, RID %d", path, last)
            self._write(last)
        self._last = last

    @property
    def last(self) -> int:
        """The identifier that was given last; -1 if none was."""
        return self._last

    def get(self) -> int:
        """The next identifier, which is on disk as given on return. Raises OSError; nothing is given then."""
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
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._path)
        _sync_folder(self._path.parent)


def _sync_folder(path: Path) -> None:
    """The new name survives a power cut too, where the system can promise it."""
    if os.name == "posix":
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def last_rid_of_results(results: Path) -> int:
    """The highest identifier in names of result files (YYYY-MM-DD/HH/NNNNNNNNN-Name.h5), -1 without any."""
    last = -1
    for day in _folders(results, _DAY):
        for hour in _folders(day, _HOUR):
            for name in os.listdir(hour):
                if match := _RESULT.fullmatch(name):
                    last = max(last, int(match.group(1)))
    return last


def _folders(path: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        return [path / name for name in os.listdir(path) if pattern.fullmatch(name) and (path / name).is_dir()]
    except FileNotFoundError:
        return []
