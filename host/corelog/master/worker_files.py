"""Experiment files in a worker: loading them, and finding the experiments in them."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import linecache
import os
import sys
from types import CodeType, ModuleType
from typing import Any

from corelog.language.environment import is_experiment, is_public_experiment

CONTENT_NAME = "<submitted experiment>"


class _AlwaysFromSource(importlib.machinery.SourceFileLoader):
    """Without the cache of compiled files, which takes a file changed twice within a second for the same."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def load_file(path: str, root: str | None = None) -> ModuleType:
    """Runs an experiment file. From then on modules beside it, and below `root`, can be imported."""
    path = os.path.abspath(path)
    for folder in (root, os.path.dirname(path)):
        if folder is not None and folder not in sys.path:
            sys.path.insert(0, folder)
    name = f"file_import_{os.path.splitext(os.path.basename(path))[0]}"
    specification = importlib.util.spec_from_loader(name, _AlwaysFromSource(name, path))
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def load_content(source: str) -> ModuleType:
    """Runs an experiment that was submitted as text. Its lines are there for tracebacks and for kernels."""
    linecache.cache[CONTENT_NAME] = len(source), None, source.splitlines(keepends=True), CONTENT_NAME
    module = ModuleType("file_import_content")
    module.__file__ = CONTENT_NAME
    sys.modules[module.__name__] = module
    exec(compile(source, CONTENT_NAME, "exec"), vars(module))
    return module


def experiments(module: ModuleType) -> dict[str, type]:
    """The public experiments in a module by name, in alphabetical order. Imported ones count: a file may have been
    written to offer those of a library."""
    return {name: value for name, value in sorted(vars(module).items()) if is_public_experiment(value)}


def find_experiment(module: ModuleType, class_name: str | None) -> Any:
    """The experiment class of that (possibly dotted) name, or the only public one, where imported ones count if there
    is no other. Raises ValueError."""
    file = os.path.basename(module.__file__ or "")
    if class_name is not None:
        found: Any = module
        for part in class_name.split("."):
            found = getattr(found, part, None)
        if not is_experiment(found):
            raise ValueError(f"{file} has no experiment {class_name}")
        return found
    every = experiments(module)
    offered = {name: kind for name, kind in every.items() if kind.__module__ == module.__name__} or every
    if len(offered) != 1:
        raise ValueError(f"{file} has several experiments, say which: {', '.join(offered)}" if offered else
                         f"{file} has no experiment (a class derived from EnvExperiment)")
    return next(iter(offered.values()))
