"""The persistent datasets of a master: reading its LMDB file (protocols.md E.4).

One unnamed database in a single file; key: name in UTF-8, value: PYON of the tuple (value, metadata), version 2 or 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lmdb

from sipyco import pyon, pyon_v1

MAP_SIZE = 1 << 30


class DatasetDBError(Exception):
    """The file cannot be read; the text is one line that says why."""


def load(path: Path) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Name -> (value, metadata). Raises DatasetDBError."""
    try:
        with lmdb.open(str(path), subdir=False, map_size=MAP_SIZE, readonly=True, max_dbs=0) as environment:
            with environment.begin() as transaction:
                return {_name(key, path): _entry(value, key, path) for key, value in transaction.cursor()}
    except lmdb.Error as error:
        raise DatasetDBError(f"dataset database {path} cannot be read: {error}") from error


def _name(key: bytes, path: Path) -> str:
    try:
        return bytes(key).decode()
    except UnicodeDecodeError:
        raise DatasetDBError(f"dataset database {path} has a name that is not UTF-8: {bytes(key)!r}") from None


def _entry(data: bytes, key: bytes, path: Path) -> tuple[Any, dict[str, Any]]:
    try:
        text = bytes(data).decode()
        try:
            value, metadata = pyon.decode(text)
        except ValueError:
            value, metadata = pyon_v1.decode(text)
        return value, dict(metadata)
    except Exception as error:
        raise DatasetDBError(f"dataset database {path}: {bytes(key)!r} cannot be understood: {error}") from error
