"""The whole master as a process, with clients and experiments: what they see and what is left."""

import asyncio
import contextlib
import stat
import subprocess
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import h5py
import lmdb
import pytest

from corelog.lab.program import executable
from corelog.master import log_lines
from corelog.master.scheduler import LINGER
from sipyco import pyon
from sipyco.broadcast import Receiver
from sipyco.sync_struct import Subscriber
from support.conditions import eventually
from support.management import Management, management

HEAD = """
import logging, os, time
from corelog.experiment import *
"""
EXPERIMENT = """
class Full(EnvExperiment):
    \"\"\"A full one.\"\"\"
    def build(self):
        self.setattr_device("scheduler")
        self.setattr_device("ccb")
        self.setattr_argument("n", NumberValue(1, precision=0, step=1))
    def run(self):
        logging.warning("n is %d", self.n)
        self.set_dataset("full.n", self.n, broadcast=True, persist=True, unit="ms")
        self.ccb.issue("create_applet", "plot", "command", group="g")
        self.set_dataset("kept", [1.0] * self.n)
"""


def git(directory: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-c", "user.name=Lab", "-c", "user.email=lab@example.org", *arguments], cwd=directory,
                          check=True, capture_output=True, text=True).stdout.strip()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + textwrap.dedent(text))
    return path


@contextlib.asynccontextmanager
async def master(directory: Path, *options: str) -> AsyncIterator[Management]:
    async with management(directory) as system:
        system.master = system.make_master(*options)
        system.write_device_db()
        await system.master.start()
        yield system


class Mirror:
    """A notifier's structure, and all changes of it."""

    def __init__(self, name: str):
        self.struct: dict[Any, Any] = {}
        self.mods: list[dict[str, Any]] = []
        self._subscriber = Subscriber(name, self._begin, self.mods.append)

    def _begin(self, struct: dict[Any, Any]) -> dict[Any, Any]:
        self.struct = struct
        return struct

    async def __aenter__(self) -> "Mirror":
        return self

    async def connect(self, address: str) -> "Mirror":
        await self._subscriber.connect(address, 3250)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._subscriber.close()


async def until_idle(system: Management) -> None:
    async with system.rpc(3251, "schedule") as schedule:
        async def idle() -> bool:
            return not await schedule.get_status()

        await eventually(idle, 60, "the end of all runs")


def results(directory: Path) -> list[Path]:
    return sorted(directory.glob("results/*/*/*.h5"), key=lambda path: path.name)


async def test_clients_see_a_run_from_its_submission_to_its_results(tmp_path: Path) -> None:
    write(tmp_path / "repository/full.py", EXPERIMENT)
    async with master(tmp_path, "--log-submissions", "submissions.csv") as system:
        await system.listen()
        ccb: list[Any] = []
        receiver = Receiver("ccb", [ccb.append])
        await receiver.connect(system.address, 1067)
        schedule = await Mirror("schedule").connect(system.address)
        datasets = await Mirror("datasets").connect(system.address)
        explist = await Mirror("explist").connect(system.address)
        async with schedule, datasets, explist, system.rpc(3251, "experiment_db") as experiment_db:
            await experiment_db.scan_repository()
            assert await experiment_db.root() == str(tmp_path / "repository")
            async with system.rpc(3251, "schedule") as control:
                rid = await control.submit("main", {
                    "file": "full.py", "class_name": "Full", "arguments": {"n": 3}, "log_level": 30, "repo_rev": None})
                assert rid == 0
                with pytest.raises(KeyError, match="RID not found"):
                    await control.check_pause(77)
            await until_idle(system)
            await system.seen("n is 3")

            async def told() -> bool:
                return bool(ccb) and schedule.mods[-1]["action"] == "delitem" and "full.n" in datasets.struct

            await eventually(told, 10, "all that clients are told")
            assert list(explist.struct) == ["A full one"]
            assert explist.struct["A full one"]["arginfo"]["n"][0]["ty"] == "NumberValue"
            assert [mod["value"] for mod in schedule.mods if mod.get("path") == [0]] == [
                "preparing", "prepare_done", "running", "run_done", "analyzing", "deleting"]
            assert datasets.struct["full.n"] == (True, 3, {"unit": "ms"})
        assert ccb == [{"service": "create_applet", "args": ("plot", "command"), "kwargs": {"group": "g"}}]
        assert {entry.source for entry in system.tap.entries if "n is 3" in entry.text} == {"worker(0,full.py)"}
        await receiver.close()
    [file] = results(tmp_path)
    with h5py.File(file) as content:
        assert pyon.decode(content["expid"][()].decode())["repo_rev"] == "N/A"
        assert content["datasets/kept"][()].tolist() == [1.0] * 3
    assert (tmp_path / "submissions.csv").read_text().endswith(",full.py\n")
    assert persistent(tmp_path) == {"full.n": (3, {"unit": "ms"})}


