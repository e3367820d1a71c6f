"""What the master does with experiments: datasets, repository, schedule, workers; made and joined to the master."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from corelog.master.claim import claim
from corelog.master.datasets import DatasetDB
from corelog.master.devices import DeviceDatabase
from corelog.master.experiments import ExperimentDB
from corelog.master.interactive import InteractiveArgDB
from corelog.master.repository import Repository, open_repository
from corelog.master.rids import RIDCounter
from corelog.master.scheduler import Scheduler
from corelog.master.worker_process import Processes, processes
from corelog.master.workers import Workers

CLAIM = "last_rid.pyon-lock"
SCHEDULE_METHODS = ("submit", "delete", "request_termination", "get_status", "check_pause", "check_termination")


@dataclass(frozen=True)
class Options:
    dataset_db: str = "dataset_db.mdb"
    repository: str = "repository"
    git: bool = False
    experiment_subdir: str = ""
    log_submissions: str | None = None


class Broadcaster(Protocol):
    def broadcast(self, name: str, obj: Any) -> None: ...


class _Revisions:
    """The repository as the scheduler needs it: submissions without a revision mean the current one."""

    def __init__(self, experiments: ExperimentDB, repository: Repository):
        self.request = experiments.request
        self.release = repository.release


class Experiments:
    """All parts, in the order in which they start. `throttle` is awaited before more of what experiments print
    is read.

    Raises DatasetDBError, RepositoryError, sqlite3.OperationalError if another master has this directory, and OSError
    if the last RID cannot be read or written.
    """

    def __init__(self, options: Options, devices: DeviceDatabase, broadcaster: Broadcaster,
                 throttle: Callable[[], Awaitable[Any]] | None = None):
        self._broadcaster = broadcaster
        claimed = claim(CLAIM)  # two masters in one directory would give the same RIDs
        self.repository = open_repository(options.repository, options.git)
        rids = RIDCounter()
        self.datasets = DatasetDB(options.dataset_db)
        self.interactive = InteractiveArgDB()
        self.processes = processes()
        handlers = self._handlers(devices)
        workers = Workers(self.processes, handlers, throttle)
        self.experiments = ExperimentDB(self.repository, workers, options.experiment_subdir)
        self.scheduler = Scheduler(rids, _Revisions(self.experiments, self.repository), workers,
                                   options.log_submissions)
        handlers |= {f"scheduler_{name}": getattr(self.scheduler, name) for name in SCHEDULE_METHODS}
        self.parts: list[_Supply | DatasetDB | ExperimentDB | Scheduler] = [
            _Supply(self.repository, self.processes, claimed), self.datasets, self.experiments, self.scheduler]
        self.notifiers = {
            "schedule": self.scheduler.notifier, "datasets": self.datasets.notifier,
            "interactive_args": self.interactive.notifier, "explist": self.experiments.notifier,
            "explist_status": self.experiments.status}
        self.targets: dict[str, tuple[object, tuple[str, ...]]] = {
            "schedule": (self.scheduler, (*SCHEDULE_METHODS, "explain")),
            "dataset_db": (self.datasets, ("get", "get_metadata", "set", "delete", "update", "save")),
            "experiment_db": (self.experiments, ("scan_repository", "scan_repository_async", "examine",
                                                 "list_directory", "root")),
            "interactive_arg_db": (self.interactive, ("supply", "cancel"))}

    def _handlers(self, devices: DeviceDatabase) -> dict[str, Callable[..., Any]]:
        """What workers may ask."""
        return {
            "get_device_db": devices.get_device_db, "get_device": devices.get,
            "get_dataset": self.datasets.get, "get_dataset_metadata": self.datasets.get_metadata,
            "update_dataset": self.datasets.update, "get_interactive_arguments": self.interactive.get,
            "ccb_issue": self._issue}

    def _issue(self, service: str, *args: Any, **kwargs: Any) -> None:
        self._broadcaster.broadcast("ccb", {"service": service, "args": args, "kwargs": kwargs})


class _Supply:
    """What the others need until they have stopped, as a part of the master."""

    def __init__(self, repository: Repository, processes: Processes, claimed: sqlite3.Connection):
        self._repository = repository
        self._processes = processes
        self._claimed = claimed

    async def start(self) -> None:
        self._processes.warm_up()

    async def stop(self) -> None:
        await self._processes.close()
        await self._repository.close()
        self._claimed.close()
