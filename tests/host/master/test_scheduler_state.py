"""The scheduler's rules, without workers: published sequences as clients see them, and a naive model of the rules."""

import itertools
import random
from typing import Any

import pytest

from corelog.master.scheduler_state import Outcome, Pipeline, Run, Step

DONE, FAILED, PAUSED = Outcome.COMPLETED, Outcome.FAILED, Outcome.PAUSED


class Lab:
    """A pipeline whose steps end when the test says so."""

    def __init__(self) -> None:
        self.published: list[tuple[int, str]] = []
        self.pipeline = Pipeline(lambda rid, status: self.published.append((rid, status)))
        self.steps: dict[int, Step] = {}
        self.now = 0.0

    def advance(self) -> list[tuple[int, str]]:
        """What was published since the last call, and by this one."""
        for run, step in self.pipeline.advance(self.now):
            assert step is Step.CLOSE or run.rid not in self.steps
            self.steps.setdefault(run.rid, step)
        published, self.published = self.published, []
        return published

    def submit(self, rid: int, **fields: Any) -> list[tuple[int, str]]:
        self.pipeline.add(Run(rid, **fields))
        return self.advance()

    def end(self, rid: int, step: Step, outcome: Outcome = DONE) -> list[tuple[int, str]]:
        assert self.steps.pop(rid) is step
        self.pipeline.step_ended(rid, outcome)
        return self.advance()

    def close(self, rid: int) -> list[tuple[int, str]]:
        self.pipeline.closed(rid)
        return self.advance()

    def run_to(self, rid: int, status: str) -> None:
        """Lets this one run reach that status, everything before ending well."""
        for step in (Step.PREPARE, Step.RUN, Step.ANALYZE):
            if self.pipeline.runs[rid].status == status:
                break
            self.end(rid, step)
        assert self.pipeline.runs[rid].status == status


def test_one_run_publishes_every_status_in_order() -> None:
    lab = Lab()
    assert lab.submit(0) == [(0, "preparing")]
    assert lab.end(0, Step.PREPARE) == [(0, "prepare_done"), (0, "running")]
    assert lab.end(0, Step.RUN) == [(0, "run_done"), (0, "analyzing")]
    assert lab.end(0, Step.ANALYZE) == [(0, "deleting")]
    assert lab.steps == {0: Step.CLOSE}
    lab.close(0)
    assert not lab.pipeline.runs


def test_stages_of_different_runs_overlap() -> None:
    lab = Lab()
    lab.submit(0)
    assert lab.submit(1) == []
    assert lab.submit(2) == []
    assert lab.end(0, Step.PREPARE) == [(0, "prepare_done"), (0, "running"), (1, "preparing")]
    assert lab.end(1, Step.PREPARE) == [(1, "prepare_done")]
    assert lab.end(0, Step.RUN) == [(0, "run_done"), (1, "running"), (2, "preparing"), (0, "analyzing")]


def test_order_is_priority_then_due_date_then_rid() -> None:
    lab = Lab()
    lab.now = 100.0
    lab.submit(0)
    for rid, priority, due_date in [(1, 0, None), (2, 5, 60.0), (3, 5, 50.0), (4, 5, 50.0), (5, 5, None), (6, 9, 90.0)]:
        lab.submit(rid, priority=priority, due_date=due_date)
    order = []
    for _ in range(7):
        rid = next(rid for rid, step in lab.steps.items() if step is Step.PREPARE)
        order.append(rid)
        lab.run_to(rid, "deleting")
    assert order == [0, 6, 5, 3, 4, 2, 1]


def test_a_run_is_not_prepared_before_its_due_date_and_is_at_it() -> None:
    lab = Lab()
    assert lab.submit(0, due_date=10.0, priority=99) == []
    assert lab.pipeline.wake_at(0.0) == 10.0
    assert lab.submit(1) == [(1, "preparing")]
    assert lab.pipeline.wake_at(0.0) is None
    lab.end(1, Step.PREPARE)
    lab.now = 10.0
    assert lab.advance() == [(0, "preparing")]


