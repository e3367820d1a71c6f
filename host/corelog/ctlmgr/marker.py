"""Tells whether the controller manager that ran here before ended by itself.

One that was killed had perhaps read records of its controllers and not sent them on. Nobody can say which, but it can
be said that it happened.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)


def default_path(address: str, port: int) -> Path:
    """One file per control port, in $XDG_STATE_HOME/corelog or ~/.local/state/corelog."""
    root = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    clean = "".join(c if c.isalnum() or c in ".-" else "_" for c in address)
    return Path(root) / "corelog" / f"ctlmgr-{clean}-{port}.running"


class Marker:
    """A file that exists, with text, while the manager runs."""

    def __init__(self, path: Path):
        self._path = path
        self._fd: int | None = None

    def set(self) -> str | None:
        """Sets the mark. Returns what an earlier manager left that did not end by itself, None if there is none.

        Without a place to write there is no mark, which is logged and no reason not to run.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            if sys.platform != "win32":
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left = os.read(self._fd, 1000).decode(errors="replace")
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, f"process {os.getpid()}, started {time.strftime('%Y-%m-%d %H:%M:%S')}".encode())
        except OSError as error:
            logger.info("no mark of this manager's end will be kept in %s: %s", self._path, error.strerror or error)
            self.close()
            return None
        return left or None

    def clear(self) -> None:
        """This manager ends by itself."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            self.close()

    def close(self) -> None:
        """Gives the file up and leaves the mark."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
