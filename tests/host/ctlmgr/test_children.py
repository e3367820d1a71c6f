"""Processes that do not outlive their parent: really here, and on a model of the calls of Windows."""

import asyncio
import ctypes
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from corelog.children import CTRL_BREAK_EVENT, Child, WindowsTree
from corelog.windows_job import EXTENDED_LIMIT_INFORMATION, KILL_ON_JOB_CLOSE, ExtendedLimits, Job
from sipyco.tools import SignalHandler
from support.management import until_gone

SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(1000)"
PARENT = f"""
import asyncio, sys
from corelog.children import Child
async def main():
    await Child.start([sys.executable, "-c", {SLEEPER!r}])
    await asyncio.sleep(1000)
asyncio.run(main())
"""
FAMILY = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_child_ends_when_its_parent_is_killed(end: int) -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    async with asyncio.timeout(20):
        pid = int(await parent.stdout.readline())
    parent.send_signal(end)
    await parent.wait()
    await until_gone(pid)


async def test_kill_ends_a_child_and_what_it_started() -> None:
    child = await Child.start([sys.executable, "-c", FAMILY], stdout=asyncio.subprocess.PIPE)
    assert child.process.stdout is not None
    async with asyncio.timeout(20):
        pid = int(await child.process.stdout.readline())
    assert pid != child.pid and child.running
    child.kill()
    await child.process.wait()
    await until_gone(pid)
    child.kill()  # nothing is left of it, and nothing happens
    child.ask_to_end()


@pytest.mark.parametrize("argv", [["/nonexistent/program"], [sys.executable, "a\0b"]])
async def test_program_that_cannot_be_started_is_an_os_error(argv: list[str]) -> None:
    with pytest.raises(OSError):
        await Child.start(argv)


class Windows:
    """Jobs and handles as Windows keeps them. What is in a job without handles is dead."""

    def __init__(self, processes: set[int]):
        self.processes = processes
        self.handles: dict[int, Any] = {}
        self.refuse = ""

    def _handle(self, what: Any) -> int:
        handle = 0x7FFF_0000_0000 + 4 * (len(self.handles) + 1)  # more than 32 bits
        self.handles[handle] = what
        return handle

    def CreateJobObjectW(self, security: None, name: None) -> int:
        return self._handle({"kill on close": False, "members": set()})

    def SetInformationJobObject(self, job: int, kind: int, limits: Any, size: int) -> int:
        assert kind == EXTENDED_LIMIT_INFORMATION and size == ctypes.sizeof(ExtendedLimits)
        self.handles[job]["kill on close"] = bool(limits._obj.Basic.LimitFlags & KILL_ON_JOB_CLOSE)
        return 1

    def OpenProcess(self, access: int, inherit: bool, pid: int) -> int:
        assert access == 0x101 and not inherit
        return self._handle(pid) if pid in self.processes else 0

    def AssignProcessToJobObject(self, job: int, process: int) -> int:
        if self.refuse == "assign":
            return 0
        self.handles[job]["members"].add(self.handles[process])
        return 1

    def TerminateJobObject(self, job: int, status: int) -> int:
        self.processes -= self.handles[job]["members"]
        return 1

    def CloseHandle(self, handle: int) -> int:
        closed = self.handles.pop(handle)
        if isinstance(closed, dict) and closed["kill on close"]:
            self.processes -= closed["members"]
        return 1


def test_layout_of_the_limits_is_that_of_64_bit_windows() -> None:
    if ctypes.sizeof(ctypes.c_void_p) == 8:
        assert ctypes.sizeof(ExtendedLimits) == 144
        assert ExtendedLimits.Basic.offset == 0 and ExtendedLimits.ProcessMemoryLimit.offset == 112


def test_windows_job_takes_its_processes_with_it() -> None:
    windows = Windows({7, 8, 9})
    job = Job(windows)
    job.adopt(7)
    job.adopt(8)
    assert len(windows.handles) == 1  # only the job stays open
    job.terminate()
    assert windows.processes == {9}
    job.adopt(9)
    del job
    assert windows.processes == set() and not windows.handles


def test_windows_process_that_is_gone_is_an_error_and_leaks_no_handle() -> None:
    windows = Windows({7})
    job = Job(windows)
    with pytest.raises(OSError, match="cannot open process 8"):
        job.adopt(8)
    windows.refuse = "assign"
    with pytest.raises(OSError, match="cannot put process 7 into a job"):
        job.adopt(7)
    assert len(windows.handles) == 1


class Process:
    def __init__(self, pid: int):
        self.pid = pid
        self.returncode: int | None = None
        self.sent: list[int] = []

    def send_signal(self, number: int) -> None:
        self.sent.append(number)

    def kill(self) -> None:
        self.returncode = 1


async def test_windows_child_is_started_in_a_group_and_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    windows, started = Windows({7, 8}), []

    async def start(*argv: str, **options: Any) -> Process:
        started.append((argv, options))
        return Process(7)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    child = await Child.start_on_windows(["x", "y"], windows, cwd=Path("."))
    assert started == [(("x", "y"), {"creationflags": 0x200, "cwd": Path(".")})]
    child.ask_to_end()
    assert child.process.sent == [CTRL_BREAK_EVENT]  # type: ignore[attr-defined]
    assert isinstance(child._tree, WindowsTree)
    child.kill()
    assert windows.processes == {8}
    windows.refuse = "assign"
    failed: list[Process] = []

    async def start_failing(*argv: str, **options: Any) -> Process:
        failed.append(Process(8))
        return failed[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_failing)
    with pytest.raises(OSError):
        await Child.start_on_windows(["x"], windows)
    assert failed[0].returncode == 1


async def test_ctrl_break_is_a_request_to_end_where_there_is_one(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR2, raising=False)
    signals = SignalHandler()
    signals.setup()
    try:
        signal.raise_signal(signal.SIGUSR2)
        async with asyncio.timeout(10):
            await signals.wait_terminate()
    finally:
        signals.teardown()
    assert "Caught SIGBREAK, terminating..." in capsys.readouterr().out
