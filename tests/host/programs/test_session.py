"""`corelog session` as a program: readiness, ends of every kind, no orphans."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from corelog.frontend import session
from corelog.lab.addresses import free_address
from corelog.lab.program import Program
from support.certificates import make_certificate
from support.conditions import eventually
from support.management import until_gone

CONTROLLER = f"""
device_db = {{"c": {{"type": "controller", "host": "ADDRESS", "port": 20001, "term_timeout": 0.5,
                     "command": "{sys.executable} -c 'import time; time.sleep(1000)'"}}}}
"""


def children(pid: int) -> dict[str, int]:
    """Processes that `pid` has started: last part of the module or program -> process id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                name = words[2] if len(words) > 2 and words[1] == "-m" else words[0]
                found[name.rpartition(".")[2].rpartition("/")[2]] = int(entry.name)
    return found


class Running:
    """A session in a directory of its own, on an address of its own."""

    def __init__(self, directory: Path, *options: str):
        self.address = free_address()
        (directory / "device_db.py").write_text(CONTROLLER.replace("ADDRESS", self.address))
        (directory / "repository").mkdir(exist_ok=True)
        bind = ["--bind", self.address, "--no-localhost-bind"]
        self.argv = ["corelog", "session", *(f"-m={a}" for a in bind),
                     *(f"-c={a}" for a in [*bind, "-s", self.address]), *options]
        self.program = Program("session", self.argv, cwd=directory, ready="are running",
                               env={"XDG_STATE_HOME": str(directory / "state"),
                                    "PATH": f"{directory}{os.pathsep}{os.environ['PATH']}"})

    @property
    def pid(self) -> int:
        assert self.program.process is not None
        return self.program.process.pid

    async def family(self) -> list[int]:
        """Ids of master, controller manager and its controller, once all run."""
        pids: list[int] = []

        async def there() -> bool:
            pids.clear()
            mine = children(self.pid)
            controllers = children(mine["ctlmgr"])
            pids.extend([mine["master"], mine["ctlmgr"], *controllers.values()])
            return bool(controllers)

        await eventually(there, 20, "a controller")
        return pids


@asynccontextmanager
async def running(directory: Path, *options: str) -> AsyncIterator[Running]:
    found = Running(directory, *options)
    await found.program.start()
    try:
        yield found
    finally:
        await found.program.stop(30.0)


async def all_gone(pids: list[int]) -> None:
    for pid in pids:
        await until_gone(pid, 30.0)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signal_ends_all_in_order(tmp_path: Path, end: int) -> None:
    async with running(tmp_path) as found:
        pids = await found.family()
        found.program.signal(end)
        assert await found.program.wait(30) == 0
        await all_gone(pids)
        lines = list(found.program.lines)
        order = ["<master> ARTIQ master is now ready.", "<ctlmgr> ARTIQ controller manager is now running.",
                 "<session> master and ctlmgr are running", "<session> ending the ctlmgr",
                 "<session> ending the master"]
        assert [line for line in lines if line in order] == order


@pytest.mark.parametrize("victim", ["master", "ctlmgr"])
async def test_death_of_one_ends_the_others_and_is_said(tmp_path: Path, victim: str) -> None:
    async with running(tmp_path) as found:
        pids = await found.family()
        os.kill(children(found.pid)[victim], signal.SIGKILL)
        assert await found.program.wait(30) == 1
        assert any(f"corelog session: error: {victim} ended (status -9)" in line for line in found.program.lines)
        await all_gone(pids)


async def test_nothing_survives_a_session_that_is_killed(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        pids = await found.family()
        found.program.signal(signal.SIGKILL)
        await all_gone(pids)


async def test_second_signal_does_not_wait(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        pids = await found.family()
        os.kill(pids[1], signal.SIGSTOP)  # a manager that would take all its time
        found.program.signal(signal.SIGINT)

        async def ending() -> bool:
            return "<session> ending the ctlmgr" in found.program.lines

        await eventually(ending, 10, "the first signal's effect")
        found.program.signal(signal.SIGINT)
        assert await found.program.wait(20) == 0
        await all_gone(pids)


async def test_nothing_survives_the_terminal(tmp_path: Path) -> None:
    found = Running(tmp_path)
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
         "os.execv(sys.argv[1], sys.argv[1:])", str(Path(sys.executable).parent / "corelog"), *found.argv[1:]],
        stdin=inside, stdout=inside, stderr=inside, cwd=tmp_path, start_new_session=True,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")})
    os.close(inside)
    seen = b""
    while b"are running" not in seen:
        seen += await asyncio.to_thread(os.read, terminal, 4096)
    mine = list(children(process.pid).values())
    assert len(mine) == 2
    os.close(terminal)
    await asyncio.to_thread(process.wait, 30)
    await all_gone(mine)


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (3, 1)])
async def test_end_of_the_dashboard_ends_the_session(tmp_path: Path, status: int, expected: int) -> None:
    dashboard = tmp_path / "artiq_dashboard"
    dashboard.write_text(f'#!/bin/sh\necho "arguments: $*"\nwhile [ ! -e close ]; do sleep 0.05; done\nexit {status}\n')
    dashboard.chmod(0o755)
    async with running(tmp_path, "-d=-p", "-d=plugin") as found:
        pids = await found.family()
        (tmp_path / "close").touch()
        assert await found.program.wait(30) == expected
        assert "<dashboard> arguments: -p plugin" in found.program.lines
        await all_gone(pids)


async def test_program_that_does_not_become_ready_is_said(tmp_path: Path) -> None:
    found = Running(tmp_path, "-m=--device-db", "-m=/nonexistent.py")
    found.program.ready = None
    await found.program.start()
    assert await found.program.wait(30) == 1
    assert "corelog session: error: master ended with status 1 before it was ready" in found.program.last_line()
    assert "/nonexistent.py does not exist" in found.program.last_line()


async def test_session_over_tls(tmp_path: Path) -> None:
    make_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with running(tmp_path, "--ssl", "cert.pem", "key.pem", "cert.pem", "-c=-v") as found:
        await found.family()  # the controller manager knows the controller from the master
        client = Program("client", ["corelog", "client", "-s", found.address, "scan-devices", "--ssl", "cert.pem",
                                    "key.pem", "cert.pem"], cwd=tmp_path)
        await client.start()
        assert await client.wait(30) == 0
        plain = Program("client", ["corelog", "client", "-s", found.address, "scan-devices"], cwd=tmp_path)
        await plain.start()
        assert await plain.wait(60) == 1


def test_no_dashboard_for_the_arguments_of_one(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(session, "dashboard_command", lambda: None)
    assert session.main(["-d=-v"]) == 1
    assert "there is no dashboard" in capsys.readouterr().err


def test_terminal_that_stands_still_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, written = threading.Event(), []

    class Terminal:
        def write(self, text: str) -> None:
            goes_on.wait(20)
            written.append(text)

        def flush(self) -> None:
            pass

    monkeypatch.setattr(sys, "stdout", Terminal())
    output = session.Output(lines=10)
    for i in range(100):
        output.line("master", str(i))
    goes_on.set()
    while len(written) < 10:
        threading.Event().wait(0.001)
    output.line("master", "last")
    output.close()
    kept = [text for text in written if text.startswith("<master>")]
    missing = next(text for text in written if text.startswith("<session>"))
    assert f"{101 - len(kept)} lines are missing here" in missing and written[-1] == "<master> last\n"