def test_a_run_that_would_run_later_is_not_prepared_before_the_prepared_one_has_started() -> None:
    lab = Lab()
    lab.submit(0)
    lab.run_to(0, "running")
    lab.submit(1, priority=1)
    lab.end(1, Step.PREPARE)
    assert lab.submit(2) == []
    assert lab.pipeline.wake_at(0.0) is None
    assert lab.submit(3, priority=2) == [(3, "preparing")]


def test_pause_hands_over_to_a_higher_run_and_comes_back() -> None:
    lab = Lab()
    lab.submit(0)
    lab.run_to(0, "running")
    assert not lab.pipeline.check_pause(0)
    lab.submit(1, priority=1)
    assert not lab.pipeline.check_pause(0)  # not before the other is ready
    lab.end(1, Step.PREPARE)
    assert lab.pipeline.check_pause(0)
    assert lab.end(0, Step.RUN, PAUSED) == [(0, "paused"), (1, "running")]
    assert not lab.pipeline.check_pause(0)
    assert lab.end(1, Step.RUN) == [(1, "run_done"), (0, "running"), (1, "analyzing")]
    assert lab.steps[0] is Step.RESUME


def test_pause_without_a_higher_run_publishes_paused_and_running() -> None:
    lab = Lab()
    lab.submit(0)
    lab.run_to(0, "running")
    lab.submit(1)
    lab.end(1, Step.PREPARE)
    assert lab.end(0, Step.RUN, PAUSED) == [(0, "paused"), (0, "running")]


def test_nested_pauses_unwind_from_the_inside() -> None:
    lab = Lab()
    for rid in range(3):
        lab.submit(rid, priority=rid)
        lab.end(rid, Step.PREPARE)
        if rid:
            assert lab.end(rid - 1, Step.RUN, PAUSED)[-1] == (rid, "running")
    assert lab.end(2, Step.RUN)[1] == (1, "running")
    assert lab.end(1, Step.RESUME)[1] == (0, "running")


def test_termination_is_told_at_the_pause_and_once_for_each_request() -> None:
    lab = Lab()
    lab.submit(0)
    lab.run_to(0, "running")
    lab.pipeline.request_termination(0)
    assert lab.pipeline.check_pause(0) and lab.pipeline.check_termination(0)
    lab.end(0, Step.RUN, PAUSED)
    assert not lab.pipeline.check_termination(0)
    assert lab.end(0, Step.TERMINATE, PAUSED) == [(0, "paused"), (0, "running")]
    assert lab.steps == {0: Step.RESUME}


@pytest.mark.parametrize("status", ["pending", "preparing", "prepare_done", "run_done", "analyzing"])
def test_request_termination_of_a_run_that_does_not_run_deletes_it(status: str) -> None:
    lab = Lab()
    lab.submit(0, priority=1)
    if status in ("prepare_done", "pending"):
        lab.run_to(0, "running")
        lab.submit(1)
        if status == "prepare_done":
            lab.end(1, Step.PREPARE)
        else:
            lab.submit(2)
    elif status == "run_done":
        lab.submit(1)
        lab.run_to(0, "analyzing")
        lab.end(1, Step.PREPARE)
        lab.end(1, Step.RUN)
    else:
        lab.run_to(0, status)
    rid = next(run.rid for run in lab.pipeline.runs.values() if run.status == status)
    lab.pipeline.request_termination(rid)
    assert lab.advance()[0] == (rid, "deleting")


def test_deleted_while_running_keeps_its_stage_until_its_step_has_ended() -> None:
    lab = Lab()
    lab.submit(0)
    lab.submit(1)
    lab.end(0, Step.PREPARE)
    lab.end(1, Step.PREPARE)
    lab.pipeline.delete(0)
    assert lab.advance() == [(0, "deleting")]
    assert lab.end(0, Step.RUN, FAILED) == [(1, "running")]
    lab.close(0)
    assert list(lab.pipeline.runs) == [1]


