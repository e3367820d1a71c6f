"""The scheduler with real workers: what clients see, and that nothing a run does harms the others."""

import asyncio
import contextlib
import csv
import itertools
import os
import random
import signal
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import h5py
import numpy
import pytest

from corelog.master import worker as worker_module
from corelog.master.interactive import InteractiveArgDB
from corelog.master.repository import Checkout, Folder, RepositoryError
from corelog.master.scheduler import Scheduler
from corelog.master.worker_forked import ForkedProcesses
from corelog.master.workers import Workers

HEAD = """
import os, signal, time
from corelog.experiment import *
def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.005)
"""
EMPTY = """
class Empty(EnvExperiment):
    def run(self): pass
"""
PAUSING = """
class Pausing(EnvExperiment):
    def build(self):
        self.setattr_device("scheduler")
        self.setattr_argument("until", StringValue())
    def run(self):
        while not os.path.exists(self.until):
            if self.scheduler.check_pause():
                self.scheduler.pause()
            time.sleep(0.005)
"""
WAITING = """
class Waiting(EnvExperiment):
    def build(self):
        self.setattr_argument("stage", StringValue())
        self.setattr_argument("until", StringValue())
        if self.stage == "build":
            wait_for(self.until)
    def prepare(self):
        if self.stage == "prepare":
            wait_for(self.until)
    def run(self):
        if self.stage == "run":
            wait_for(self.until)
    def analyze(self):
        if self.stage == "analyze":
            wait_for(self.until)
"""


class Revisions(Folder):
    """A folder with a revision and a message, which counts its users."""

    def __init__(self, root: Path):
        super().__init__(str(root))
        self.users = 0

    async def request(self, revision: str | None) -> Checkout:  # type: ignore[override]
        await asyncio.sleep(0)
        if revision == "bad":
            raise RepositoryError("no commit 'bad'")
        self.users += 1
        return Checkout("abc123", self.root, "a message")

    def release(self, revision: str) -> None:
        self.users -= 1


class RIDs:
    def __init__(self) -> None:
        self.get = itertools.count().__next__


