"""Why a run is where it is, in words: what it waits for, and what would change that."""

from __future__ import annotations

import time
from collections.abc import Iterable

from corelog.master import scheduler_state as state
from corelog.master.scheduler_state import Pipeline, Run


def explain(pipeline: Pipeline, rid: int, now: float) -> list[str]:
    """Lines of text about a run. KeyError for unknown ones."""
    run = pipeline.runs[rid]
    lines = list(_WORDS[run.status](pipeline, run, now))
    if run.termination_requested:
        lines.append("it was asked to terminate, which the experiment learns at its next pause()")
    return lines


def _name(run: Run) -> str:
    return f"RID {run.rid} ({run.status}, priority {run.priority})"


def _names(runs: Iterable[Run]) -> str:
    return ", ".join(_name(run) for run in sorted(runs, key=lambda run: run.rank, reverse=True))


def _pending(pipeline: Pipeline, run: Run, now: float) -> Iterable[str]:
    if run.due_date is not None and not run.is_due(now):
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.due_date))
        yield f"waits for its due date {when}, in {run.due_date - now:.0f} s"
        return
    if pipeline.preparing is not None:
        yield f"waits for {_name(pipeline.preparing)}, which is being prepared"
        if pipeline.preparing.status == state.FLUSHING:
            yield from _flushing(pipeline, pipeline.preparing, now)
    ahead = [other for other in pipeline.runs.values() if other.status == state.PREPARE_DONE and other.rank > run.rank]
    if ahead:
        yield f"is not prepared before what is prepared already and goes first has started: {_names(ahead)}"
    sooner = [other for other in pipeline.runs.values()
              if other.status == state.PENDING and other.is_due(now) and other.rank > run.rank]
    if sooner:
        yield f"comes after {_names(sooner)}"


def _flushing(pipeline: Pipeline, run: Run, now: float) -> Iterable[str]:
    yield (f"RID {run.rid} was submitted with flush: it waits until all of its priority or above have left the "
           f"pipeline: {_names(pipeline.in_the_way_of_flush(run))}")


def _prepared(pipeline: Pipeline, run: Run, now: float) -> Iterable[str]:
    running = pipeline.running
    if running is not None and running.status == state.DELETING:
        yield f"waits until the process of {_name(running)} has ended"
    elif running is not None and running.rank < run.rank:
        yield f"waits until {_name(running)} ends or calls pause(), at which it hands over"
    elif running is not None:
        yield f"waits until {_name(running)} ends"
    ahead = [other for other in pipeline.runs.values() if other.rank > run.rank
             and other.status in (state.PREPARE_DONE, state.PAUSED)]
    if ahead:
        yield f"comes after {_names(ahead)}"


def _paused(pipeline: Pipeline, run: Run, now: float) -> Iterable[str]:
    inside = pipeline.paused[pipeline.paused.index(run) + 1:]
    first = [] if pipeline.running is None else [pipeline.running]
    yield f"has paused for {_names([*first, *inside])}"


def _run_done(pipeline: Pipeline, run: Run, now: float) -> Iterable[str]:
    if pipeline.analyzing is not None:
        yield f"has run, and waits until {_name(pipeline.analyzing)} is analyzed"


_WORDS = {
    state.PENDING: _pending,
    state.FLUSHING: _flushing,
    state.PREPARING: lambda pipeline, run, now: ["is being built and prepared"],
    state.PREPARE_DONE: _prepared,
    state.RUNNING: lambda pipeline, run, now: ["is running"],
    state.PAUSED: _paused,
    state.RUN_DONE: _run_done,
    state.ANALYZING: lambda pipeline, run, now: ["is being analyzed"],
    state.DELETING: lambda pipeline, run, now: ["its process is being ended"],
}