def test_a_deleted_flushing_run_frees_the_prepare_stage() -> None:
    lab = Lab()
    lab.submit(0)
    lab.run_to(0, "running")
    assert lab.submit(1, flush=True, priority=0) == [(1, "flushing")]
    assert lab.submit(2) == []
    lab.pipeline.delete(1)
    assert lab.advance() == [(1, "deleting"), (2, "preparing")]


def test_flush_waits_for_runs_of_its_priority_and_above_and_not_for_lower_ones() -> None:
    lab = Lab()
    lab.submit(0, priority=0)
    lab.run_to(0, "running")
    lab.submit(1, priority=5)
    lab.end(1, Step.PREPARE)
    assert lab.submit(2, priority=4, flush=True) == []  # behind the prepared one
    lab.end(0, Step.RUN, PAUSED)
    assert lab.pipeline.runs[2].status == "flushing"
    assert lab.end(1, Step.RUN) == [(1, "run_done"), (0, "running"), (1, "analyzing")]
    assert lab.end(1, Step.ANALYZE) == [(1, "deleting"), (2, "preparing")]


class NaiveModel:
    """The rules, written down as sorting and searching over plain records; statuses as sets of RIDs."""

    def __init__(self) -> None:
        self.runs: dict[int, dict[str, Any]] = {}
        self.stack: list[int] = []
        self.busy: dict[str, int] = {}  # stage -> RID whose step goes on
        self.published: list[tuple[int, str]] = []
        self.steps: list[tuple[int, str]] = []

    def order(self) -> list[int]:
        return sorted(self.runs, key=lambda rid: (-self.runs[rid]["priority"], self.runs[rid]["due_date"] or 0, rid))

    def having(self, status: str) -> list[int]:
        return [rid for rid in self.order() if self.runs[rid]["status"] == status]

    def set(self, rid: int, status: str) -> None:
        self.runs[rid]["status"] = status
        self.published.append((rid, status))

    def settle(self, now: float) -> None:
        order = self.order()
        while True:
            before = len(self.published)
            self.prepare(order, now)
            if len(self.published) > before and self.published[-1][1] == "preparing":
                continue
            if "run" not in self.busy and (ready := self.having("prepare_done")[:1] + self.stack[-1:]):
                rid = min(ready, key=order.index)
                step = "run"
                if rid in self.stack:
                    self.stack.remove(rid)
                    step = "terminate" if self.runs[rid]["termination"] else "resume"
                    self.runs[rid]["termination"] = False
                self.busy["run"] = rid
                self.set(rid, "running")
                self.steps.append((rid, step))
            elif "analyze" not in self.busy and (done := self.having("run_done")):
                self.busy["analyze"] = done[0]
                self.set(done[0], "analyzing")
                self.steps.append((done[0], "analyze"))
            else:
                return

    def prepare(self, order: list[int], now: float) -> None:
        if not self.having("flushing"):
            if "prepare" in self.busy:
                return
            due = [rid for rid in self.having("pending") if (self.runs[rid]["due_date"] or 0) <= now]
            ready = self.having("prepare_done")
            if not due or (ready and order.index(ready[0]) < order.index(due[0])):
                return
            if not self.runs[due[0]]["flush"]:
                self.start_preparing(due[0])
                return
            self.set(due[0], "flushing")
        rid = self.having("flushing")[0]
        if all(run["priority"] < self.runs[rid]["priority"] or run["status"] in ("pending", "deleting")
               for other, run in self.runs.items() if other != rid):
            self.start_preparing(rid)

    def start_preparing(self, rid: int) -> None:
        self.busy["prepare"] = rid
        self.set(rid, "preparing")
        self.steps.append((rid, "prepare"))

    def ended(self, rid: int, outcome: str) -> None:
        stage = next(stage for stage, busy in self.busy.items() if busy == rid)
        del self.busy[stage]
        if self.runs[rid]["status"] == "deleting":
            return
        if outcome == "failed" or stage == "analyze":
            self.delete(rid)
        elif outcome == "paused":
            self.stack.append(rid)
            self.set(rid, "paused")
        else:
            self.set(rid, {"prepare": "prepare_done", "run": "run_done"}[stage])

    def delete(self, rid: int) -> None:
        if rid in self.runs and self.runs[rid]["status"] != "deleting":
            self.stack = [other for other in self.stack if other != rid]
            self.set(rid, "deleting")
            self.steps.append((rid, "close"))

    def terminate(self, rid: int) -> None:
        if rid in self.runs and self.runs[rid]["status"] in ("running", "paused"):
            self.runs[rid]["termination"] = True
        else:
            self.delete(rid)


