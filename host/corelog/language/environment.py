"""What an experiment is made of: stages, and access to devices, arguments and datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol

from corelog.language.arguments import NoDefault, Processor
from corelog.language.core import host_only, rpc

__all__ = ["EnvExperiment", "Experiment", "HasEnvironment"]


class DeviceSource(Protocol):
    def get(self, name: str) -> Any: ...
    def get_device_db(self) -> dict[str, Any]: ...


class DatasetSource(Protocol):
    def set(self, key: str, value: Any, metadata: dict[str, Any], broadcast: bool, persist: bool,
            archive: bool) -> None: ...
    def mutate(self, key: str, index: Any, value: Any) -> None: ...
    def append_to(self, key: str, value: Any) -> None: ...
    def get(self, key: str, archive: bool) -> Any: ...
    def get_metadata(self, key: str) -> dict[str, Any]: ...


class ArgumentSource(Protocol):
    def get(self, key: str, processor: Processor, group: str | None, tooltip: str | None) -> Any: ...
    def get_interactive(self, requests: Sequence[tuple[str, Processor, str | None, str | None]],
                        title: str) -> dict[str, Any]: ...


class Managers(NamedTuple):
    """Where an experiment's environment comes from: a tuple, as in ARTIQ."""

    devices: DeviceSource
    datasets: DatasetSource
    arguments: ArgumentSource
    scheduler_defaults: dict[str, Any]


