"""Where workers' processes come from on systems without fork; run here on one that has it."""

import asyncio
import os
import platform
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from corelog.master import experiments
from corelog.master.worker_forked import ForkedProcesses
from corelog.master.worker_process import SpawnedProcess, SpawnedProcesses, processes
from support.management import until_gone


@pytest.fixture
async def spawned() -> AsyncIterator[SpawnedProcesses]:
    own = SpawnedProcesses()
    yield own
    await own.close()


async def ask_to_end(process: SpawnedProcess) -> None:
    process.write(b'{"action":"terminate"}\n')
    await process.drain()
    assert await asyncio.wait_for(process.wait(), 30) == 0


def test_systems_without_fork_start_new_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(processes(), ForkedProcesses)
    with monkeypatch.context() as mac:
        mac.setattr(platform, "system", lambda: "Darwin")
        assert isinstance(processes(), SpawnedProcesses)
    monkeypatch.delattr(os, "fork")
    assert isinstance(processes(), SpawnedProcesses)


async def test_the_process_started_in_advance_is_used_if_it_has_the_log_level(spawned: SpawnedProcesses) -> None:
    first = await spawned.start(30)
    assert spawned._waiting is not None
    ahead = await spawned._waiting[1]
    second = await spawned.start(30)
    assert second.pid == ahead.pid != first.pid
    assert spawned._waiting is not None
    unfit = (await spawned._waiting[1]).pid
    third = await spawned.start(10)
    assert third.pid != unfit
    await until_gone(unfit)
    for process in (first, second, third):
        await ask_to_end(process)


async def test_a_process_is_killed_where_there_are_no_groups(
        spawned: SpawnedProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    process = await spawned.start(30)
    monkeypatch.delattr(os, "killpg")
    process.kill()
    assert await asyncio.wait_for(process.wait(), 30) == -9
    assert await process.readline() == b""
    process.kill()  # of what has ended is no error
    process.terminate()
    await spawned.close()


def test_the_root_of_all_directories_is_the_drives_on_windows(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "C:\\").mkdir()
    (tmp_path / "X:\\").mkdir()
    assert experiments.drives() == ["C:\\", "X:\\"]
