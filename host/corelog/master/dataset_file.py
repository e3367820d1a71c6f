"""The file of the persistent datasets (LMDB, protocols.md E.4), written in whole transactions."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

import lmdb

from corelog.language import dataset_db
from corelog.language.dataset_db import DatasetDBError

logger = logging.getLogger(__name__)

LONGEST_KEY = 511


def encode_key(key: str) -> bytes:
    """The key of a dataset in the file. Raises ValueError for names that it cannot hold."""
    try:
        data = key.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{key!r:.100} is not text that UTF-8 can hold, so it cannot be the name of a persistent "
                         f"dataset") from None
    if not 1 <= len(data) <= LONGEST_KEY:
        raise ValueError(f"the name of a persistent dataset has 1 to {LONGEST_KEY} bytes of UTF-8, not {len(data)}: "
                         f"{key[:60]!r}")
    return data


class DatasetFile:
    """Opened, and made if it does not exist. Raises DatasetDBError if it cannot be."""

    def __init__(self, path: Path):
        try:
            self._environment = lmdb.open(str(path), subdir=False, map_size=dataset_db.MAP_SIZE, max_dbs=0)
            self._path = path
            self._make_room()
        except lmdb.Error as error:
            raise DatasetDBError(f"dataset database {path} cannot be opened: {error}") from error

    def _make_room(self) -> None:
        """A file that has grown is opened with its own size, which leaves no room for what is rewritten."""
        pages = self._environment.info()["last_pgno"] * self._environment.stat()["psize"]
        if 2 * pages > self._environment.info()["map_size"]:
            self._environment.set_mapsize(4 * pages)

    def load(self) -> dataset_db.Stored:
        """All that can be understood; the rest is logged."""
        return dataset_db.read(self._environment, self._path)

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Writes values, or deletes those that are None; all are on disk on return, or none after an exception.

        The file grows as needed. Raises OSError, also if the disk is full. May be called from any thread, one at a
        time.
        """
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, value in changes.items():
                        if value is None:
                            transaction.delete(key)
                        else:
                            transaction.put(key, value)
                return
            except lmdb.MapFullError:
                size = 2 * self._environment.info()["map_size"]
                logger.info("dataset database %s may now grow to %d MiB", self._path, size >> 20)
                self._environment.set_mapsize(size)
            except lmdb.Error as error:
                raise OSError(f"dataset database {self._path}: {error}") from error

    def close(self) -> None:
        with contextlib.suppress(lmdb.Error):
            self._environment.close()
