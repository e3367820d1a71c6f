"""The scheduler: pipelines (`scheduler_state`) driven by workers, published as `schedule`, asked by RPC."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from corelog.master import scheduler_explain, scheduler_submission
from corelog.master.repository import Checkout
from corelog.master.scheduler_state import DELETING, RUNNING, Outcome, Pipeline, Run, Step
from corelog.master.worker import Worker, WorkerError, WorkerTerminated, source
from corelog.master.workers import Workers
from sipyco.sync_struct import Notifier

logger = logging.getLogger(__name__)

LONGEST_NAP = 10.0
"""Seconds after which due dates are looked at again, as the clock may have been set."""
LINGER = 0.5
"""Seconds after stage run in which a run still counts as running; see `Scheduler.running`."""


class Revisions(Protocol):
    """Where experiments' files come from; see `corelog.master.experiments`."""

    async def request(self, revision: str | None) -> Checkout: ...
    def release(self, revision: str) -> None: ...


class RIDs(Protocol):
    def get(self) -> int: ...


@dataclass(eq=False)
class _Job:
    """A run with its worker."""

    run: Run
    pipeline: _Pipeline
    expid: dict[str, Any]
    checkout: Checkout | None
    worker: Worker
    step: asyncio.Task[None] | None = None
    watch: asyncio.Task[None] | None = None
    """Waits for the end of the process, from the end of build and prepare on."""


class _Pipeline:
    """A pipeline's state, its name, and the timer for the next due date."""

    def __init__(self, name: str, publish: Callable[[int, str], None]):
        self.name = name
        self.state = Pipeline(publish)
        self.timer: asyncio.TimerHandle | None = None


