"""`corelog client` as a program, against a master that keeps what it was asked."""

import asyncio
import datetime
import time
from pathlib import Path
from typing import Any

import pytest

from corelog.frontend import client, client_actions
from corelog.lab.program import Program
from corelog.master.repository import RepositoryError
from corelog.testing.fakemaster import FakeMaster

EXPID = {"devarg_override": {}, "log_level": 30, "class_name": None, "arguments": {}, "file": "x.py"}


async def run(master: FakeMaster, *arguments: str) -> tuple[int, list[str]]:
    program = Program("client", ["corelog", "client", "-s", "127.0.0.1", "--port", str(master.ports["control"]),
                                 *arguments])
    await program.start()
    return await program.wait(30), list(program.lines)


async def test_submit_prints_the_rid_and_takes_options_anywhere() -> None:
    async with FakeMaster() as master:
        assert await run(master, "submit", "x.py") == (0, ["RID: 0"])
        status, lines = await run(
            master, "-v", "submit", "-p", "second", "-R", "x.py", "-P", "5", "n=3", "-f", "-c", "Scan", 'name="a b"',
            "-r", "main", "--devarg-override", 'ttl0:channel=4 ttl0:x="y" core:host="h"')
        assert (status, lines) == (0, ["RID: 1"])
        assert master.calls == [
            ("schedule", "submit", ("main", EXPID, 0, None, False)),
            ("schedule", "submit", ("second", {
                "devarg_override": {"ttl0": {"channel": 4, "x": "y"}, "core": {"host": "h"}}, "log_level": 20,
                "class_name": "Scan", "arguments": {"n": 3, "name": "a b"}, "file": "x.py", "repo_rev": "main"},
                5, None, True))]


async def test_submit_by_content_sends_the_text_and_no_path(tmp_path: Path) -> None:
    file = tmp_path / "e.py"
    file.write_text("# µ\n")
    async with FakeMaster() as master:
        await run(master, "submit", "--content", str(file))
        (_, _, (_, expid, *_)), = master.calls
        assert expid["content"] == "# µ\n" and "file" not in expid and "repo_rev" not in expid


async def test_submit_without_revision_asks_for_the_current_one() -> None:
    async with FakeMaster() as master:
        await run(master, "submit", "-R", "x.py", "-t", "+100")
        (_, _, (_, expid, _, due, _)), = master.calls
        assert expid["repo_rev"] is None
        assert 80 < due - time.time() <= 100


@pytest.mark.parametrize(("arguments", "said"), [
    (["submit", "x.py", "n"], "is not of the form KEY=PYON"),
    (["submit", "x.py", "n=x"], 'n=\'"x"\''),
    (["submit", "-r", "main", "x.py"], "add -R"),
    (["submit", "--content", "-R", "x.py"], "choose one"),
    (["submit", "--content", "/nonexistent"], "No such file or directory"),
    (["submit", "--devarg-override", "core=1", "x.py"], "DEVICE:ARG=PYON"),
    (["submit", "-t", "soon", "x.py"], "is not a time"),
    (["set-dataset", "a", "1", "--unit", "parsec"], "give its scale"),
    (["set-dataset", "a", "x"], "is not a PYON value"),
    (["show", "log", "--once"], "has no end"),
    (["terminate", "--token-file", "/nonexistent"], "No such file or directory"),
])
async def test_wrong_usage_is_one_line_that_helps_and_asks_the_master_nothing(arguments: list[str], said: str) -> None:
    async with FakeMaster() as master:
        status, lines = await run(master, *arguments)
        assert status in (1, 2)
        assert said in lines[-1] and lines[-1].startswith("corelog client")
        assert not master.calls


