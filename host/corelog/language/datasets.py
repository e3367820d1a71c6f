"""The datasets of one run: what it sets, broadcasts and reads.

Every change of a broadcast dataset goes to the dataset database at once, as a mod (see sipyco.sync_struct) of the
structure key -> (persist, value, metadata).
"""

from __future__ import annotations

import copy
import logging
from typing import Any, NamedTuple, Protocol

from corelog.language.timeline import MuTime
from sipyco.sync_struct import Notifier, process_mod

logger = logging.getLogger(__name__)


class DatasetDB(Protocol):
    """The datasets of all: the master's, reached through a worker's pipe, or LocalDatasetDB."""

    def get(self, key: str) -> Any: ...
    def get_metadata(self, key: str) -> dict[str, Any]: ...
    def update(self, mod: dict[str, Any]) -> None: ...


class Entry(NamedTuple):
    value: Any
    metadata: dict[str, Any]


class DatasetManager:
    """`local`: what the run sets for its results; `archive`: what it read of others' datasets with archiving on."""

    def __init__(self, ddb: DatasetDB):
        self.ddb = ddb
        self.local: dict[str, Entry] = {}
        self.archive: dict[str, Entry] = {}
        self._broadcaster = Notifier({})
        self._broadcaster.publish = ddb.update

    def set(self, key: str, value: Any, metadata: dict[str, Any] | None = None, broadcast: bool = False,
            persist: bool = False, archive: bool = True) -> None:
        """`persist` implies `broadcast`. Raises what the database raises if it does not take the value."""
        if not isinstance(key, str):
            raise TypeError(f"the name of a dataset is a string, not {key!r}")
        entry = Entry(_plain(value), dict(metadata or {}))
        if key in self.archive:
            logger.warning("dataset %r was read before it was set; the results' archive keeps the value that was read",
                           key)
        if broadcast or persist:
            # An entry that the database refuses is none of ours either.
            previous = self._broadcaster.raw_view.get(key)
            try:
                self._broadcaster[key] = (persist, *entry)
            except BaseException:
                if previous is None:
                    del self._broadcaster.raw_view[key]
                else:
                    self._broadcaster.raw_view[key] = previous
                raise
        elif key in self._broadcaster.raw_view:
            del self._broadcaster[key]
        if archive:
            self.local[key] = entry
        else:
            self.local.pop(key, None)

    def _container(self, key: str) -> Any:
        """The dataset to be changed in place: the value itself, or its Notifier if it is broadcast."""
        if key in self._broadcaster.raw_view:
            return self._broadcaster[key][1]
        if key not in self.local:
            raise KeyError(f"cannot change dataset {key!r}: this experiment has not set it")
        return self.local[key].value

    def mutate(self, key: str, index: Any, value: Any) -> None:
        """Sets an element. A tuple of numbers is slice(*index), a tuple of tuples one slice for each dimension."""
        if isinstance(index, tuple):
            nested = any(isinstance(part, tuple) for part in index)
            index = tuple(map(_slice, index)) if nested else slice(*index)
        self._container(key)[index] = _plain(value)

    def append_to(self, key: str, value: Any) -> None:
        """Appends an element to a list."""
        container = self._container(key)
        raw = container.raw_view if isinstance(container, Notifier) else container
        if not isinstance(raw, list):
            raise TypeError(f"dataset {key!r} is a {type(raw).__name__}; only lists can be appended to")
        container.append(_plain(value))

    def get(self, key: str, archive: bool = False) -> Any:
        """The run's own value, or the database's. Raises KeyError."""
        if key in self.local:
            return self.local[key].value
        value = self.ddb.get(key)
        if archive:
            self.archive[key] = Entry(copy.deepcopy(value), self.ddb.get_metadata(key))
        return value

    def get_metadata(self, key: str) -> dict[str, Any]:
        if key in self.local:
            return self.local[key].metadata
        return self.ddb.get_metadata(key)

    def write_hdf5(self, file: Any) -> None:
        """Adds the groups `datasets` and `archive` to an open HDF5 file. Raises TypeError, once all else is written."""
        from corelog.language import results  # loads a library that not every run needs

        results.write_datasets(file, self)


class LocalDatasetDB:
    """The dataset database of a run without a master: starts from `stored`, changes nothing outside."""

    def __init__(self, stored: dict[str, tuple[Any, dict[str, Any]]] | None = None):
        self._data = {key: (True, value, metadata) for key, (value, metadata) in (stored or {}).items()}

    def _entry(self, key: str) -> tuple[bool, Any, dict[str, Any]]:
        if key not in self._data:
            raise KeyError(f"no dataset {key!r}")
        return self._data[key]

    def get(self, key: str) -> Any:
        return copy.deepcopy(self._entry(key)[1])

    def get_metadata(self, key: str) -> dict[str, Any]:
        return copy.deepcopy(self._entry(key)[2])

    def update(self, mod: dict[str, Any]) -> None:
        process_mod(self._data, copy.deepcopy(mod))


def _plain(value: Any) -> Any:
    """A time of a kernel becomes the int it stands for."""
    return int(value) if isinstance(value, MuTime) else value


def _slice(index: Any) -> Any:
    return slice(*index) if isinstance(index, tuple) else index
