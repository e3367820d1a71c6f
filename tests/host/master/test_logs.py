"""Console and file of a long-running program."""

import datetime
import logging
import threading
import time
from pathlib import Path

import pytest

from corelog.frontend import logs


class Gate:
    """A destination that writes only while open."""

    def __init__(self) -> None:
        self.text = ""
        self.open = threading.Event()
        self.entered = threading.Event()

    def write(self, text: str) -> None:
        self.entered.set()
        assert self.open.wait(20)
        self.text += text


def record(text: str, *args: object, level: int = logging.INFO) -> logging.LogRecord:
    made = logging.LogRecord("name", level, __file__, 1, text, args, None)
    made.source = "src"
    return made


def test_lines_have_the_format_of_the_ecosystem() -> None:
    formatter = logs.SourceFormatter()
    assert formatter.format(record("text")) == "INFO:src:name:text"
    assert formatter.format(record("a\nb", level=logging.ERROR)) == "ERROR<2>:src:name:a\nb"


def test_slow_destination_loses_records_in_a_declared_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "QUEUE_RECORDS", 100)
    gate = Gate()
    handler = logs.ThreadedHandler(gate, logs.SourceFormatter())
    handler.handle(record("first"))
    assert gate.entered.wait(10)  # it writes the first and is stuck in that
    for i in range(250):
        handler.handle(record(f"{i}"))
    gate.open.set()
    deadline = time.monotonic() + 10
    while "99\n" not in gate.text:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    handler.handle(record("after"))
    handler.close()
    lines = gate.text.splitlines()
    assert lines[:101] == ["INFO:src:name:first", *(f"INFO:src:name:{i}" for i in range(100))]
    assert lines[101:] == ["WARNING::corelog.logs:150 records are missing here: they could not be written",
                           "INFO:src:name:after"]
    assert handler.lost == 150


def test_wrong_arguments_of_a_logging_call_do_not_raise_into_it() -> None:
    gate = Gate()
    gate.open.set()
    handler = logs.ThreadedHandler(gate, logs.SourceFormatter())
    handler.handle(record("%d and %d", 1))
    handler.close()
    assert "INFO:name:'%d and %d' cannot be formatted" in gate.text


def test_file_is_rotated_at_midnight_and_old_ones_are_kept_to_the_count(tmp_path: Path) -> None:
    path = tmp_path / "master.log"
    old = [tmp_path / f"master.log.2001-01-0{day}" for day in (1, 2, 3)]
    for file in old:
        file.write_text("old")
    destination = logs.RotatedFile(str(path), 2)
    destination.write("before\n")
    yesterday = int(time.time()) - 86400
    destination._handler.rolloverAt = yesterday + 86400 - 1
    destination.write("after\n")
    destination._handler.close()
    dated = tmp_path / f"master.log.{datetime.date.fromtimestamp(yesterday):%Y-%m-%d}"
    assert path.read_text() == "after\n"
    assert dated.read_text() == "before\n"
    assert [file.exists() for file in old] == [False, False, True]


def test_full_disk_is_counted_and_said_when_there_is_room_again() -> None:
    class Disk:
        text = ""
        full = True

        def write(self, text: str) -> None:
            if self.full:
                raise OSError(28, "No space left on device")
            self.text += text

    disk = Disk()
    handler = logs.ThreadedHandler(disk, logs.SourceFormatter())
    handler.handle(record("lost"))
    deadline = time.monotonic() + 10
    while handler.lost == 0:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    disk.full = False
    handler.handle(record("kept"))
    handler.close()
    assert disk.text.splitlines() == [
        "WARNING::corelog.logs:1 records are missing here: they could not be written", "INFO:src:name:kept"]
