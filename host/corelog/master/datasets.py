"""The master's dataset database: published as `datasets`, asked and changed by RPC, its persistent part on disk.

What is published is name -> (persist, value, metadata). A change that cannot be published or stored is refused with
an exception and changes nothing. Persistent changes are on disk within a second (SAVE_AFTER and the time that writing
takes), many of one dataset as one.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import numpy as np

from corelog.master.dataset_file import DatasetFile, encode_key
from sipyco import pyon
from sipyco.sync_struct import Notifier, process_mod

logger = logging.getLogger(__name__)

SAVE_AFTER = 0.4
"""Seconds from a persistent change to the beginning of its writing."""

_SIMPLE = {float, int, str, bool, type(None)}
_METADATA: dict[str, tuple[type, ...]] = {"unit": (str,), "scale": (int, float, np.number),
                                          "precision": (int, np.integer)}


class DatasetDB:
    """RPC target `dataset_db`. Raises DatasetDBError if the file cannot be opened.

    Without `start` nothing is written but by `save` and `stop`.
    """

    def __init__(self, path: str | Path = "dataset_db.mdb"):
        self._file = DatasetFile(Path(path))
        self._data = Notifier({key: (True, *entry) for key, entry in self._file.load().items()})
        self._unsaved: set[str] = set()
        self._wake = asyncio.Event()
        self._saving = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def notifier(self) -> Notifier:
        return self._data

    # RPC

    def get(self, key: str) -> Any:
        """The value of a dataset. Raises KeyError."""
        return self._entry(key)[1]

    def get_metadata(self, key: str) -> dict[str, Any]:
        """Its unit, scale and precision, as far as given. Raises KeyError."""
        return self._entry(key)[2]

    def set(self, key: str, value: Any, persist: bool | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Sets a dataset. With None, whether it is persistent and its metadata stay as they are (at first: not, {}).

        Raises TypeError or ValueError for what cannot be published or stored.
        """
        old = self._data.raw_view.get(key, (False, None, {})) if isinstance(key, str) else (False, None, {})
        self._set(key, old[0] if persist is None else persist, value, old[2] if metadata is None else metadata)

    def delete(self, key: str) -> None:
        """Removes a dataset. Raises KeyError."""
        persist = self._entry(key)[0]
        del self._data[key]
        if persist:
            self._changed(key)

    def update(self, mod: dict[str, Any]) -> None:
        """Makes a modification as they are published: of the whole, or inside a value (path [name, 1, ...]).

        Raises TypeError, ValueError, KeyError or IndexError if it does not fit.
        """
        path = list(mod["path"])
        if not path:
            if mod["action"] == "setitem":
                persist, value, metadata = mod["value"]
                self._set(mod["key"], persist, value, metadata)
            elif mod["action"] == "delitem":
                self.delete(mod["key"])
            else:
                raise ValueError(f"datasets can be set and deleted as a whole; {mod['action']!r:.40} is for lists")
            return
        persist = self._entry(path[0])[0]
        if path[1:2] != [1]:
            raise ValueError(f"{path!r:.100} does not lead into the value of a dataset ([name, 1, ...])")
        for field in ("value", "x", "key", "i"):
            _check_value(path[0], mod.get(field))
        process_mod(self._data, {**mod, "path": path})
        if persist:
            self._changed(path[0])

    async def save(self) -> None:
        """Writes all persistent changes; they are on disk on return. Raises OSError; they are kept then."""
        async with self._saving:
            keys, self._unsaved = self._unsaved, set()
            changes = dict(filter(None, map(self._stored_form, keys)))
            if not changes:
                return
            try:
                await asyncio.get_running_loop().run_in_executor(None, self._file.write, changes)
            except BaseException:
                self._unsaved |= keys
                raise

    # Life

    async def start(self) -> None:
        self._task = asyncio.create_task(self._save_what_changes())

    async def stop(self) -> None:
        """Saves and closes. What cannot be saved even now is logged by name."""
        if self._task is not None:
            async with self._saving:  # so that no thread is writing
                self._task.cancel()
            await asyncio.wait([self._task])
        try:
            await self.save()
        except OSError as error:
            logger.critical("persistent datasets are lost, as they could not be saved: %s (%s)",
                            ", ".join(sorted(self._unsaved)), error)
        self._file.close()

    async def _save_what_changes(self) -> None:
        failing = False
        while True:
            await self._wake.wait()
            await asyncio.sleep(SAVE_AFTER)
            self._wake.clear()
            try:
                await self.save()
            except OSError as error:
                self._wake.set()
                if not failing:
                    logger.error("persistent datasets cannot be saved, which is tried again until it works: %s", error)
                failing = True
            else:
                if failing:
                    logger.warning("persistent datasets are saved again")
                failing = False

    # Within

    def _entry(self, key: str) -> tuple[bool, Any, dict[str, Any]]:
        try:
            entry: tuple[bool, Any, dict[str, Any]] = self._data.raw_view[key]
        except KeyError:
            raise KeyError(f"no dataset {key!r}") from None
        return entry

    def _set(self, key: Any, persist: Any, value: Any, metadata: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"the name of a dataset is a string, not {key!r:.100}")
        if persist:
            encode_key(key)
        _check_value(key, value)
        metadata = _checked_metadata(key, metadata)
        stored = key in self._data.raw_view and self._data.raw_view[key][0]
        self._data[key] = bool(persist), value, metadata
        if persist or stored:
            self._changed(key)

    def _changed(self, key: str) -> None:
        self._unsaved.add(key)
        self._wake.set()

    def _stored_form(self, key: str) -> tuple[bytes, bytes | None] | None:
        """Key and value for the file, None for a value that is not in it; None if it cannot be encoded."""
        persist, value, metadata = self._data.raw_view.get(key, (False, None, {}))
        try:
            return encode_key(key), pyon.encode((value, metadata)).encode() if persist else None
        except Exception as error:  # noqa: BLE001  checked before, yet one value must never stop the others
            logger.error("persistent dataset %r cannot be saved: %s", key, error)
            return None


def _check_value(key: str, value: Any) -> None:
    """Raises what pyon.encode raises for values that cannot be published."""
    kind = type(value)
    if kind in _SIMPLE or (kind is list and set(map(type, value)) <= _SIMPLE):
        return
    if kind is np.ndarray and value.dtype.kind in "biufc":
        return
    try:
        pyon.encode(value)
    except (TypeError, ValueError, AssertionError) as error:
        raise type(error)(f"dataset {key!r}: {error}") from None


def _checked_metadata(key: str, metadata: Any) -> dict[str, Any]:
    if not isinstance(metadata, dict):
        raise TypeError(f"dataset {key!r}: its metadata is a dict, not {metadata!r:.100}")
    for name, kinds in _METADATA.items():
        value = metadata.get(name)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise TypeError(f"dataset {key!r}: {name} cannot be {value!r:.100}")
    _check_value(key, metadata)
    return {name: value for name, value in metadata.items() if value is not None}
