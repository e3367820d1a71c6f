"""The process that workers are forked from, and what is left when it or the master goes."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from corelog.master import worker_forked
from corelog.master.worker import WorkerEnded
from corelog.master.worker_forked import ForkedProcesses
from corelog.master.worker_zygote import REQUEST
from support.management import until_gone
from support.workers import bench, endless


@pytest.fixture(autouse=True)
def in_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_when_the_zygote_dies_its_workers_end_and_the_next_one_starts(tmp_path: Path) -> None:
    async with bench(ForkedProcesses, tmp_path) as own:
        worker, step = await endless(own)
        assert isinstance(own.processes, ForkedProcesses) and own.processes._zygote is not None
        os.kill(own.processes._zygote.pid, signal.SIGKILL)
        with pytest.raises(WorkerEnded, match="signal 9"):
            await step
        await until_gone(worker.pid or 0)
        await own.run(await own.build("class Next(EnvExperiment):\n    def run(self): pass"))


async def test_a_zygote_that_does_not_answer_is_replaced(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(ForkedProcesses, tmp_path) as own:
        await own.run(await own.build("class First(EnvExperiment):\n    def run(self): pass"))
        assert isinstance(own.processes, ForkedProcesses) and own.processes._zygote is not None
        os.kill(own.processes._zygote.pid, signal.SIGSTOP)
        monkeypatch.setattr(worker_forked, "START_DEADLINE", 0.3)
        with pytest.raises(WorkerEnded, match="no process could be started"):
            await own.build("class Second(EnvExperiment):\n    def run(self): pass")
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        await own.run(await own.build("class Third(EnvExperiment):\n    def run(self): pass"))


async def test_when_the_master_goes_workers_end(tmp_path: Path) -> None:
    async with bench(ForkedProcesses, tmp_path) as own:
        worker, step = await endless(own)
        await own.processes.close()  # the socket closes, as it does when the master is killed
        await until_gone(worker.pid or 0)
        step.cancel()


async def test_when_the_master_goes_a_worker_that_will_not_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    async with bench(ForkedProcesses, tmp_path) as own:
        worker, step = await endless(own, run="signal.signal(signal.SIGTERM, signal.SIG_IGN); "
                                              "child = subprocess.Popen(['sleep', '600']); self.ccb.issue(child.pid)")
        await own.processes.close()
        for pid in (worker.pid or 0, own.said[0][0][0]):
            await until_gone(pid)
        step.cancel()


def test_when_the_master_goes_with_a_request_under_way_its_worker_ends_too() -> None:
    ours, theirs = socket.socketpair()
    pipes = [os.pipe() for _ in range(4)]
    theirs_of = [pipes[0][0], *(pipe[1] for pipe in pipes[1:])]  # orders, requests, output, errors
    with theirs, subprocess.Popen([sys.executable, "-m", "corelog.master.worker_zygote", str(theirs.fileno())],
                                  pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True) as zygote:
        with ours:  # it is still loading its libraries, so the answer will find nobody
            socket.send_fds(ours, [REQUEST.pack(0, 30)], theirs_of)
        theirs.close()
        for descriptor in theirs_of:
            os.close(descriptor)
        try:
            assert zygote.wait(30) == 0
        finally:
            zygote.kill()
        assert zygote.stderr is not None and zygote.stderr.read() == ""
    with open(pipes[2][0], "rb") as output:
        assert output.read() == b""  # closed: the worker has gone, though nobody has closed its orders
    for descriptor in (pipes[0][1], pipes[1][0], pipes[3][0]):
        os.close(descriptor)
