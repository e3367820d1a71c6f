"""Datasets of an experiment that runs without a master."""

from __future__ import annotations

import copy
from typing import Any

from corelog.language.timeline import MuTime


class LocalDatasets:
    """Holds what the experiment sets; `values` are its datasets by name, `archive` those that belong in results.

    Source of datasets set elsewhere: `stored`, name -> (value, metadata).
    """

    def __init__(self, stored: dict[str, tuple[Any, dict[str, Any]]] | None = None):
        self._stored = dict(stored or {})
        self.values: dict[str, Any] = {}
        self.metadata: dict[str, dict[str, Any]] = {}
        self.archive: set[str] = set()
        self.read: dict[str, Any] = {}
        """What the experiment read of others' datasets with archiving on."""

    def set(self, key: str, value: Any, metadata: dict[str, Any], *, broadcast: bool, persist: bool,
            archive: bool) -> None:
        self.values[key] = int(value) if isinstance(value, MuTime) else value
        self.metadata[key] = metadata
        if archive:
            self.archive.add(key)

    def _own(self, key: str) -> Any:
        if key not in self.values:
            raise KeyError(f"cannot change dataset {key!r}: this experiment has not set it")
        return self.values[key]

    def mutate(self, key: str, index: Any, value: Any) -> None:
        target = self._own(key)
        if isinstance(index, tuple) and not hasattr(target, "shape"):
            for step in index[:-1]:
                target = target[_slice(step)]
            index = index[-1]
        elif isinstance(index, tuple) and not any(isinstance(i, slice) for i in index):
            index = tuple(_slice(i) for i in index)
        target[_slice(index)] = value

    def append_to(self, key: str, value: Any) -> None:
        target = self._own(key)
        if not isinstance(target, list):
            raise TypeError(f"dataset {key!r} is a {type(target).__name__}; only lists can be appended to")
        target.append(int(value) if isinstance(value, MuTime) else value)

    def get(self, key: str, *, archive: bool) -> Any:
        if key in self.values:
            return self.values[key]
        if key not in self._stored:
            raise KeyError(f"no dataset {key!r}")
        value = self._stored[key][0]
        if archive:
            self.read[key] = copy.deepcopy(value)
        return value

    def get_metadata(self, key: str) -> dict[str, Any]:
        if key in self.metadata:
            return self.metadata[key]
        if key not in self._stored:
            raise KeyError(f"no dataset {key!r}")
        return self._stored[key][1]


def _slice(index: Any) -> Any:
    """ARTIQ lets a tuple (start, stop[, step]) stand for a slice."""
    return slice(*index) if isinstance(index, tuple) else index
