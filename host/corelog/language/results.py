"""Results files: the datasets of a run in HDF5 (protocols.md E.5).

Group `datasets` holds what the experiment set, group `archive` what it read of others' datasets, both with the
attributes unit, scale and precision where given. Beside them the facts of the run.
"""

from __future__ import annotations

import importlib.metadata
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from corelog.language.datasets import DatasetManager, Entry
from sipyco import pyon

_ATTRIBUTES = {"unit": str, "scale": np.float64, "precision": np.int64}


def folder(start_time: float) -> Path:
    """Where the results of a run that started then belong, below the master's working directory."""
    return Path("results", time.strftime("%Y-%m-%d", local := time.localtime(start_time)), time.strftime("%H", local))


def write_results(directory: Path, datasets: DatasetManager, *, rid: int, class_name: str, expid: dict[str, Any],
                  start_time: float, run_time: float) -> Path:
    """Writes the results file of a run into `directory`, which exists. Returns its path.

    The file appears under its name complete and on disk, or not at all. Raises OSError if it cannot be written;
    TypeError naming the datasets that HDF5 cannot hold, when the file is there with all others.
    """
    path = directory / f"{rid:09}-{class_name}.h5"
    facts = {"artiq_version": f"corelog {importlib.metadata.version('corelog')}", "rid": rid, "start_time": start_time,
             "run_time": run_time, "expid": pyon.encode(expid)}
    write(path, datasets, facts)
    return path


def write(path: Path, datasets: DatasetManager, facts: dict[str, Any] | None = None) -> None:
    """Writes `datasets` and `facts` (name -> scalar) to a file, as `write_results` says."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    refused: TypeError | None = None
    try:
        with h5py.File(partial, "w") as file:
            for name, value in (facts or {}).items():
                file[name] = value
            try:
                write_datasets(file, datasets)
            except TypeError as error:
                refused = error
        with open(partial, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    if refused is not None:
        raise refused


def write_datasets(file: h5py.File, datasets: DatasetManager) -> None:
    """Adds the groups `datasets` and `archive`. Raises TypeError naming what could not be held, once all else is in."""
    refused = []
    for name, entries in (("datasets", datasets.local), ("archive", datasets.archive)):
        group = file.create_group(name)
        for key, entry in entries.items():
            try:
                put(group, key, entry)
            except TypeError as error:
                refused.append(str(error))
    if refused:
        raise TypeError("; ".join(refused))


def put(group: h5py.Group, key: str, entry: Entry) -> None:
    """One dataset; a `/` in its name makes nested groups. Raises TypeError, which names the dataset."""
    value, metadata = entry
    try:
        array = np.asarray(value)
        if array.dtype.kind == "U":
            group.create_dataset(key, data=array.astype(object) if array.shape else str(value),
                                 dtype=h5py.string_dtype())
        else:
            group[key] = value
        for name, convert in _ATTRIBUTES.items():
            if metadata.get(name) is not None:
                group[key].attrs[name] = convert(metadata[name])
    # The kinds are those of h5py for values, for names that clash or are no names, and for numbers beyond 64 bits.
    except (TypeError, ValueError, KeyError, OverflowError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the dataset
        raise TypeError(f"dataset {key!r} is a {type(value).__name__} that HDF5 cannot hold: {error}") from error
