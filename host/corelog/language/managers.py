"""What stands behind an experiment's environment: devices, datasets, arguments; in a run and while it is examined.

The tuple given to an experiment class is `Managers`. A worker makes, of proxies of the master's databases,

    devices = DeviceManager(device_db_proxy, {"scheduler": ..., "ccb": ...}, expid.get("devarg_override"))
    datasets = DatasetManager(dataset_db_proxy)
    arguments = ProcessArgumentManager(expid["arguments"], ask)
    experiment = experiment_class(Managers(devices, datasets, arguments, {}))
    arguments.check_unprocessed_arguments()

and at the end `write_results(folder, datasets, rid=...)`. To examine, ExamineDeviceManager, ExamineDatasetManager and
TraceArgumentManager take their places; then `describe_arguments()` gives the experiment list's `arginfo`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from corelog.language.arguments import CancelledArgsError, DefaultMissing, Processor
from corelog.language.datasets import DatasetDB, DatasetManager
from corelog.language.devices import DeviceDB, DeviceManager, DummyDevice
from corelog.language.environment import Managers

__all__ = ["DatasetManager", "DeviceManager", "ExamineDatasetManager", "ExamineDeviceManager", "Managers",
           "ProcessArgumentManager", "TraceArgumentManager", "process_interactive", "write_results"]

Request = tuple[str, Processor, str | None, str | None]
"""Name, processor, group, tooltip of an argument."""
Description = tuple[str, dict[str, Any], str | None, str | None]
Ask = Callable[[list[Description], str], Mapping[str, Any] | None]
"""Asks the user for interactive arguments (descriptions, title); None if the user cancels."""


def write_results(*args: Any, **kwargs: Any) -> Any:
    """See corelog.language.results.write_results; loads the HDF5 library when called first."""
    from corelog.language import results

    return results.write_results(*args, **kwargs)


def process_interactive(requests: Sequence[Request], supplied: Mapping[str, Any]) -> dict[str, Any]:
    """The values of interactive arguments, or their defaults. Raises DefaultMissing or ValueError naming one."""
    return {key: _value(key, processor, supplied) for key, processor, _, _ in requests}


def _value(key: str, processor: Processor, submitted: Mapping[str, Any]) -> Any:
    if key not in submitted:
        try:
            return processor.default()
        except DefaultMissing:
            raise DefaultMissing(f"argument {key!r} has no default: give {key}=VALUE") from None
    try:
        return processor.process(submitted[key])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"argument {key!r}: {error}") from None


class ProcessArgumentManager:
    """The submitted arguments of one run; knows which of them the experiment asked for."""

    def __init__(self, unprocessed_arguments: Mapping[str, Any], ask: Ask | None = None):
        self.unprocessed_arguments = dict(unprocessed_arguments)
        self._ask = ask
        self._requested: set[str] = set()

    def get(self, key: str, processor: Processor, group: str | None = None, tooltip: str | None = None) -> Any:
        """The processed value, or the default. Raises DefaultMissing or ValueError, naming the argument."""
        self._requested.add(key)
        return _value(key, processor, self.unprocessed_arguments)

    def check_unprocessed_arguments(self) -> None:
        """Raises AttributeError if something was submitted that the experiment does not ask for."""
        unused = sorted(set(self.unprocessed_arguments) - self._requested)
        if unused:
            known = ", ".join(sorted(self._requested)) or "none"
            raise AttributeError(f"the experiment has no argument {', '.join(map(repr, unused))} (it has: {known})")

    def get_interactive(self, requests: Sequence[Request], title: str) -> dict[str, Any]:
        """Waits for the user. Raises CancelledArgsError if the user cancels."""
        if self._ask is None:
            raise RuntimeError("there is nobody to ask for interactive arguments")
        supplied = self._ask([(key, processor.describe(), group, tip) for key, processor, group, tip in requests],
                             title)
        if supplied is None:
            raise CancelledArgsError("the request for arguments was cancelled")
        return process_interactive(requests, supplied)


class TraceArgumentManager:
    """Notes what an experiment asks for while it is examined; every value is None."""

    def __init__(self) -> None:
        self.requested_args: dict[str, tuple[Processor, str | None, str | None]] = {}

    def get(self, key: str, processor: Processor, group: str | None = None, tooltip: str | None = None) -> None:
        self.requested_args[key] = processor, group, tooltip

    def describe_arguments(self) -> dict[str, tuple[dict[str, Any], str | None, str | None]]:
        """`arginfo` of protocols.md E.6: name -> (description, group, tooltip), in the order of requests."""
        return {key: (processor.describe(), group, tip) for key, (processor, group, tip) in self.requested_args.items()}

    def get_interactive(self, requests: Sequence[Request], title: str) -> dict[str, Any]:
        raise TypeError("interactive arguments are available in run() only")


class ExamineDeviceManager:
    """Every device is an inert object; the device database is real."""

    def __init__(self, ddb: DeviceDB):
        self._ddb = ddb

    def get_device_db(self) -> dict[str, Any]:
        return self._ddb.get_device_db()

    def get(self, name: str) -> Any:
        return DummyDevice()


class ExamineDatasetManager:
    """Datasets can be read, and not changed, while an experiment is examined."""

    def __init__(self, ddb: DatasetDB):
        self._ddb = ddb

    def get(self, key: str, archive: bool = False) -> Any:
        return self._ddb.get(key)

    def get_metadata(self, key: str) -> dict[str, Any]:
        return self._ddb.get_metadata(key)

    def _refuse(self, *_: Any, **__: Any) -> None:
        raise TypeError("datasets are read-only in build()")

    set = mutate = append_to = _refuse