class Scheduler:
    """RPC target `schedule`.

    `log_submissions`: file that gets a line `RID,Unix time,file` for each submission.
    """

    def __init__(self, rids: RIDs, revisions: Revisions, workers: Workers, log_submissions: str | None = None):
        self.notifier = Notifier({})
        self._rids = rids
        self._revisions = revisions
        self._workers = workers
        self._log_submissions = log_submissions
        self._pipelines: dict[str, _Pipeline] = {}
        self._jobs: dict[int, _Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._ran: dict[int, float] = {}

    # RPC

    async def submit(self, pipeline_name: str, expid: dict[str, Any], priority: int = 0, due_date: float | None = None,
                     flush: bool = False) -> int | None:
        """Submits a run. Returns its RID, or None if the master is ending.

        expid: file or content, class_name, arguments, log_level, repo_rev (if present, `file` is in the repository;
        None for its current revision), devarg_override. due_date: earliest start, Unix time. flush: waits until no
        run of this priority or above is left in the pipeline. Raises ValueError or RepositoryError.
        """
        expid = scheduler_submission.checked(pipeline_name, expid, priority, due_date)
        priority, due_date = int(priority), None if due_date is None else float(due_date)  # they may be numpy's
        checkout = None
        if self._stopping:
            return None
        if "repo_rev" in expid:
            checkout = await self._revisions.request(expid["repo_rev"])
            expid["repo_rev"] = checkout.revision
        elif "file" in expid:
            expid["file"] = os.path.abspath(expid["file"])
        if self._stopping:
            self._release(checkout)
            return None
        try:
            rid = self._rids.get()
        except OSError:
            self._release(checkout)
            raise
        run = Run(rid, priority, due_date, bool(flush))
        pipeline = self._pipelines.get(pipeline_name) or _Pipeline(pipeline_name, self._publish)
        self._pipelines[pipeline_name] = pipeline
        self._jobs[rid] = _Job(run, pipeline, expid, checkout, self._workers.make(source(rid, expid), rid))
        self.notifier[rid] = {
            "pipeline": pipeline_name, "expid": expid, "priority": priority, "due_date": due_date, "flush": run.flush,
            "status": run.status, "repo_msg": None if checkout is None else checkout.message}
        pipeline.state.add(run)
        if self._log_submissions is not None:
            scheduler_submission.note(self._log_submissions, rid, expid)
        self._advance(pipeline)
        return rid

    def delete(self, rid: int) -> None:
        """Ends a run at once, wherever it stands; one that does not exist is no error."""
        job = self._jobs.get(rid)
        if job is not None:
            job.pipeline.state.delete(rid)
            self._advance(job.pipeline)

    def request_termination(self, rid: int) -> None:
        """Asks a run to end at its next pause(); one that does not run is deleted."""
        job = self._jobs.get(rid)
        if job is not None:
            job.pipeline.state.request_termination(rid)
            self._advance(job.pipeline)

    def get_status(self) -> dict[int, Any]:
        """The schedule as it is published: RID -> pipeline, expid, priority, due_date, flush, status, repo_msg."""
        status: dict[int, Any] = self.notifier.raw_view
        return status

    def check_pause(self, rid: int) -> bool:
        """Whether pause() in that run would do something: another is to go first, or it is asked to terminate."""
        return self._pipeline_of(rid).check_pause(rid)

    def check_termination(self, rid: int) -> bool:
        """Whether that run is asked to terminate."""
        return self._pipeline_of(rid).check_termination(rid)

    def explain(self, rid: int) -> list[str]:
        """What that run waits for: lines of text."""
        return scheduler_explain.explain(self._pipeline_of(rid), rid, time.time())

    # For other parts

    def running(self) -> list[int]:
        """The runs that are running now, or were a moment ago: what a device says arrives a little late."""
        self._forget_ended()
        return [rid for rid, job in self._jobs.items() if job.run.status == RUNNING and rid not in self._ran] + [
            *self._ran]

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        """Ends all runs."""
        self._stopping = True
        for rid in list(self._jobs):
            self.delete(rid)
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    # Within

    def _pipeline_of(self, rid: int) -> Pipeline:
        if rid not in self._jobs:
            raise KeyError("RID not found")
        return self._jobs[rid].pipeline.state

    def _publish(self, rid: int, status: str) -> None:
        if self.notifier.raw_view[rid]["status"] == RUNNING:
            self._forget_ended()
            self._ran[rid] = time.monotonic()
        self.notifier[rid]["status"] = status

    def _forget_ended(self) -> None:
        since = time.monotonic() - LINGER
        self._ran = {rid: ended for rid, ended in self._ran.items() if ended > since}

    def _release(self, checkout: Checkout | None) -> None:
        if checkout is not None:
            self._revisions.release(checkout.revision)

    def _advance(self, pipeline: _Pipeline) -> None:
        """To be called after everything that happens to a pipeline."""
        now = time.time()
        for run, step in pipeline.state.advance(now):
            job = self._jobs[run.rid]
            task = asyncio.create_task(self._close(job) if step is Step.CLOSE else self._do(job, step))
            if step is not Step.CLOSE:
                job.step = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if pipeline.timer is not None:
            pipeline.timer.cancel()
            pipeline.timer = None
        wake = pipeline.state.wake_at(now)
        if wake is not None:
            pipeline.timer = asyncio.get_running_loop().call_later(
                min(wake - now, LONGEST_NAP), self._advance, pipeline)

    async def _do(self, job: _Job, step: Step) -> None:
        """A step, and what follows from its end."""
        outcome = Outcome.FAILED
        try:
            outcome = Outcome.COMPLETED if await self._step(job, step) else Outcome.PAUSED
            if job.watch is None:
                job.watch = asyncio.create_task(self._watch(job))
        except WorkerTerminated:
            logger.info("RID %d has terminated as requested", job.run.rid)
        except WorkerError as error:
            if job.run.status != DELETING:
                logger.error("RID %d is deleted: %s", job.run.rid, error)
        except Exception:  # a defect of ours: that run ends, the others go on
            logger.error("RID %d is deleted: internal error", job.run.rid, exc_info=True)
        job.pipeline.state.step_ended(job.run.rid, outcome)
        self._advance(job.pipeline)

    async def _watch(self, job: _Job) -> None:
        """A run that waits for its turn is deleted when its process ends; one that does not has its step's end."""
        how = await job.worker.ended()
        while job.step is not None and not job.step.done():
            await asyncio.wait([job.step])
        if job.run.status != DELETING:
            logger.error("RID %d is deleted: %s", job.run.rid, how)
            self.delete(job.run.rid)

    async def _step(self, job: _Job, step: Step) -> bool:
        worker = job.worker
        match step:
            case Step.PREPARE:
                await worker.build({
                    "rid": job.run.rid, "pipeline_name": job.pipeline.name, "expid": job.expid,
                    "priority": job.run.priority, "wd": None if job.checkout is None else job.checkout.path,
                }, job.expid["log_level"])
                return await worker.do("prepare")
            case Step.RUN:
                return await worker.do("run")
            case Step.RESUME | Step.TERMINATE:
                return await worker.resume(step is Step.TERMINATE)
            case _:
                return await worker.do("analyze")

    async def _close(self, job: _Job) -> None:
        """The end of a run."""
        rid, pipeline = job.run.rid, job.pipeline
        if job.watch is not None:
            job.watch.cancel()
        try:
            await job.worker.close()
            if job.step is not None:
                await asyncio.wait([job.step])
        except Exception:  # as in _do
            logger.error("the process of RID %d may not have ended: internal error", rid, exc_info=True)
        self._release(job.checkout)
        pipeline.state.closed(rid)
        del self._jobs[rid]
        del self.notifier[rid]
        self._advance(pipeline)
        if not pipeline.state.runs and self._pipelines.get(pipeline.name) is pipeline:
            del self._pipelines[pipeline.name]
