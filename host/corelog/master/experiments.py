"""The experiment list: what is in the repository, found by examining its files in workers (protocols.md E.6)."""

from __future__ import annotations

import asyncio
import logging
import os
import string
from collections.abc import Iterator, Mapping
from typing import Any

from corelog.master.repository import Checkout, Repository, RepositoryError
from corelog.master.worker import EXAMINE_LIMIT, Worker, WorkerError, source
from corelog.master.workers import Workers
from sipyco.sync_struct import Notifier, update_from_dict

logger = logging.getLogger(__name__)

BATCH = 64
"""Files that a worker takes at a time, so that none is idle while another has many left."""


class ExperimentDB:
    """RPC target `experiment_db`. Publishes `explist` and `explist_status`.

    `start` scans in the background; `scanned` tells when that is done for the first time.
    """

    def __init__(self, repository: Repository, workers: Workers, subdirectory: str = "", *,
                 parallel: int | None = None, examine_limit: float = EXAMINE_LIMIT):
        self.notifier = Notifier({})
        self.status = Notifier({"scanning": False, "cur_rev": ""})
        self._repository = repository
        self._workers = workers
        self._subdirectory = subdirectory
        self._parallel = parallel or min(os.cpu_count() or 1, 8)
        self._limit = examine_limit
        self._current: Checkout | None = None
        self._scan = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    # RPC

    def root(self) -> str:
        """The repository's directory."""
        return self._repository.root

    async def scan_repository(self, new_cur_rev: str | None = None) -> None:
        """Makes the newest revision, or the one given, the current one; reads what experiments it has.

        A scan that goes on is waited for, and what came meanwhile is scanned then. Raises RepositoryError.
        """
        async with self._scan:
            self.status["scanning"] = True
            try:
                checkout = await self._repository.request(new_cur_rev or await self._repository.head())
                previous, self._current = self._current, checkout
                if previous is not None:
                    self._repository.release(previous.revision)
                self.status["cur_rev"] = checkout.revision
                update_from_dict(self.notifier, await self._list(checkout))
            finally:
                self.status["scanning"] = False

    def scan_repository_async(self, new_cur_rev: str | None = None) -> None:
        """The same, not waiting for it; what goes wrong is in the log."""
        task = asyncio.create_task(self._scan_and_log(new_cur_rev))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def examine(self, filename: str, use_repository: bool = True, revision: str | None = None) -> dict[str, Any]:
        """The experiments of one file: class name -> name, arginfo, argument_ui, scheduler_defaults.

        Raises WorkerError if it cannot be examined; the log says why.
        """
        if not use_repository:
            return await self._examine_one(filename, None)
        checkout = await self.request(revision)
        try:
            return await self._examine_one(filename, checkout.path)
        finally:
            self._repository.release(checkout.revision)

    def list_directory(self, directory: str) -> list[str]:
        """Entries of a directory of this machine, directories with a separator at the end. Empty: root, or drives."""
        prefix = ""
        if not directory:
            if os.name == "nt":
                return drives()
            directory = prefix = os.sep
        with os.scandir(directory) as entries:
            return sorted(prefix + entry.name + (os.sep if entry.is_dir() else "") for entry in entries)

    # For the scheduler

    async def request(self, revision: str | None) -> Checkout:
        """As Repository.request; None for the current revision. To be released there. Raises RepositoryError."""
        if revision is None:
            revision = await self._repository.head() if self._current is None else self._current.revision
        return await self._repository.request(revision)

    # Life

    async def start(self) -> None:
        self.scan_repository_async()

    async def scanned(self) -> None:
        """Waits for the scans that were started in the background."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.scanned()
        if self._current is not None:
            self._repository.release(self._current.revision)
            self._current = None

    # Within

    async def _scan_and_log(self, revision: str | None) -> None:
        try:
            await self.scan_repository(revision)
        except (RepositoryError, OSError) as error:
            logger.error("the repository cannot be scanned: %s", error)

    async def _list(self, checkout: Checkout) -> dict[str, Any]:
        files = await asyncio.to_thread(lambda: list(_files(checkout.path, self._subdirectory)))
        waiting = files[::-1]
        found: dict[str, Any] = {}
        workers = [self._work_off(waiting, checkout.path, found) for _ in range(min(self._parallel, len(files)))]
        await asyncio.gather(*workers)
        return _entries(files, found, self._subdirectory)

    async def _work_off(self, waiting: list[str], root: str, found: dict[str, Any]) -> None:
        """Examines files until none is waiting. A file that takes the worker with it is skipped, and no other."""
        worker: Worker | None = None
        try:
            while waiting:
                batch = waiting[-BATCH:][::-1]
                del waiting[-BATCH:]
                worker = worker or self._workers.make()
                try:
                    await self._examine(worker, "scan", batch, root, found)
                except WorkerError as error:
                    left = [file for file in batch if file not in found]
                    logger.error("%s cannot be examined: %s", left[0], error)
                    waiting += left[:0:-1]
                    await worker.close()
                    worker = None
        finally:
            if worker is not None:
                await worker.close()

    async def _examine(self, worker: Worker, purpose: str, files: list[str], root: str | None,
                       found: dict[str, Any]) -> None:
        """`purpose` and the file being examined are the source of what the worker logs."""
        following = iter([*files[1:], files[-1]])

        def examined(file: str, experiments: Any) -> None:
            found[file] = experiments
            worker.source = source(purpose, {"file": next(following)})

        worker.source = source(purpose, {"file": files[0]})
        await worker.examine(files, root, examined, self._limit)

    async def _examine_one(self, file: str, root: str | None) -> dict[str, Any]:
        worker = self._workers.make()
        found: dict[str, Any] = {}
        try:
            await self._examine(worker, "examine", [file], root, found)
        finally:
            await worker.close()
        if found[file] is None:
            raise WorkerError(f"{file} cannot be examined; the log says why")
        experiments: dict[str, Any] = found[file]
        return experiments


def drives() -> list[str]:
    """What Windows has in place of a root directory."""
    return [f"{letter}:\\" for letter in string.ascii_uppercase if os.path.exists(f"{letter}:\\")]


def _files(root: str, subdirectory: str) -> Iterator[str]:
    """Python files below `subdirectory`, relative to `root`, in the order of the list."""
    directory = os.path.join(root, subdirectory)
    try:
        with os.scandir(directory) as scan:
            entries = sorted((entry for entry in scan if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        logger.error("%s cannot be read: %s", directory, error.strerror)
        return
    for entry in entries:
        path = os.path.join(subdirectory, entry.name)
        if entry.is_dir():
            yield from _files(root, path)
        elif entry.name.endswith(".py") and entry.is_file():
            yield path


def _entries(files: list[str], found: Mapping[str, Any], subdirectory: str) -> dict[str, Any]:
    """`explist`."""
    entries: dict[str, Any] = {}
    for file in files:
        folder = os.path.relpath(os.path.dirname(file) or ".", subdirectory or ".").replace(os.sep, "/")
        prefix = "" if folder == "." else folder + "/"
        for class_name, description in (found.get(file) or {}).items():
            name = description["name"]
            if "/" in name:
                name = name.replace("/", "_")
                logger.warning("'/' is not allowed in names of experiments; %s in %s is named %r", class_name, file,
                               name)
            unique, number = prefix + name, 0
            while unique in entries:
                number += 1
                unique = f"{prefix}{name}{number}"
            if number:
                logger.warning("two experiments are named %r; %s in %s is named %r", prefix + name, class_name, file,
                               unique)
            entries[unique] = {"file": file.replace(os.sep, "/"), "class_name": class_name,
                               **{key: description[key] for key in ("arginfo", "argument_ui", "scheduler_defaults")}}
    return entries
