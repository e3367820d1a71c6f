"""The master's device database: read from the file, published as `devices`, asked by RPC."""

from __future__ import annotations

import logging
from typing import Any

from corelog import device_db
from sipyco import pyon
from sipyco.sync_struct import Notifier, update_from_dict

logger = logging.getLogger(__name__)


class DeviceDatabase:
    """RPC target `device_db`."""

    def __init__(self, path: str):
        """Raises DeviceDBError if the file cannot be loaded."""
        self._path = path
        self._data = Notifier(self._load())

    @property
    def notifier(self) -> Notifier:
        return self._data

    def _load(self) -> device_db.DeviceDB:
        database = device_db.load(self._path)
        for name, entry in database.items():
            try:
                pyon.encode(entry)
            except (TypeError, ValueError, AssertionError) as error:  # no client could be told of the database
                raise device_db.DeviceDBError(f"device database {self._path}: device {name!r}: {error}") from None
        for problem in device_db.problems(database):
            logger.warning("%s: %s", self._path, problem)
        return database

    def scan(self) -> None:
        """Reads the file again. Raises DeviceDBError, and keeps the old database, if it cannot be loaded."""
        update_from_dict(self._data, self._load())
        logger.info("device database %s read: %d entries", self._path, len(self._data.raw_view))

    def get_device_db(self) -> device_db.DeviceDB:
        """The whole database."""
        database: device_db.DeviceDB = self._data.raw_view
        return database

    def get(self, key: str, resolve_alias: bool = False) -> Any:
        """An entry (a dict, or a string if it is an alias). With `resolve_alias`, the dict at the end of the aliases.

        Raises KeyError for unknown names, DeviceDBError for aliases that lead nowhere.
        """
        if resolve_alias and key in self._data.raw_view:
            return device_db.resolve(self._data.raw_view, key)[1]
        return self._data.raw_view[key]

    def get_satellite_cpu_target(self, destination: int) -> str:
        """CPU of a satellite, from `satellite_cpu_targets` of the entry `core` (or beside the entries).

        Raises KeyError if neither names it.
        """
        database = self._data.raw_view
        core = device_db.resolve(database, "core")[1] if "core" in database else {}
        for targets in (core.get("arguments", {}).get("satellite_cpu_targets"), database.get("satellite_cpu_targets")):
            if targets and destination in targets:
                return str(targets[destination])
        raise KeyError(f"the device database names no CPU of destination {destination!r}")
