"""Examining experiment files: which experiments are in them, and what arguments these ask for (protocols.md E.6).

A file's modules are forgotten before the next file, as folders may have different modules of one name.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from corelog.language.managers import ExamineDatasetManager, ExamineDeviceManager, Managers, TraceArgumentManager
from corelog.master import worker_files
from corelog.master.worker_link import Link, MasterDatasetDB, MasterDeviceDB

logger = logging.getLogger("corelog.worker")


def examine(link: Link, files: Sequence[str], root: str | None) -> None:
    """Tells the master of each file what is in it, or None if it cannot be examined, which is logged."""
    devices, datasets = ExamineDeviceManager(MasterDeviceDB(link)), ExamineDatasetManager(MasterDatasetDB(link))
    for file in files:
        path, modules = list(sys.path), set(sys.modules)
        try:
            module = worker_files.load_file(os.path.join(root or "", file), root)
            found = {class_name: describe(kind, devices, datasets)
                     for class_name, kind in worker_files.experiments(module).items()}
        except (Exception, SystemExit) as error:  # whatever the file raises is its own affair
            logger.error("%s cannot be examined: %s: %s", file, type(error).__name__, error, exc_info=True)
            found = None
        link.put({"action": "examined", "file": file, "experiments": found})
        sys.path[:] = path
        _forget(set(sys.modules) - modules, root or os.path.dirname(os.path.abspath(file)))


def describe(kind: Any, devices: ExamineDeviceManager, datasets: ExamineDatasetManager) -> dict[str, Any]:
    """What clients need to know to submit an experiment of that class. Raises what its build() raises."""
    arguments, scheduler_defaults = TraceArgumentManager(), {}  # type: ignore[var-annotated]
    kind(Managers(devices, datasets, arguments, scheduler_defaults))
    return {"name": _title(kind), "arginfo": arguments.describe_arguments(),
            "argument_ui": getattr(kind, "argument_ui", None), "scheduler_defaults": scheduler_defaults}


def _title(kind: type) -> str:
    """The first line of the docstring without its full stop, or the name of the class."""
    lines = (kind.__doc__ or "").strip().splitlines()
    return (lines[0].strip().removesuffix(".") if lines else "") or kind.__name__


def _forget(modules: set[str], folder: str) -> None:
    inside = os.path.join(os.path.abspath(folder), "")
    for name in modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(inside):
            del sys.modules[name]
