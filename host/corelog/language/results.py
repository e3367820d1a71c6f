"""Results files: the datasets of a run in HDF5 (protocols.md E.5).

Group `datasets` holds what the experiment set, with the attributes unit, scale and precision where given; group
`archive` what it read of others' datasets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from corelog.language.datasets import LocalDatasets

_ATTRIBUTES = {"unit": str, "scale": np.float64, "precision": np.int64}


def write(path: Path, datasets: LocalDatasets) -> None:
    """Writes the file, which must not exist yet as something else than a file.

    Raises TypeError naming the dataset that HDF5 cannot hold, OSError if the file cannot be written.
    """
    with h5py.File(path, "w") as file:
        results, archive = file.create_group("datasets"), file.create_group("archive")
        for key in datasets.archive:
            put(results, key, datasets.values[key], datasets.metadata[key])
        for key, value in datasets.read.items():
            put(archive, key, value, {})


def put(group: h5py.Group, key: str, value: Any, metadata: dict[str, Any]) -> None:
    """One dataset; a `/` in its name makes nested groups."""
    try:
        array = np.asarray(value)
        if array.dtype.kind == "U" and array.shape:
            group.create_dataset(key, data=array.astype(object), dtype=h5py.string_dtype())
        else:
            group[key] = value
    except (TypeError, ValueError) as error:
        raise TypeError(f"dataset {key!r} is a {type(value).__name__} that HDF5 cannot hold: {error}") from error
    for name, convert in _ATTRIBUTES.items():
        if name in metadata:
            group[key].attrs[name] = convert(metadata[name])