@pytest.mark.parametrize(("arguments", "call"), [
    (["delete", "3"], ("schedule", "delete", (3,))),
    (["delete", "-g", "3"], ("schedule", "request_termination", (3,))),
    (["set-dataset", "a", "[1, 2]"], ("dataset_db", "set", ("a", [1, 2], None, None))),
    (["set-dataset", "a", "(1, 2)", "-p"], ("dataset_db", "set", ("a", (1, 2), True, None))),
    (["set-dataset", "-n", "a", "2.5", "--unit", "ms", "--precision", "3"],
     ("dataset_db", "set", ("a", 0.0025, False, {"unit": "ms", "precision": 3}))),
    (["set-dataset", "a", "true", "--scale", "2"], ("dataset_db", "set", ("a", True, None, {"scale": 2.0}))),
    (["set-dataset", "a", "3", "--unit", "turn", "--scale", "0.5"],
     ("dataset_db", "set", ("a", 1.5, None, {"unit": "turn", "scale": 0.5}))),
    (["del-dataset", "a"], ("dataset_db", "delete", ("a",))),
    (["supply-interactive", "4", "x=1", 'y="z"'], ("interactive_arg_db", "supply", (4, {"x": 1, "y": "z"}))),
    (["cancel-interactive", "4"], ("interactive_arg_db", "cancel", (4,))),
    (["scan-devices"], ("device_db", "scan", ())),
    (["scan-repository"], ("experiment_db", "scan_repository", (None,))),
    (["scan-repository", "--async", "abc"], ("experiment_db", "scan_repository_async", ("abc",))),
    (["terminate"], ("master_management", "terminate", ())),
])
async def test_action_is_the_call_of_the_masters_target(arguments: list[str], call: tuple[Any, ...]) -> None:
    async with FakeMaster() as master:
        assert await run(master, *arguments) == (0, [])
        assert master.calls == [call]


async def test_ls_shows_directories_first() -> None:
    async with FakeMaster() as master:
        master.answers["experiment_db", "list_directory"] = ["b.py", "z/", "a.py", "c/"]
        assert await run(master, "ls", "sub") == (0, ["c/", "z/", "a.py", "b.py"])
        assert master.calls[0][2] == ("sub",)


async def test_explain_prints_what_the_master_says() -> None:
    async with FakeMaster() as master:
        master.answers["schedule", "explain"] = "RID 3 waits for RID 2"
        assert await run(master, "explain", "3") == (0, ["RID 3 waits for RID 2"])


@pytest.mark.parametrize(("raised", "said"), [
    (KeyError("no dataset 'a'"), "no dataset 'a'"), (KeyError(7), "7"), (ValueError("too\nlong"), "too long"),
    (OSError(2, "No such file", "x"), "[Errno 2] No such file: 'x'"), (RuntimeError(), "RuntimeError"),
    (PermissionError("not you"), "not you"), (RepositoryError("no commit 'x'"), "no commit 'x'")])
async def test_refusals_of_the_master_are_one_line(raised: Exception, said: str) -> None:
    async with FakeMaster() as master:
        master.answers["dataset_db", "delete"] = raised
        status, lines = await run(master, "del-dataset", "a")
        assert (status, lines) == (1, [f"corelog client: error: the master refuses: {said}"])


async def test_no_master_is_said(unused_tcp_port: int) -> None:
    program = Program("client", ["corelog", "client", "-s", "127.0.0.1", "--port", str(unused_tcp_port), "terminate"])
    await program.start()
    assert await program.wait(30) == 1
    assert "no master answers at 127.0.0.1" in program.last_line()


@pytest.mark.parametrize(("text", "hour", "minute", "second"), [("14:30", 14, 30, 0), ("03:04:05", 3, 4, 5)])
def test_a_time_is_one_of_today(text: str, hour: int, minute: int, second: int) -> None:
    expected = datetime.datetime.combine(datetime.date.today(), datetime.time(hour, minute, second))
    assert client_actions.date(text) == expected.timestamp()


def test_dates_of_this_year_and_of_any() -> None:
    year = datetime.date.today().year
    assert client_actions.date("01/31 14:30:15") == datetime.datetime(year, 1, 31, 14, 30, 15).timestamp()
    assert client_actions.date("2030-02-03 04:05") == datetime.datetime(2030, 2, 3, 4, 5).timestamp()


def test_options_of_the_action_do_not_hide_those_before_it() -> None:
    args = client.get_argparser().parse_args(["-s", "h", "-v", "submit", "f", "--port", "5", "a=1"])
    assert (args.server, args.verbose, args.port, args.file, args.arguments) == ("h", 1, 5, "f", ["a=1"])


async def test_calls_that_take_long_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from corelog.frontend import master_link

    monkeypatch.setattr(master_link, "TIMEOUT", 0.2)
    async with FakeMaster() as master:
        async def slow(*_: Any) -> str:
            await asyncio.sleep(0.5)
            return "done"

        master.targets["experiment_db"].scan_repository = slow

        def call() -> Any:
            with master_link.control("127.0.0.1", master.ports["control"], "experiment_db", None, None) as target:
                return target.scan_repository(None)

        assert await asyncio.to_thread(call) == "done"
