"""Which run of a pipeline does what next: a state machine without clock, worker or network.

    pending -> (flushing) -> preparing -> prepare_done -> running <-> paused
            -> run_done -> analyzing -> deleting -> gone

A pipeline has three stages, prepare, run and analyze, each doing one *step* of one run at a time; stages of different
runs overlap. Whoever drives it does the steps that `advance` returns, says how they ended with `step_ended`, and calls
`advance` after every event and at `wake_at`. Everything that becomes visible is told to `publish(rid, status)`, in
order. A run whose worker is being killed holds its stage until its step has ended, so that two workers never have the
hardware of one pipeline.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

PENDING, FLUSHING, PREPARING, PREPARE_DONE = "pending", "flushing", "preparing", "prepare_done"
RUNNING, PAUSED, RUN_DONE, ANALYZING, DELETING = "running", "paused", "run_done", "analyzing", "deleting"


class Step(enum.Enum):
    """What a run's worker is to do."""

    PREPARE = "prepare"  # build and prepare
    RUN = "run"
    RESUME = "resume"  # return from pause(), with "termination requested" or not
    TERMINATE = "terminate"  # the same, the experiment is asked to end
    ANALYZE = "analyze"
    CLOSE = "close"  # end the process, whatever it does; afterwards `closed`


class Outcome(enum.Enum):
    """How a step ended."""

    COMPLETED = "completed"
    PAUSED = "paused"  # only RUN, RESUME and TERMINATE
    FAILED = "failed"  # exception, worker died, timeout, killed


@dataclass(eq=False)
class Run:
    """What decides on a run's order, and where it stands."""

    rid: int
    priority: int = 0
    due_date: float | None = None
    flush: bool = False
    status: str = PENDING
    termination_requested: bool = False

    @property
    def rank(self) -> tuple[float, float, int]:
        """The greater goes first: priority, then earlier due date (none is earliest), then lower RID."""
        return self.priority, -(self.due_date or 0.0), -self.rid

    def is_due(self, now: float) -> bool:
        return self.due_date is None or self.due_date <= now


def first(runs: Iterable[Run]) -> Run | None:
    return max(runs, key=lambda run: run.rank, default=None)


class Pipeline:
    """The runs of one pipeline; see the module."""

    def __init__(self, publish: Callable[[int, str], None]):
        self.runs: dict[int, Run] = {}
        self.preparing: Run | None = None
        self.running: Run | None = None
        self.analyzing: Run | None = None
        self.paused: list[Run] = []
        """Interrupted runs; the last one goes on first."""
        self._publish = publish
        self._to_do: list[tuple[Run, Step]] = []

    # Events

    def add(self, run: Run) -> None:
        """A new run, pending; that was published already, with all that clients see of it."""
        self.runs[run.rid] = run

    def step_ended(self, rid: int, outcome: Outcome) -> None:
        """The step given by `advance` (any but CLOSE) has ended."""
        run = self.runs[rid]
        was_running, was_analyzing = run is self.running, run is self.analyzing
        self._release(run)
        if run.status == DELETING:
            return
        if outcome is Outcome.FAILED or was_analyzing:
            self.delete(rid)
        elif outcome is Outcome.PAUSED:
            self.paused.append(run)
            self._set(run, PAUSED)
        else:
            self._set(run, RUN_DONE if was_running else PREPARE_DONE)

    def delete(self, rid: int) -> None:
        """Ends a run wherever it stands; unknown ones and those being deleted are left alone."""
        run = self.runs.get(rid)
        if run is None or run.status == DELETING:
            return
        if run.status == FLUSHING:
            self.preparing = None
        if run in self.paused:
            self.paused.remove(run)
        self._to_do = [(other, step) for other, step in self._to_do if other is not run]
        self._set(run, DELETING)
        self._to_do.append((run, Step.CLOSE))

    def closed(self, rid: int) -> None:
        """The worker of a run being deleted is gone, and the run with it."""
        self._release(self.runs.pop(rid))

    def request_termination(self, rid: int) -> None:
        """The experiment learns it at its next pause(); a run that does not run is deleted."""
        run = self.runs.get(rid)
        if run is not None and run.status in (RUNNING, PAUSED):
            run.termination_requested = True
        else:
            self.delete(rid)

    def _release(self, run: Run) -> None:
        if self.preparing is run:
            self.preparing = None
        if self.running is run:
            self.running = None
        if self.analyzing is run:
            self.analyzing = None

    def _set(self, run: Run, status: str) -> None:
        run.status = status
        self._publish(run.rid, status)

    def _in(self, *statuses: str) -> list[Run]:
        return [run for run in self.runs.values() if run.status in statuses]

    # Decisions

    def advance(self, now: float) -> list[tuple[Run, Step]]:
        """Fills the free stages. Returns the steps to be done, each once."""
        while self._prepare(now) or self._run() or self._analyze():
            pass
        to_do, self._to_do = self._to_do, []
        return to_do

    def wake_at(self, now: float) -> float | None:
        """When a due date calls for `advance`, if nothing else happens before."""
        if self.preparing is not None:
            return None
        dates = [run.due_date for run in self._overtaking(self._in(PENDING))
                 if run.due_date is not None and not run.is_due(now)]
        return min(dates, default=None)

    def _overtaking(self, runs: list[Run]) -> list[Run]:
        """Those which would run before all that are prepared: nothing else is prepared in advance."""
        prepared = first(self._in(PREPARE_DONE))
        return [run for run in runs if prepared is None or run.rank > prepared.rank]

    def in_the_way_of_flush(self, run: Run) -> list[Run]:
        """What a run with `flush` waits for."""
        return [other for other in self.runs.values()
                if other is not run and other.status not in (PENDING, DELETING) and other.priority >= run.priority]

    def _prepare(self, now: float) -> bool:
        run = self.preparing
        if run is None:
            run = first(run for run in self._overtaking(self._in(PENDING)) if run.is_due(now))
            if run is None:
                return False
            self.preparing = run
            if run.flush:
                self._set(run, FLUSHING)
        elif run.status != FLUSHING:
            return False
        if run.flush and self.in_the_way_of_flush(run):
            return False
        self._set(run, PREPARING)
        self._to_do.append((run, Step.PREPARE))
        return True

    def _run(self) -> bool:
        if self.running is not None:
            return False
        run = first(self._in(PREPARE_DONE))
        if self.paused and (run is None or run.rank < self.paused[-1].rank):
            run = self.paused.pop()
            step = Step.TERMINATE if run.termination_requested else Step.RESUME
            run.termination_requested = False  # the next request is to be told again
        elif run is not None:
            step = Step.RUN
        else:
            return False
        self.running = run
        self._set(run, RUNNING)
        self._to_do.append((run, step))
        return True

    def _analyze(self) -> bool:
        run = first(self._in(RUN_DONE)) if self.analyzing is None else None
        if run is None:
            return False
        self.analyzing = run
        self._set(run, ANALYZING)
        self._to_do.append((run, Step.ANALYZE))
        return True

    # Questions

    def check_termination(self, rid: int) -> bool:
        """Whether a running experiment was asked to end. KeyError for unknown runs."""
        run = self.runs[rid]
        return run.status == RUNNING and run.termination_requested

    def check_pause(self, rid: int) -> bool:
        """Whether pause() would do something: another run is to go first, or termination is requested. KeyError."""
        run = self.runs[rid]
        if run.status != RUNNING:
            return False
        prepared = first(self._in(PREPARE_DONE))
        return run.termination_requested or (prepared is not None and prepared.rank > run.rank)
