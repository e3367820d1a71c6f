"""The persistent datasets of a master: reading its LMDB file (protocols.md E.4).

One unnamed database in a single file; key: name in UTF-8, value: PYON of the tuple (value, metadata), version 2 or 1.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lmdb

from sipyco import pyon, pyon_v1

logger = logging.getLogger(__name__)

MAP_SIZE = 1 << 30

Stored = dict[str, tuple[Any, dict[str, Any]]]


class DatasetDBError(Exception):
    """The file cannot be read; the text is one line that says why."""


def load(path: Path) -> Stored:
    """Name -> (value, metadata). Raises DatasetDBError."""
    try:
        with lmdb.open(str(path), subdir=False, map_size=MAP_SIZE, readonly=True, max_dbs=0) as environment:
            return read(environment, path)
    except lmdb.Error as error:
        raise DatasetDBError(f"dataset database {path} cannot be read: {error}") from error


def read(environment: lmdb.Environment, path: Path) -> Stored:
    """Name -> (value, metadata) of an open file. What cannot be understood is logged, and stays in the file."""
    with environment.begin() as transaction:
        return dict(_understood(((bytes(key), bytes(value)) for key, value in transaction.cursor()), path))


def _understood(items: Iterable[tuple[bytes, bytes]], path: Path) -> Iterable[tuple[str, Any]]:
    for key, data in items:
        try:
            text = data.decode()
            try:
                value, metadata = pyon.decode(text)
            except ValueError:
                value, metadata = pyon_v1.decode(text)
            yield key.decode(), (value, dict(metadata))
        except Exception as error:  # noqa: BLE001  the file may hold anything
            logger.error("dataset database %s: %r cannot be understood and is left as it is: %s", path, key, error)
