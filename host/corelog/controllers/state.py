"""Where the log controller is in the device's record streams, so that its successor goes on there, exactly.

A file mapped into memory: what a process has stored there survives its SIGKILL (not a crash of the machine). Before
a chunk of lines is written, its checkpoint is entered: how many lines and bytes have then been written in all, and
the cursor after it. After the write it is marked as written. A chunk is all or nothing, so after a kill only the last
one is in doubt, and the number of lines that the reader of the pipe has got decides (README.md of this folder).
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from corelog.wire.frames import RETAINED_UNKNOWN, Cursor

# The file is an array of u64: a head and two areas, of which one is active.
_MAGIC = 0x31_4554_4154_534C43  # "CLSTATE1"
_HEAD = 8  # magic, active area, board id, process id of the owner of the active area
_W_MAGIC, _W_ACTIVE, _W_BOARD = 0, 1, 2
# An area: head, then the cursors that have left the ring, then the ring of checkpoints.
_A_PID, _A_ENTERED, _A_WRITTEN = 0, 1, 2
_A_HEAD = 4
_BASE = 4  # per origin: known, boot id, seq, retained
_ENTRY = 6  # lines, bytes, origin, boot id, seq, retained
RING = 4096  # more chunks than a pipe of 64 KiB can hold
_BASE_WORDS = 256 * _BASE
_AREA = _A_HEAD + _BASE_WORDS + RING * _ENTRY
_WORDS = _HEAD + 2 * _AREA


class StateError(Exception):
    """The state file cannot be used; `str()` is one line."""


def default_path(address: str, port: int) -> Path:
    """Per core device and RPC port of the controller, in $XDG_STATE_HOME/corelog or ~/.local/state/corelog."""
    root = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    name = "".join(c if c.isalnum() or c in ".-" else "_" for c in address)
    return Path(root) / "corelog" / f"core_log-{name}-{port}.state"


class State:
    """The mapped file. One process at a time owns it (a lock held as long as it lives). Use `open`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._map = mmap.mmap(fd, _WORDS * 8)
        self._words = memoryview(self._map).cast("Q")
        self._area = 0
        self.lines = self.bytes = 0  # entered so far

    @classmethod
    def open(cls, path: Path, wait: float = 2.0) -> Self:
        """Opens or creates the file. Waits `wait` seconds for a predecessor to be gone. Raises StateError."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StateError(f"state file {path}: {exc.strerror}") from exc
        try:
            _lock(fd, path, wait)
            if os.fstat(fd).st_size != _WORDS * 8:
                os.ftruncate(fd, 0)
                os.ftruncate(fd, _WORDS * 8)
            state = cls(fd)
        except BaseException:
            os.close(fd)
            raise
        if state._words[_W_MAGIC] != _MAGIC:
            state._words[:] = memoryview(bytes(_WORDS * 8)).cast("Q")
            state._words[_W_MAGIC] = _MAGIC
        return state

    def close(self) -> None:
        """Gives the file up, and the lock with it."""
        self._words.release()
        self._map.close()
        os.close(self._fd)

    @property
    def board_id(self) -> int:
        """The board whose cursors these are; 0: not known."""
        return self._words[_W_BOARD]

    def claim(self, lines_read: int | None, pid: int | None = None) -> list[Cursor]:
        """Takes over from the process before: returns the cursors to resume at, and starts counting anew.

        lines_read: whole lines that the reader of that process (`pid`, if given) has got from it. None, or those of
        another process: resumes after the last chunk that is known to be written.
        """
        old = self._start(self._words[_W_ACTIVE] & 1)
        if pid is not None and self._words[old + _A_PID] != pid:
            lines_read = None
        cursors = self._cursors(old, lines_read)
        other = 1 - (self._words[_W_ACTIVE] & 1)
        new = self._start(other)
        self._words[new : new + _AREA] = memoryview(bytes(_AREA * 8)).cast("Q")
        for c in cursors:
            self._put_base(new, c.origin, c.boot_id, c.seq, c.retained)
        self._words[new + _A_PID] = os.getpid()
        self._words[_W_ACTIVE] = other
        self._area = new
        self.lines = self.bytes = 0
        return cursors

    def forget(self, board_id: int) -> None:
        """From now on this is another board: no cursor is valid."""
        self._words[_W_BOARD] = 0
        area = self._area
        self._words[area + _A_ENTERED] = self._words[area + _A_WRITTEN] = 0
        for origin in range(256):
            self._words[area + _A_HEAD + origin * _BASE] = 0
        self._words[_W_BOARD] = board_id

    def enter(self, lines: int, size: int, cursor: Cursor | None) -> None:
        """A chunk of `lines` lines and `size` bytes that leads to `cursor` is about to be written."""
        self.lines += lines
        self.bytes += size
        if cursor is None:
            return
        words, area = self._words, self._area
        number = words[area + _A_ENTERED]
        if number >= RING - 1:
            # the entry that goes next time: a kill during this copy finds it in the ring still
            leaving = self._entry(area, number + 1)
            self._put_base(area, *words[leaving + 2 : leaving + 6].tolist())
        at = self._entry(area, number)
        words[at] = self.lines
        words[at + 1] = self.bytes
        words[at + 2] = cursor.origin
        words[at + 3] = cursor.boot_id
        words[at + 4] = cursor.seq
        words[at + 5] = cursor.retained
        words[area + _A_ENTERED] = number + 1  # last: the entry counts from here on

    def written(self) -> None:
        """Everything entered has been written."""
        self._words[self._area + _A_WRITTEN] = self._words[self._area + _A_ENTERED]

    def roll_back(self, unread: int) -> None:
        """The reader is gone and has left `unread` bytes of what was written in the pipe: they are to come again."""
        words, area = self._words, self._area
        read = self.bytes - unread
        entered = words[area + _A_ENTERED]
        while entered > max(words[area + _A_ENTERED] - RING + 1, 0):
            if words[self._entry(area, entered - 1) + 1] <= read:
                break
            entered -= 1
        words[area + _A_WRITTEN] = min(words[area + _A_WRITTEN], entered)
        words[area + _A_ENTERED] = entered

    def _start(self, area: int) -> int:
        return _HEAD + area * _AREA

    @staticmethod
    def _entry(area: int, number: int) -> int:
        return area + _A_HEAD + _BASE_WORDS + number % RING * _ENTRY

    def _put_base(self, area: int, origin: int, boot_id: int, seq: int, retained: int) -> None:
        at = area + _A_HEAD + (origin & 0xFF) * _BASE
        self._words[at + 1] = boot_id
        self._words[at + 2] = seq
        self._words[at + 3] = retained
        self._words[at] = 1

    def _cursors(self, area: int, lines_read: int | None) -> list[Cursor]:
        words = self._words
        entered, written = words[area + _A_ENTERED], words[area + _A_WRITTEN]
        found: dict[int, Cursor] = {}
        for origin in range(256):
            known, boot_id, seq, retained = words[
                area + _A_HEAD + origin * _BASE : area + _A_HEAD + (origin + 1) * _BASE
            ].tolist()
            if known:
                found[origin] = Cursor(origin, boot_id, seq, retained)
        # the slot of the oldest may have been half overwritten when the process was killed
        for number in range(max(entered - RING + 1, 0), entered):
            at = self._entry(area, number)
            lines, _, origin, boot_id, seq, retained = words[at : at + _ENTRY].tolist()
            if number >= written if lines_read is None else lines > lines_read:
                break
            found[origin & 0xFF] = Cursor(origin & 0xFF, boot_id, seq, retained)
        return [found[o] for o in sorted(found)]


def _lock(fd: int, path: Path, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise StateError(f"state file {path} is in use by another log controller") from None
            time.sleep(0.02)


def as_dicts(cursors: Iterable[Cursor]) -> list[dict[str, int | None]]:
    """For showing them."""
    return [
        {"origin": c.origin, "boot_id": c.boot_id, "seq": c.seq,
         "retained": None if c.retained == RETAINED_UNKNOWN else c.retained}
        for c in cursors
    ]  # fmt: skip
