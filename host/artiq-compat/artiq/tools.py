"""Loading experiments, for scripts."""

from types import ModuleType
from typing import Any

from corelog.frontend.run import parse_arguments
from corelog.master import worker_files

__all__ = ["file_import", "get_experiment", "parse_arguments"]


def file_import(filename: str, prefix: str = "file_import_") -> ModuleType:
    """The file as a module; how it is named is not for the caller to say."""
    return worker_files.load_file(filename)


def get_experiment(module: ModuleType, class_name: str | None = None) -> Any:
    """The experiment class of that name, or the only one."""
    return worker_files.find_experiment(module, class_name)
