"""A claim to files of a master, which ends with the process, however that ends."""

from __future__ import annotations

import sqlite3


def claim(path: str) -> sqlite3.Connection:
    """Holds a lock of the system's on the file `path`, which is made if need be, until `close` of what is returned.

    (SQLite knows how to lock on every system.) Raises sqlite3.OperationalError if somebody else has it.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.0)
    try:
        connection.execute("PRAGMA journal_mode = MEMORY")  # no second file
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        connection.close()
        raise sqlite3.OperationalError(f"{error} (is another master running?)") from error
    return connection
