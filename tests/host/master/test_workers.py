"""Workers as real processes: their stages, what they ask of the master, and every way they can go wrong."""

import asyncio
import logging
import os
import textwrap
import time
from pathlib import Path
from typing import Any

import h5py
import pytest

from corelog.master import worker as worker_module
from corelog.master.worker import Worker, WorkerEnded, WorkerException, WorkerTimeout
from corelog.master.worker_forked import ForkedProcesses
from corelog.master.worker_process import SpawnedProcesses
from support.management import until_gone
from support.workers import HEAD, bench, endless

KINDS = [ForkedProcesses, SpawnedProcesses]


@pytest.fixture(autouse=True)
def in_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_does_its_stages_and_leaves_results_and_log(
        kind: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with bench(kind, tmp_path) as own:
        own.datasets["old"] = 5
        worker = await own.build("""
            class Three(EnvExperiment):
                def build(self):
                    self.setattr_argument("n", NumberValue(precision=0, step=1))
                    self.setattr_device("scheduler")
                    self.setattr_device("ccb")
                def prepare(self):
                    print("preparing", self.n)
                def run(self):
                    s = self.scheduler
                    self.set_dataset("facts", [s.rid, s.priority, int(s.check_pause()), self.get_dataset("old")])
                    self.set_dataset("shown", 2.5, broadcast=True)
                    self.ccb.issue("create_applet", "a", group="g")
                    logging.warning("is running")
                def analyze(self):
                    self.set_dataset("analyzed", self.get_dataset("facts")[0])
            """, arguments={"n": 4})
        assert worker.pid != os.getpid()
        await own.run(worker)
        with h5py.File(own.result()) as file:
            assert file["datasets/facts"][()].tolist() == [7, 3, 1, 5]
            assert file["datasets/analyzed"][()] == 7
            assert file["rid"][()] == 7
        assert own.result().name == "000000007-Three.h5"
        assert own.datasets["shown"] == (False, 2.5, {})
        assert own.said == [(("create_applet", "a"), {"group": "g"})]
        lines = [(r.source, r.levelname, r.name, r.getMessage()) for r in caplog.records if hasattr(r, "source")]
        assert ("worker(7,exp.py)", "INFO", "print", "preparing 4") in lines
        assert ("worker(7,exp.py)", "WARNING", "root", "is running") in lines
        await until_gone(worker.pid or 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_pause_suspends_until_the_master_resumes_and_tells_of_termination(kind: Any, tmp_path: Path) -> None:
    async with bench(kind, tmp_path) as own:
        worker = await own.build("""
            class Pausing(EnvExperiment):
                def build(self):
                    self.setattr_device("scheduler")
                    self.setattr_device("ccb")
                def run(self):
                    self.ccb.issue(self.scheduler.pause_noexc())
                    try:
                        self.scheduler.pause()
                    except TerminationRequested:
                        self.ccb.issue("asked")
            """)
        assert not await worker.do("run")
        assert not await worker.resume(False)
        assert await worker.resume(True)
        assert own.said == [((False,), {}), (("asked",), {})]


@pytest.mark.parametrize("stage", ["build", "prepare", "analyze"])
async def test_pause_is_refused_outside_of_run(stage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with bench(ForkedProcesses, tmp_path) as own:
        with pytest.raises(WorkerException, match=stage):
            await own.run(await own.build(f"""
                class Early(EnvExperiment):
                    def build(self):
                        self.setattr_device("scheduler")
                        self.pause_in("build")
                    def pause_in(self, stage):
                        if stage == "{stage}":
                            self.scheduler.pause()
                    def prepare(self): self.pause_in("prepare")
                    def run(self): pass
                    def analyze(self): self.pause_in("analyze")
                """))
        await own.workers[0].close()
        assert "pause() is for run()" in caplog.text


@pytest.mark.parametrize("stage", ["build", "prepare", "run", "analyze"])
async def test_exception_in_any_stage_is_logged_and_results_are_written_from_run_on(
        stage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    body = "\n".join(f"    def {name}(self):\n        {'1 / 0' if name == stage else 'pass'}"
                     for name in ("build", "prepare", "run", "analyze"))
    async with bench(ForkedProcesses, tmp_path) as own:
        with pytest.raises(WorkerException, match=stage):
            await own.run(await own.build("class Bad(EnvExperiment):\n" + body))
        for worker in own.workers:
            await worker.close()
        assert len(list(tmp_path.glob("results/*/*/*.h5"))) == (stage in ("run", "analyze"))
        [record] = [r for r in caplog.records if "Terminating with exception" in r.getMessage()]
        assert "ZeroDivisionError" in record.getMessage() and "exp.py" in record.getMessage()


@pytest.mark.parametrize("how", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"])
@pytest.mark.parametrize("stage", ["build", "prepare", "run", "analyze"])
async def test_death_in_any_stage_ends_that_step_and_says_how(stage: str, how: str, tmp_path: Path) -> None:
    body = "\n".join(f"    def {name}(self):\n        {how if name == stage else 'pass'}"
                     for name in ("build", "prepare", "run", "analyze"))
    async with bench(ForkedProcesses, tmp_path) as own:
        with pytest.raises(WorkerEnded, match=f"ended in {stage} (with exit status 3|by signal 9)"):
            await own.run(await own.build("class Dying(EnvExperiment):\n" + body))


async def test_a_build_that_hangs_is_ended_in_time_even_if_it_ignores_sigterm(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "TERMINATE_LIMIT", 0.2)
    async with bench(ForkedProcesses, tmp_path) as own:
        with pytest.raises(WorkerTimeout, match="build takes too long"):
            await own.build("""
                class Hanging(EnvExperiment):
                    def build(self):
                        signal.signal(signal.SIGTERM, signal.SIG_IGN)
                        while True: time.sleep(1)
                """, limit=1.0)
        started = time.monotonic()
        await own.workers[0].close()
        assert time.monotonic() - started < 5.0
        await until_gone(own.workers[0].pid or 0)


async def test_closing_a_running_worker_lets_it_close_its_devices(tmp_path: Path) -> None:
    (tmp_path / "driver_for_test.py").write_text(textwrap.dedent("""
        class Driver:
            def __init__(self, dmgr, path): self.path = path
            def close(self): open(self.path, "w").write("closed")
        """))
    async with bench(ForkedProcesses, tmp_path) as own:
        own.devices["d"] = {"type": "local", "module": "driver_for_test", "class": "Driver",
                            "arguments": {"path": str(tmp_path / "closed")}}
        worker, step = await endless(own, build='self.setattr_device("d")')
        await worker.close()
        with pytest.raises(WorkerEnded):
            await step
        assert (tmp_path / "closed").read_text() == "closed"


async def test_a_watchdog_ends_its_block_but_not_a_pause(tmp_path: Path) -> None:
    async with bench(ForkedProcesses, tmp_path) as own:
        worker = await own.build("""
            class Watched(EnvExperiment):
                def build(self):
                    self.setattr_device("scheduler")
                def run(self):
                    with watchdog(0.2):
                        self.scheduler.pause()
                    with watchdog(0.2):
                        time.sleep(60)
            """)
        assert not await worker.do("run")
        await asyncio.sleep(0.3)
        started = time.monotonic()
        with pytest.raises(WorkerTimeout, match="watchdog in run"):
            await worker.resume(False)
        assert 0.15 < time.monotonic() - started < 10.0


async def test_what_a_request_raises_in_the_master_is_raised_in_the_experiment(tmp_path: Path) -> None:
    async with bench(ForkedProcesses, tmp_path) as own:
        own.handlers["scheduler_get_status"] = lambda: object()
        worker = await own.build("""
            class Asking(EnvExperiment):
                def build(self):
                    self.setattr_device("scheduler")
                    self.setattr_device("ccb")
                def run(self):
                    for ask in (lambda: self.get_dataset("none"), self.scheduler.get_status,
                                lambda: self.scheduler.delete(3)):
                        try:
                            ask()
                        except Exception as error:
                            self.ccb.issue(type(error).__name__)
            """)
        assert await worker.do("run")
        assert [args[0] for args, _ in own.said] == ["KeyError", "TypeError", "KeyError"]


async def test_garbage_in_the_pipe_ends_the_step(tmp_path: Path) -> None:
    async with bench(ForkedProcesses, tmp_path) as own:
        for garbage in ("b'garbage\\n'", "b'[]\\n'", "b'{}\\n'", "b'{\"action\":\"pauze\"}\\n'", "b'\\xff\\n'"):
            worker = await own.build(f"""
                import gc
                from corelog.master.worker_link import Link
                class Mad(EnvExperiment):
                    def run(self):
                        [link] = [thing for thing in gc.get_objects() if isinstance(thing, Link)]
                        link._pipe.write({garbage})
                """)
            with pytest.raises(worker_module.WorkerError, match="cannot be understood"):
                await worker.do("run")
            await worker.close()


async def test_workers_draw_different_random_numbers(tmp_path: Path) -> None:
    async with bench(ForkedProcesses, tmp_path) as own:
        for _ in range(2):
            await own.run(await own.build("""
                import numpy
                class Dice(EnvExperiment):
                    def build(self):
                        self.setattr_device("ccb")
                    def run(self):
                        self.ccb.issue(numpy.random.randint(1 << 62), random.getrandbits(60))
                """))
        (first, _), (second, _) = own.said
        assert first[0] != second[0] and first[1] != second[1]


async def test_a_submitted_text_runs_with_its_lines_in_tracebacks(
        tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with bench(ForkedProcesses, tmp_path) as own:
        worker = await own.build("""
            class Text(EnvExperiment):
                def build(self): pass
                def run(self):
                    raise ValueError("of the text")  # this line
            """, content=True)
        assert worker.source == "worker(7,<none>)"
        with pytest.raises(WorkerException):
            await worker.do("run")
        await worker.close()
        assert "# this line" in caplog.text


async def test_modules_beside_the_experiment_can_be_imported_late_and_changes_count_at_once(tmp_path: Path) -> None:
    text = """
        class Late(EnvExperiment):
            def build(self):
                self.setattr_device("ccb")
            def run(self):
                import beside_it
                self.ccb.issue(beside_it.x, {number})
        """
    async with bench(ForkedProcesses, tmp_path) as own:
        for number in range(1, 4):  # of the same length, within a second
            (tmp_path / "beside_it.py").write_text("x = 1")
            await own.run(await own.build(text.format(number=number)))
        assert [args for args, _ in own.said] == [(1, 1), (1, 2), (1, 3)]


async def test_at_its_end_a_worker_flushes_files_waits_for_threads_and_runs_exit_functions(tmp_path: Path) -> None:
    async with bench(ForkedProcesses, tmp_path) as own:
        for threads in (False, True):
            await own.run(await own.build(f"""
                import atexit, threading, weakref
                from pathlib import Path
                from concurrent.futures import ThreadPoolExecutor
                folder = Path({str(tmp_path)!r})
                of_the_module = open(folder / "module", "w")
                class Careless(EnvExperiment):
                    def build(self): pass
                    def run(self):
                        of_the_module.write("module")
                        self.own, self.cycle = open(folder / "own", "w"), self
                        self.own.write("own")
                        atexit.register((folder / "atexit").write_text, "atexit")
                        weakref.finalize(self, (folder / "finalize").write_text, "finalize")
                        if {threads}:
                            self.pool = ThreadPoolExecutor()
                            self.pool.submit(lambda: time.sleep(0.1))
                            threading.Thread(target=lambda: (time.sleep(0.2), (folder / "thread").touch())).start()
                """))
            for name in ("module", "own", "atexit", "finalize"):
                assert (tmp_path / name).read_text() == name
                (tmp_path / name).unlink()
            assert (tmp_path / "thread").exists() == threads


async def test_examining_tells_names_arguments_and_defaults_and_survives_bad_files(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    for folder in ("a", "b"):
        (repository / folder).mkdir(parents=True)
        (repository / folder / "helper.py").write_text(f"where = {folder!r}")
        (repository / folder / "exp.py").write_text(HEAD + textwrap.dedent("""
            import helper
            class Named(EnvExperiment):
                \"\"\"A title.

                More.\"\"\"
                argument_ui = "special"
                def build(self):
                    self.setattr_device("core")
                    self.setattr_argument("x", StringValue(helper.where), "group", "tip")
                    self.set_default_scheduling(priority=2, pipeline_name="side")
                def run(self): pass
            class Plain(EnvExperiment):
                def run(self): pass
            class _Hidden(EnvExperiment):
                def run(self): pass
            """))
    (repository / "bad.py").write_text("import nowhere_to_be_found")
    seen: dict[str, Any] = {}
    async with bench(ForkedProcesses, tmp_path) as own:
        worker = Worker(own.processes, own.handlers, "worker(scan,x)")
        own.workers.append(worker)
        await worker.examine(["a/exp.py", "bad.py", "b/exp.py"], str(repository), seen.__setitem__)
    assert seen["bad.py"] is None
    for folder in ("a", "b"):
        assert list(seen[f"{folder}/exp.py"]) == ["Named", "Plain"]
        assert seen[f"{folder}/exp.py"]["Named"] == {
            "name": "A title", "argument_ui": "special",
            "arginfo": {"x": ({"ty": "StringValue", "default": folder}, "group", "tip")},
            "scheduler_defaults": {"priority": 2, "pipeline_name": "side"}}
        assert seen[f"{folder}/exp.py"]["Plain"]["name"] == "Plain"