@pytest.mark.parametrize("seed", range(12))
def test_random_lives_of_many_runs_are_as_the_naive_model_has_them(seed: int) -> None:
    print("seed", seed)
    chance = random.Random(seed)
    published: list[tuple[int, str]] = []
    pipeline = Pipeline(lambda rid, status: published.append((rid, status)))
    model, rids, now = NaiveModel(), itertools.count(), 0.0
    under_way: dict[int, Step] = {}
    closing: set[int] = set()
    lives: dict[int, list[str]] = {}
    for _ in range(4000):
        kind = chance.choices(["submit", "end", "close", "delete", "terminate", "wait"],
                              [6 if len(model.runs) < 12 else 1, 30, 10, 2, 2, 3])[0]
        any_rid = chance.choice([*model.runs, -1])
        if kind == "submit":
            rid = next(rids)
            due_date = chance.choice([None, None, now - 5.0, float(int(now) + chance.randrange(20))])
            priority, flush = chance.choice([0, 0, 1, 2, -1]), chance.random() < 0.15
            pipeline.add(Run(rid, priority, due_date, flush))
            model.runs[rid] = {"priority": priority, "due_date": due_date, "flush": flush, "status": "pending",
                               "termination": False}
        elif kind == "end" and under_way:
            rid = chance.choice(list(under_way))
            step = under_way.pop(rid)
            outcomes = [DONE, DONE, DONE, FAILED]
            if step in (Step.RUN, Step.RESUME, Step.TERMINATE):
                outcomes += [PAUSED] * 4
            outcome = FAILED if model.runs[rid]["status"] == "deleting" else chance.choice(outcomes)
            pipeline.step_ended(rid, outcome)
            model.ended(rid, outcome.value)
        elif kind == "close" and (gone := sorted(closing - under_way.keys())):
            rid = chance.choice(gone)
            closing.remove(rid)
            pipeline.closed(rid)
            del model.runs[rid]
        elif kind == "delete":
            pipeline.delete(any_rid)
            model.delete(any_rid)
        elif kind == "terminate":
            pipeline.request_termination(any_rid)
            model.terminate(any_rid)
        elif kind == "wait":
            wake = pipeline.wake_at(now)
            if wake is None:
                now += chance.random()
            else:
                assert pipeline.advance(now + (wake - now) * 0.99) == []
                now = wake
        steps = pipeline.advance(now)
        model.settle(now)
        assert published or kind != "wait" or wake is None
        assert [(run.rid, step.value) for run, step in steps] == model.steps
        assert published == model.published
        for run, step in steps:
            if step is Step.CLOSE:
                closing.add(run.rid)
            else:
                under_way[run.rid] = step
        for rid, status in published:
            lives.setdefault(rid, ["pending"]).append(status)
        model.steps.clear()
        model.published.clear()
        published.clear()
        assert {rid: run.status for rid, run in pipeline.runs.items()} == \
            {rid: run["status"] for rid, run in model.runs.items()}
    seen = {status for life in lives.values() for status in life}
    assert seen == {"pending", "flushing", "preparing", "prepare_done", "running", "paused", "run_done", "analyzing",
                    "deleting"}
    for life in lives.values():
        assert all(pair in LEGAL for pair in itertools.pairwise(life)), life


LEGAL = {(a, b) for a, b in itertools.pairwise(
    ["pending", "preparing", "prepare_done", "running", "run_done", "analyzing", "deleting"])} | {
    ("pending", "flushing"), ("flushing", "preparing"), ("running", "paused"), ("paused", "running")} | {
    (a, "deleting") for a in ("pending", "flushing", "preparing", "prepare_done", "running", "paused", "run_done")}