def persistent(directory: Path) -> dict[str, Any]:
    with lmdb.open(str(directory / "dataset_db.mdb"), subdir=False, readonly=True) as database:
        with database.begin() as transaction:
            return {bytes(key).decode(): pyon.decode(bytes(value).decode()) for key, value in transaction.cursor()}


async def test_core_device_errors_name_the_run_that_is_running_and_no_other(tmp_path: Path) -> None:
    write(tmp_path / "wait.py", f"""
        class Wait(EnvExperiment):
            def build(self): pass
            def run(self):
                while not os.path.exists({str(tmp_path / 'go')!r}):
                    time.sleep(0.01)
        """)
    async with master(tmp_path) as system:
        await system.listen()
        _, writer = await asyncio.open_connection(system.address, 1066)
        writer.write(b"ARTIQ logging\n")
        async with system.rpc(3251, "schedule") as schedule:
            for pipeline in ("a", "b"):
                await schedule.submit(pipeline, {"file": "wait.py", "arguments": {}})

            async def both_run() -> bool:
                return [run["status"] for run in (await schedule.get_status()).values()] == ["running", "running"]

            await eventually(both_run, 60, "both runs")
            writer.write(b"controller(core_log):ERROR:firmware.rtio:during the runs\n")
            assert (await system.seen("during the runs")).text.endswith(log_lines.rid_mark([0, 1]))
            (tmp_path / "go").touch()
            await until_idle(system)
        await asyncio.sleep(LINGER)
        writer.write(b"controller(core_log):ERROR:firmware.rtio:after the runs\n")
        assert (await system.seen("after the runs")).text.endswith("after the runs")
        writer.close()


async def test_a_wrong_repository_or_dataset_file_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "device_db.py").write_text("device_db = {}")
    (tmp_path / "broken.mdb").write_text("this is no database " * 1000)
    for options, text in ((["-g", "-r", "."], "is not a git repository"),
                          (["--dataset-db", "broken.mdb"], "broken.mdb")):
        process = await asyncio.create_subprocess_exec(
            executable("corelog"), "master", "--bind", "127.0.0.1", "--no-localhost-bind", *options, cwd=tmp_path,
            stderr=subprocess.PIPE)
        _, error = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 1
        assert text in error.decode().splitlines()[-1] and "Traceback" not in error.decode()


async def test_a_push_is_scanned_by_its_hook_while_runs_of_older_commits_go_on(tmp_path: Path) -> None:
    bare, work = tmp_path / "bare.git", tmp_path / "work"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    git(tmp_path, "clone", "-q", str(bare), str(work))
    commits = []

    def push(number: int) -> None:
        write(work / "exp.py", f"""
            class Versioned(EnvExperiment):
                def build(self): pass
                def run(self):
                    while not os.path.exists({str(tmp_path / 'go')!r}):
                        time.sleep(0.01)
                    import part
                    self.set_dataset("version", part.version)
            """)
        (work / "part.py").write_text(f"version = {number}")
        git(work, "add", "-A")
        git(work, "commit", "-q", "-m", f"version {number}")
        git(work, "push", "-q", "origin", "HEAD:main")
        commits.append(git(work, "rev-parse", "HEAD"))

    push(0)
    async with master(tmp_path, "-g", "-r", str(bare)) as system:
        hook = bare / "hooks/post-receive"
        hook.write_text(f"#!/bin/sh\n{executable('corelog')} client -s {system.address} scan-repository\n")
        hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
        async with system.rpc(3251, "schedule") as schedule, system.rpc(3251, "experiment_db") as experiments:
            await experiments.scan_repository()

            async def submit(revision: str | None) -> int:
                rid = await schedule.submit(f"pipeline {revision} {len(commits)}", {
                    "file": "exp.py", "class_name": "Versioned", "arguments": {}, "repo_rev": revision})
                assert isinstance(rid, int)
                return rid

            await submit(None)
            await asyncio.to_thread(push, 1)
            await submit(None)
            await asyncio.to_thread(push, 2)
            await submit(None)
            await submit("HEAD~1")
            status = await schedule.get_status()
            assert [status[rid]["repo_msg"] for rid in range(4)] == ["version 0", "version 1", "version 2", "version 1"]
            assert [status[rid]["expid"]["repo_rev"] for rid in range(4)] == [
                commits[0], commits[1], commits[2], commits[1]]

            async def all_run() -> bool:
                return {run["status"] for run in (await schedule.get_status()).values()} == {"running"}

            await eventually(all_run, 60, "four runs at once")
            (tmp_path / "go").touch()
            await until_idle(system)
    seen = []
    for path in results(tmp_path):
        with h5py.File(path) as content:
            seen.append((pyon.decode(content["expid"][()].decode())["repo_rev"], int(content["datasets/version"][()])))
    assert seen == [(commits[version], version) for version in (0, 1, 2, 1)]