class Lab:
    """A scheduler, and what it has published."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.revisions = Revisions(directory)
        self.interactive = InteractiveArgDB()
        self.processes = ForkedProcesses()
        self.room = asyncio.Event()
        self.room.set()
        handlers: dict[str, Callable[..., Any]] = {
            "get_device_db": dict, "get_interactive_arguments": self.interactive.get}
        self.scheduler = Scheduler(RIDs(), self.revisions, Workers(self.processes, handlers, self.room.wait),
                                   str(directory / "submissions.csv"))
        for name in ("delete", "request_termination", "get_status", "check_pause", "check_termination", "submit"):
            handlers[f"scheduler_{name}"] = getattr(self.scheduler, name)
        self.mods: list[dict[str, Any]] = []
        self.scheduler.notifier.publish = self.mods.append
        for text in (EMPTY, PAUSING, WAITING):
            self.write(text.split("(")[0].split()[1], text)

    def write(self, name: str, text: str) -> None:
        (self.directory / f"{name}.py").write_text(HEAD + textwrap.dedent(text))

    async def submit(self, name: str = "Empty", pipeline: str = "main", arguments: dict[str, Any] | None = None,
                     **options: Any) -> int:
        expid = {"file": f"{name}.py", "class_name": None, "arguments": arguments or {}, "log_level": 30}
        rid = await self.scheduler.submit(pipeline, expid, **options)
        assert rid is not None
        return rid

    def status(self, rid: int) -> str:
        return str(self.scheduler.notifier.raw_view.get(rid, {"status": "gone"})["status"])

    async def until(self, rid: int, *statuses: str, timeout: float = 60.0) -> None:
        async with asyncio.timeout(timeout):
            while self.status(rid) not in statuses:
                await asyncio.sleep(0.002)

    def life(self, rid: int) -> list[str]:
        """All statuses of a run, as a subscriber saw them."""
        life = []
        for mod in self.mods:
            if mod["path"] == [rid]:
                life.append(mod["value"])
            elif not mod["path"] and mod["key"] == rid:
                life.append(mod["value"]["status"] if mod["action"] == "setitem" else "gone")
        return life

    def pid(self, rid: int) -> int:
        pid = self.scheduler._jobs[rid].worker.pid
        assert pid is not None
        return pid

    def results(self) -> list[str]:
        return sorted(path.name for path in self.directory.glob("results/*/*/*.h5"))


@pytest.fixture
async def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worker_module, "TERMINATE_LIMIT", 0.5)
    own = Lab(tmp_path)
    try:
        yield own
    finally:
        await own.scheduler.stop()
        await own.processes.close()
        assert not own.scheduler.notifier.raw_view and not own.scheduler._pipelines and not own.revisions.users


WHOLE = ["pending", "preparing", "prepare_done", "running", "run_done", "analyzing", "deleting", "gone"]


async def test_a_submission_is_published_whole_and_then_its_statuses(lab: Lab) -> None:
    rid = await lab.scheduler.submit("main", {"file": "Empty.py", "class_name": "Empty", "arguments": {},
                                              "log_level": 20, "repo_rev": None}, 2, None, False)
    assert rid == 0
    await lab.until(0, "gone")
    assert lab.mods[0] == {
        "action": "setitem", "path": [], "key": 0, "value": {
            "pipeline": "main", "expid": {"file": "Empty.py", "class_name": "Empty", "arguments": {}, "log_level": 20,
                                          "repo_rev": "abc123"},
            "priority": 2, "due_date": None, "flush": False, "status": "deleting", "repo_msg": "a message"}}
    assert lab.mods[1] == {"action": "setitem", "path": [0], "key": "status", "value": "preparing"}
    assert lab.mods[-1] == {"action": "delitem", "path": [], "key": 0}
    assert lab.life(0)[1:] == WHOLE[1:]
    assert lab.results() == ["000000000-Empty.h5"]


async def test_files_outside_the_repository_and_texts_are_run_too(lab: Lab) -> None:
    rid = await lab.submit()
    assert lab.scheduler.get_status()[rid]["expid"]["file"] == str(lab.directory / "Empty.py")
    assert await lab.scheduler.submit("main", {"content": HEAD + EMPTY, "class_name": "Empty"}) == 1
    await lab.until(1, "gone")
    assert lab.results() == ["000000000-Empty.h5", "000000001-Empty.h5"]
    rows = list(csv.reader((lab.directory / "submissions.csv").read_text().splitlines()))
    assert [(row[0], row[2]) for row in rows] == [("0", str(lab.directory / "Empty.py")), ("1", "<none>")]
    assert all(abs(float(row[1]) - time.time()) < 120 for row in rows)


async def test_a_submission_that_can_never_run_is_refused_and_leaves_nothing(lab: Lab) -> None:
    good = {"file": "Empty.py"}
    for arguments in (("main", {}), ("main", {"file": 3}), ("main", good, "high"), ("main", good, 0, "soon"), (1, good),
                      ("main", good | {"arguments": []}), ("main", good, 0, float("nan"))):
        with pytest.raises(ValueError):
            await lab.scheduler.submit(*arguments)
    with pytest.raises(RepositoryError):
        await lab.scheduler.submit("main", good | {"repo_rev": "bad"})
    assert lab.mods == [] and await lab.submit() == 0


async def test_numbers_of_numpy_are_numbers_to_the_scheduler(lab: Lab) -> None:
    rid = await lab.submit(priority=numpy.int64(3), due_date=numpy.float64(0.5), flush=numpy.bool_(True))
    entry = lab.scheduler.get_status()[rid]
    assert [(type(entry[key]), entry[key]) for key in ("priority", "due_date", "flush")] == [
        (int, 3), (float, 0.5), (bool, True)]


async def test_a_higher_run_takes_over_at_a_pause_and_explain_says_so(lab: Lab) -> None:
    low = await lab.submit("Pausing", arguments={"until": "low"})
    await lab.until(low, "running")
    high = await lab.submit("Waiting", arguments={"stage": "run", "until": str(lab.directory / "high")}, priority=1)
    await lab.until(high, "running")
    assert lab.status(low) == "paused" and set(lab.scheduler.running()) == {low, high}
    async with asyncio.timeout(10):
        while lab.scheduler.running() != [high]:
            await asyncio.sleep(0.01)
    assert "paused for RID 1 (running, priority 1)" in lab.scheduler.explain(low)[0]
    third = await lab.submit(priority=1)
    await lab.until(third, "prepare_done")
    assert lab.scheduler.explain(third) == ["waits until RID 1 (running, priority 1) ends"]
    (lab.directory / "high").touch()
    await lab.until(third, "gone")
    await lab.until(low, "running")
    lab.scheduler.request_termination(low)
    await lab.until(low, "gone")
    assert lab.life(low)[1:4] == ["preparing", "prepare_done", "running"] and lab.life(low)[-1] == "gone"
    with pytest.raises(KeyError, match="RID not found"):
        lab.scheduler.explain(low)


async def test_pipelines_do_not_wait_for_each_other(lab: Lab) -> None:
    blocked = await lab.submit("Waiting", "a", {"stage": "run", "until": "never"})
    await lab.until(blocked, "running")
    other = await lab.submit(pipeline="b")
    await lab.until(other, "gone")
    assert lab.status(blocked) == "running"
    assert list(lab.scheduler._pipelines) == ["a"]


async def test_a_due_date_starts_a_run_at_its_time(lab: Lab) -> None:
    due = time.time() + 0.5
    rid = await lab.submit(due_date=due)
    assert "waits for its due date" in lab.scheduler.explain(rid)[0]
    await lab.until(rid, "preparing", "prepare_done", "running")
    assert 0.0 <= time.time() - due < 5.0


async def test_flush_waits_for_what_was_there(lab: Lab) -> None:
    first = await lab.submit("Waiting", arguments={"stage": "analyze", "until": str(lab.directory / "go")})
    await lab.until(first, "analyzing")
    flush = await lab.submit(flush=True)
    assert lab.status(flush) == "flushing"
    assert "RID 0 (analyzing" in lab.scheduler.explain(flush)[0]
    (lab.directory / "go").touch()
    await lab.until(flush, "gone")
    assert lab.life(flush) == ["deleting", "flushing", *WHOLE[1:]]  # the first is the entry, which goes on changing


@pytest.mark.parametrize("stage", ["build", "prepare", "run", "analyze"])
@pytest.mark.parametrize("how", ["delete", "kill", "hang"])
async def test_a_run_that_is_deleted_killed_or_hangs_in_a_stage_harms_no_other(lab: Lab, stage: str, how: str) -> None:
    if how == "hang":  # in a way that only SIGKILL ends
        lab.write("Waiting", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAITING)
    bad = await lab.submit("Waiting", arguments={"stage": stage, "until": "never"})
    good = await lab.submit()
    await lab.until(bad, {"run": "running", "analyze": "analyzing"}.get(stage, "preparing"))
    async with asyncio.timeout(30):
        while lab.scheduler._jobs[bad].worker.pid is None:
            await asyncio.sleep(0.005)
    if how == "kill":
        os.kill(lab.pid(bad), signal.SIGKILL)
    else:
        lab.scheduler.delete(bad)
    await lab.until(bad, "gone")
    await lab.until(good, "gone")
    assert lab.life(good)[1:] == WHOLE[1:]
    assert "000000001-Empty.h5" in lab.results()


async def test_a_run_killed_while_it_waits_for_its_turn_is_gone_at_once(lab: Lab, caplog: Any) -> None:
    low = await lab.submit("Pausing", arguments={"until": "low"})
    await lab.until(low, "running")
    high = await lab.submit("Waiting", arguments={"stage": "run", "until": str(lab.directory / "high")}, priority=1)
    await lab.until(high, "running")
    ready = await lab.submit(priority=1)
    await lab.until(ready, "prepare_done")
    for rid in (low, ready):
        os.kill(lab.pid(rid), signal.SIGKILL)
        await lab.until(rid, "gone")
        assert f"RID {rid} is deleted: process " in caplog.text
    assert lab.status(high) == "running"
    last = await lab.submit()
    (lab.directory / "high").touch()
    for rid in (high, last):
        await lab.until(rid, "gone")
    assert lab.life(low)[-3:] == ["paused", "deleting", "gone"]
    assert lab.life(ready)[-3:] == ["prepare_done", "deleting", "gone"]
    assert lab.results() == ["000000001-Waiting.h5", "000000003-Empty.h5"]


async def test_interactive_arguments_reach_the_run_and_a_deleted_run_asks_no_more(lab: Lab) -> None:
    lab.write("Asking", """
        class Asking(EnvExperiment):
            def build(self): pass
            def run(self):
                with self.interactive("Where?") as asked:
                    asked.setattr_argument("x", NumberValue(1.0))
                self.set_dataset("x", asked.x)
        """)
    rid = await lab.submit("Asking")
    other = await lab.submit("Asking", "other")
    async with asyncio.timeout(30):
        while len(lab.interactive.notifier.raw_view) < 2:
            await asyncio.sleep(0.005)
    assert lab.interactive.notifier.raw_view[rid]["title"] == "Where?"
    lab.interactive.supply(rid, {"x": 2.5})
    lab.scheduler.delete(other)
    await lab.until(rid, "gone")
    await lab.until(other, "gone")
    assert lab.interactive.notifier.raw_view == {}
    [file] = lab.directory.glob("results/*/*/*.h5")
    with h5py.File(file) as results:
        assert results["datasets/x"][()] == 2.5


async def test_a_run_submits_another_and_asks_for_the_schedule(lab: Lab) -> None:
    lab.write("Parent", """
        class Parent(EnvExperiment):
            def build(self):
                self.setattr_device("scheduler")
            def run(self):
                s = self.scheduler
                child = s.submit(expid={"file": "Empty.py"}, priority=-1)
                self.set_dataset("seen", [s.rid, child, int(s.get_status()[child]["priority"])])
        """)
    await lab.submit("Parent")
    await lab.until(0, "gone")
    await lab.until(1, "gone")
    with h5py.File(next(lab.directory.glob("results/*/*/*Parent.h5"))) as results:
        assert results["datasets/seen"][()].tolist() == [0, 1, -1]


async def test_a_run_that_prints_without_end_waits_for_the_log_and_can_be_deleted(lab: Lab) -> None:
    lab.write("Flood", """
        class Flood(EnvExperiment):
            def build(self): pass
            def run(self):
                lines = 0
                while True:
                    print("line " * 200)
                    lines += 1
                    open("lines", "w").write(str(lines))
        """)
    lab.room.clear()
    rid = await lab.submit("Flood")
    await lab.until(rid, "running")
    counts: list[str] = []
    async with asyncio.timeout(30):
        while len(counts) < 20 or len(set(counts[-20:])) > 1 or not counts[-1]:
            counts += [path.read_text() for path in lab.directory.glob("results/*/*/lines")]
            await asyncio.sleep(0.02)
    assert 0 < int(counts[-1]) < 1000
    other = await lab.submit(pipeline="other")
    lab.room.set()
    await lab.until(other, "gone")
    lab.scheduler.delete(rid)
    await lab.until(rid, "gone")


async def test_forty_runs_leave_no_descriptor_task_or_process_behind(lab: Lab) -> None:
    def left() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())

    await lab.until(await lab.submit(), "gone")
    before = left()
    pids = set()
    for _ in range(40):
        last = await lab.submit()
        await lab.until(last, "running", "run_done", "analyzing", "deleting", "gone")
        pids |= {job.worker.pid for job in lab.scheduler._jobs.values()}
    await lab.until(last, "gone")
    assert len(lab.results()) == 41
    async with asyncio.timeout(10):  # pipes are closed a moment after the process has ended
        while left() != before:
            await asyncio.sleep(0.02)
    assert not [pid for pid in pids if pid is not None and os.path.exists(f"/proc/{pid}")]


async def test_stop_ends_everything_and_nothing_is_submitted_any_more(lab: Lab) -> None:
    rid = await lab.submit("Waiting", arguments={"stage": "run", "until": "never"})
    await lab.submit()
    await lab.until(rid, "running")
    pid = lab.pid(rid)
    await lab.scheduler.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert await lab.scheduler.submit("main", {"file": "Empty.py"}) is None


@pytest.mark.parametrize("seed", range(2))
async def test_random_deletions_kills_and_terminations_leave_every_other_run_whole(lab: Lab, seed: int) -> None:
    print("seed", seed)
    chance = random.Random(seed)
    names: dict[int, str] = {}
    disturbed = set()
    for _ in range(40):
        name = chance.choice(["Empty", "Empty", "Waiting"])  # the latter fails, as its arguments are missing
        names[await lab.submit(name, chance.choice(["a", "b"]), priority=chance.randrange(3),
                               flush=chance.random() < 0.1)] = name
        await asyncio.sleep(chance.random() * 0.03)
        victim = chance.choice(list(names))
        job = lab.scheduler._jobs.get(victim)
        if job is None or chance.random() < 0.5:
            continue
        disturbed.add(victim)
        if chance.random() < 0.4 and job.worker.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(job.worker.pid, signal.SIGKILL)
        elif chance.random() < 0.5:
            lab.scheduler.delete(victim)
        else:
            lab.scheduler.request_termination(victim)
    for rid in names:
        await lab.until(rid, "gone")
    undisturbed = [rid for rid, name in names.items() if name == "Empty" and rid not in disturbed]
    assert len(undisturbed) > 5 and disturbed
    for rid in undisturbed:
        assert [status for status in lab.life(rid)[1:] if status != "flushing"] == WHOLE[1:]
        assert f"{rid:09}-Empty.h5" in lab.results()