class HasEnvironment:
    """Base of experiments and of their parts. `build` is called at construction with the further arguments.

    A part is made with its owner as first argument, `Part(self, ...)`, and shares the owner's environment.
    """

    def __init__(self, managers_or_parent: Any, *args: Any, **kwargs: Any):
        self.children: list[HasEnvironment] = []
        # Frameworks built on ARTIQ know these by their full names (_HasEnvironment__dataset_mgr).
        self.__device_mgr: DeviceSource
        self.__dataset_mgr: DatasetSource
        self.__argument_mgr: ArgumentSource
        self.__scheduler_defaults: dict[str, Any]
        if isinstance(managers_or_parent, HasEnvironment):
            managers_or_parent.register_child(self)
            self.__device_mgr = managers_or_parent.__device_mgr
            self.__dataset_mgr = managers_or_parent.__dataset_mgr
            self.__argument_mgr = managers_or_parent.__argument_mgr
            self.__scheduler_defaults = {}  # those that a part sets are its own affair
        else:
            (self.__device_mgr, self.__dataset_mgr, self.__argument_mgr,
             self.__scheduler_defaults) = managers_or_parent
        self.__in_build = True
        self.build(*args, **kwargs)
        self.__in_build = False

    def register_child(self, child: HasEnvironment) -> None:
        self.children.append(child)

    @host_only
    def call_child_method(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Calls a method of every part that has it, in the order in which they were made."""
        for child in self.children:
            if callable(getattr(child, method, None)):
                getattr(child, method)(*args, **kwargs)

    def build(self, *args: Any, **kwargs: Any) -> None:
        """To be overridden: asks for devices and arguments. No hardware access here."""

    # Arguments

    @host_only
    def get_argument(self, key: str, processor: Processor, group: str | None = None, tooltip: str | None = None) -> Any:
        """An argument's processed value; only in build()."""
        if not self.__in_build:
            raise TypeError("arguments are available in build() only")
        return self.__argument_mgr.get(key, processor, group, tooltip)

    @host_only
    def setattr_argument(self, key: str, processor: Processor, group: str | None = None,
                         tooltip: str | None = None) -> None:
        """Sets the attribute `key` to the argument of that name."""
        self.__set_invariant(key, self.get_argument(key, processor, group, tooltip))

    def __set_invariant(self, key: str, value: Any) -> None:
        setattr(self, key, value)
        self.kernel_invariants = getattr(self, "kernel_invariants", set()) | {key}

    @contextmanager
    def interactive(self, title: str = "") -> Iterator[Any]:
        """Asks the user for arguments during a run.

            with self.interactive("Alignment") as asked:
                asked.setattr_argument("position", NumberValue(0))
            print(asked.position)

        At the end of the block the run waits until the user has answered. Raises CancelledArgsError if the user
        cancels.
        """
        requests: list[tuple[str, Processor, str | None, str | None]] = []
        asked = SimpleNamespace(setattr_argument=lambda key, processor, group=None, tooltip=None: requests.append(
            (key, processor, group, tooltip)))
        yield asked
        del asked.setattr_argument
        vars(asked).update(self.__argument_mgr.get_interactive(requests, title))

    # Devices

    @host_only
    def get_device_db(self) -> dict[str, Any]:
        return self.__device_mgr.get_device_db()

    @host_only
    def get_device(self, key: str) -> Any:
        """The driver of a device. Raises DeviceError."""
        return self.__device_mgr.get(key)

    @host_only
    def setattr_device(self, key: str) -> None:
        """Sets the attribute `key` to the driver of the device of that name."""
        self.__set_invariant(key, self.get_device(key))

    # Datasets

    @rpc(flags={"async"})
    def set_dataset(self, key: str, value: Any, *, unit: str | None = None, scale: float | None = None,
                    precision: int | None = None, broadcast: bool = False, persist: bool = False,
                    archive: bool = True) -> None:
        """Sets a dataset. `broadcast` shows it to clients, `persist` keeps it too, `archive`: in the results."""
        hints = {"unit": unit, "scale": scale, "precision": precision}
        self.__dataset_mgr.set(key, value, {k: v for k, v in hints.items() if v is not None},
                               broadcast, persist, archive)

    @rpc(flags={"async"})
    def mutate_dataset(self, key: str, index: Any, value: Any) -> None:
        """Sets an element; index: int, slice, or a tuple of them for each dimension."""
        self.__dataset_mgr.mutate(key, index, value)

    @rpc(flags={"async"})
    def append_to_dataset(self, key: str, value: Any) -> None:
        """Appends an element to a list dataset."""
        self.__dataset_mgr.append_to(key, value)

    @rpc
    def get_dataset(self, key: str, default: Any = NoDefault, archive: bool = True) -> Any:
        """A dataset's value. Without default, KeyError if there is none."""
        try:
            return self.__dataset_mgr.get(key, archive)
        except KeyError:
            if default is NoDefault:
                raise
            return default

    @rpc
    def get_dataset_metadata(self, key: str, default: Any = NoDefault) -> Any:
        """A dataset's unit, scale and precision, as far as given."""
        try:
            return self.__dataset_mgr.get_metadata(key)
        except KeyError:
            if default is NoDefault:
                raise
            return default

    @host_only
    def setattr_dataset(self, key: str, default: Any = NoDefault, archive: bool = True) -> None:
        """Sets the attribute `key` to the dataset of that name."""
        setattr(self, key, self.get_dataset(key, default, archive))

    # Scheduling

    @host_only
    def set_default_scheduling(self, priority: int | None = None, pipeline_name: str | None = None,
                               flush: bool | None = None) -> None:
        """Defaults that clients offer for this experiment's submission."""
        given = {"priority": priority, "pipeline_name": pipeline_name, "flush": flush}
        self.__scheduler_defaults.update({k: v for k, v in given.items() if v is not None})


class Experiment:
    """Base of what can be run, in these stages; only `run` is mandatory.

    `prepare` and `analyze` overlap with the runs of other experiments and must not touch hardware.
    """

    argument_ui: str | None = None
    """Name of the user interface that clients shall use for the arguments instead of their own."""

    def prepare(self) -> None:
        """Computations before `run`."""

    def run(self) -> None:
        """The experiment itself."""
        raise NotImplementedError(f"experiment {type(self).__name__} has no run()")

    def analyze(self) -> None:
        """Computations after `run`."""


class EnvExperiment(Experiment, HasEnvironment):
    """An experiment with an environment: what experiments derive from. `prepare` prepares its parts."""

    def prepare(self) -> None:
        self.call_child_method("prepare")


def is_experiment(value: Any) -> bool:
    """Whether an object is a class of experiments that can be run."""
    return isinstance(value, type) and issubclass(value, Experiment) and value not in (Experiment, EnvExperiment)


def is_public_experiment(value: Any) -> bool:
    """Whether an object is an experiment to be offered: its name has no leading underscore."""
    return is_experiment(value) and not value.__name__.startswith("_")
