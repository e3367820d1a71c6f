"""The temporary folder of a master for commits that are checked out. Those of masters that were killed are removed."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import Any

from corelog.master.claim import claim

logger = logging.getLogger(__name__)

PREFIX = "corelog-checkouts-"
CLAIM = "claim"
ATTEMPTS = 10


class CheckoutFolder:
    """Made when it is needed first. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._claimed: sqlite3.Connection | None = None

    def make(self, prefix: str) -> str:
        """A new folder in it. Raises OSError."""
        with self._lock:
            if self._path is None:
                _remove_abandoned(Path(tempfile.gettempdir()))
                self._path, self._claimed = _make()
            return tempfile.mkdtemp(prefix=prefix, dir=self._path)

    def remove(self) -> None:
        """With all that is in it."""
        with self._lock:
            if self._path is not None and self._claimed is not None:
                self._claimed.close()
                shutil.rmtree(self._path, onerror=say)
                self._path = None


def _make() -> tuple[Path, sqlite3.Connection]:
    for _ in range(ATTEMPTS):
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            claimed = claim(str(path / CLAIM))
        except sqlite3.Error:  # another master that starts has taken it for abandoned
            continue
        if (path / CLAIM).exists():
            return path, claimed
        claimed.close()
    raise OSError(f"no folder can be made in {tempfile.gettempdir()}")


def _remove_abandoned(directory: Path) -> None:
    for path in directory.glob(f"{PREFIX}*"):
        try:
            if not (path / CLAIM).exists() or (hasattr(os, "geteuid") and path.stat().st_uid != os.geteuid()):
                continue
            claim(str(path / CLAIM)).close()
        except (OSError, sqlite3.Error):  # in use, or gone
            continue
        logger.info("%s is removed: its master was killed", path)
        shutil.rmtree(path, onerror=say)


def say(_function: Any, path: str, info: Any) -> None:
    """For rmtree."""
    logger.warning("%s cannot be removed: %s", path, info[1])
