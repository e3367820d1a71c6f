"""Loading experiments, for scripts."""

from types import ModuleType
from typing import Any

from corelog.frontend.run import find_experiment, load_module, parse_arguments

__all__ = ["file_import", "get_experiment", "parse_arguments"]


def file_import(filename: str, prefix: str = "file_import_") -> ModuleType:
    """The file as a module."""
    return load_module(filename, prefix)


def get_experiment(module: ModuleType, class_name: str | None = None) -> Any:
    """The experiment class of that name, or the only one."""
    return find_experiment(module, class_name, str(module.__file__))
