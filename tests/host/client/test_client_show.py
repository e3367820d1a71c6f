"""`corelog client show` as a program, and its tables."""

import signal
import time
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from corelog.frontend.client_tables import argument_table, dataset_text, device_table, schedule_table
from corelog.frontend.text_table import table
from corelog.lab.program import Program
from corelog.testing.fakemaster import FakeMaster
from support.conditions import eventually

RUN = {"pipeline": "main", "expid": {"file": "a.py", "class_name": "A", "arguments": {}, "log_level": 30},
       "priority": 0, "due_date": None, "flush": False, "status": "running", "repo_msg": None}


@asynccontextmanager
async def shown(master: FakeMaster, port: str, *arguments: str) -> Any:
    program = Program("show", ["corelog", "client", "-s", "127.0.0.1", "show", *arguments, "--port",
                               str(master.ports[port])])
    await program.start()
    try:
        yield program
    finally:
        await program.stop()


async def until(program: Program, text: str) -> None:
    async def there() -> bool:
        return any(text in line for line in program.lines)

    await eventually(there, 20, f"{text!r} in {list(program.lines)}")


async def test_schedule_is_shown_again_when_it_changes_and_ends_on_ctrl_c() -> None:
    async with FakeMaster() as master:
        async with shown(master, "notify", "schedule") as program:
            await until(program, "Schedule is empty")
            master.schedule[3] = dict(RUN)
            await until(program, "running")
            master.schedule[3]["status"] = "run_done"
            await until(program, "run_done")
            program.signal(signal.SIGINT)
            assert await program.wait(10) == 0


@pytest.mark.parametrize(("what", "expected"), [
    ("schedule", "Schedule is empty"), ("devices", "Name  Description"),
    ("datasets", "a.b      Y           3.5 ms"), ("interactive-args", "No run waits for arguments"),
])
async def test_once_prints_the_table_and_ends(what: str, expected: str) -> None:
    async with FakeMaster() as master:
        master.datasets["a.b"] = (True, 0.0035, {"unit": "ms"})
        async with shown(master, "notify", what, "--once") as program:
            assert await program.wait(20) == 0
            assert expected in program.lines


async def test_table_is_shown_again_by_itself_when_the_master_comes_back() -> None:
    async with FakeMaster() as master:
        async with shown(master, "notify", "datasets") as program:
            await until(program, "Dataset")
            publisher = master._servers[1]
            await publisher.stop()
            await until(program, "the master has gone; trying again")
            master.datasets["new"] = (True, 1, {})
            await publisher.start("127.0.0.1", master.ports["notify"])
            await until(program, "new")
            assert sum("gone" in line for line in program.lines) == 1
            program.signal(signal.SIGINT)
            assert await program.wait(10) == 0


@pytest.mark.parametrize(("port", "what"), [("control", "schedule"), ("broadcast", "devices"), ("notify", "log")])
async def test_what_is_not_the_masters_right_port_is_one_line_and_not_tried_for_ever(port: str, what: str) -> None:
    async with FakeMaster() as master, shown(master, port, what) as program:
        assert await program.wait(20) == 1
        assert list(program.lines) == ["corelog client: error: the master ended the connection"]


async def test_ccb_and_log_lines() -> None:
    async with FakeMaster() as master:
        async with shown(master, "broadcast", "ccb") as ccb, shown(master, "broadcast", "log") as log:
            async def lines() -> bool:
                master.broadcaster.broadcast("ccb", {"service": "create_applet", "args": ("n", "c"),
                                                     "kwargs": {"group": None}})
                master.broadcaster.broadcast("log", (40, "worker(3,x.py)", 1e9, "a.b:text"))
                return bool(ccb.lines and log.lines)

            await eventually(lines, 20, "lines")
            assert ccb.lines[0] == "create_applet args: ('n', 'c') kwargs: {'group': None}"
            when = time.strftime("%m/%d %H:%M:%S", time.localtime(1e9))
            assert log.lines[0] == f"ERROR worker(3,x.py) {when} a.b:text"


def test_schedule_is_in_the_order_of_starting() -> None:
    runs: dict[int, Any] = {
        1: RUN, 2: {**RUN, "priority": 5}, 3: {**RUN, "due_date": 1e9}, 0: {**RUN, "due_date": 2e9},
        4: {**RUN, "expid": {"content": "x", "class_name": None}},
        5: {**RUN, "repo_msg": "one\ntwo", "expid": {"file": "b.py", "class_name": "B",
                                                "repo_rev": "0123456789abcdef"}},
    }
    lines = schedule_table(runs).split("\n")
    assert lines[0].split() == ["RID", "Pipeline", "Status", "Prio", "Due", "date", "Revision", "File", "Class", "name"]
    assert [line.split()[0] for line in lines[1:]] == ["2", "1", "4", "5", "3", "0"]
    assert "Outside repo." in lines[2] and "<none>" in lines[3]
    assert "0123456..." in lines[4] and "one" in lines[4] and "two" not in lines[4]


@pytest.mark.parametrize(("value", "metadata", "text"), [
    (0.0035, {"unit": "ms"}, "3.5 ms"), (3.0, {"unit": "turn", "scale": 2.0, "precision": 3}, "1.500 turn"),
    (7, {}, "7"), (True, {}, "True"), ("a" * 100, {}, "'" + "a" * 56 + "..."), (np.float64(0.25), {}, "0.25"),
    (np.zeros((2, 3)), {"unit": "V"}, "<array 2x3 of float64> V"), (list(range(1000)), {}, "<list of 1000>"),
    (None, {}, "None"), (2.5, {"unit": "unknown"}, "2.5 unknown"), (1e-9, {"precision": 3}, "0.000"),
    (10**400, {"unit": "ms"}, "1" + "0" * 56 + "..."), (2.0, {"precision": 1000}, "2." + "0" * 30),
])
def test_dataset_values_are_short_and_in_their_unit(value: Any, metadata: dict[str, Any], text: str) -> None:
    assert dataset_text(value, metadata) == text


def test_what_would_control_the_terminal_is_shown_escaped() -> None:
    assert table(["a"], [["\x1b[2Jµ"]]) == "a\n\\x1b[2Jµ"
    assert "\x1b" not in device_table({"x\x1b": {"y": "\x1b"}})


def test_interactive_arguments_are_a_row_each() -> None:
    request = {"title": "T", "arglist_desc": [("x", {"ty": "NumberValue"}, None, "tip"),
                                              ("y", {"ty": "BooleanValue"}, "G", None)]}
    assert argument_table({4: request}).split("\n") == [
        "RID  Title  Key  Type          Group  Tooltip", "4    T      x    NumberValue          tip",
        "4    T      y    BooleanValue  G"]
