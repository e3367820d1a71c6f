"""The master's device database: what is published and asked, and what a spoilt file does."""

import sys
from pathlib import Path
from typing import Any

import pytest

from corelog.device_db import DeviceDBError
from corelog.master.devices import DeviceDatabase

LOCAL = {"type": "local", "module": "m", "class": "C", "arguments": {"host": "192.0.2.1"}}


def database(folder: Path, content: dict[str, Any] | str) -> DeviceDatabase:
    write(folder, content)
    return DeviceDatabase(str(folder / "device_db.py"))


def write(folder: Path, content: dict[str, Any] | str) -> None:
    (folder / "device_db.py").write_text(content if isinstance(content, str) else f"device_db = {content!r}\n")


def test_scan_publishes_only_what_changed(tmp_path: Path) -> None:
    db = database(tmp_path, {"a": LOCAL, "b": LOCAL, "c": "a"})
    mods: list[dict[str, Any]] = []
    db.notifier.publish = mods.append
    write(tmp_path, {"a": LOCAL, "c": "b", "b": LOCAL, "d": {"type": "dummy"}})
    db.scan()
    assert mods == [{"action": "setitem", "path": [], "key": "c", "value": "b"},
                    {"action": "setitem", "path": [], "key": "d", "value": {"type": "dummy"}}]
    write(tmp_path, {"a": LOCAL})
    db.scan()
    assert [mod["action"] for mod in mods[2:]] == ["delitem"] * 3 and db.get_device_db() == {"a": LOCAL}


@pytest.mark.parametrize(("content", "text"), [
    ("device_db = {", "line 1"),
    ("import nothing_of_that_name", "line 1: ModuleNotFoundError"),
    ("device_db = {'a': {'type': 'local', 'arguments': {'f': lambda: 1}}}", "device 'a': .*not PYON encodable"),
    ("device_db = {'a': {'type': 'local', 'arguments': {'__jsonclass__': 1}}}", "device 'a': "),
    ("device_db = 5", "not a dict"),
    ("import sys; sys.exit(3)", "line 1: SystemExit: 3"),
])
def test_spoilt_file_is_refused_and_the_old_database_stays(tmp_path: Path, content: str, text: str) -> None:
    with pytest.raises(DeviceDBError, match=text):
        database(tmp_path, content)
    db = database(tmp_path, {"a": LOCAL})
    mods: list[dict[str, Any]] = []
    db.notifier.publish = mods.append
    write(tmp_path, content)
    with pytest.raises(DeviceDBError, match=text):
        db.scan()
    assert db.get_device_db() == {"a": LOCAL} and mods == []


def test_file_imports_what_is_beside_it_as_it_is_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "addresses_of_lab.py").write_text("core = 'a'\n")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    write(tmp_path / "lab", "from addresses_of_lab import core\ndevice_db = {'core': {'type': 'dummy', 'at': core}}")
    db = DeviceDatabase("lab/device_db.py")
    assert db.get("core")["at"] == "a"
    (tmp_path / "lab" / "addresses_of_lab.py").write_text("core = 'another'\n")
    db.scan()
    assert db.get("core")["at"] == "another"
    assert sys.path == path and "addresses_of_lab" not in sys.modules


def test_entries_are_asked_by_name_or_alias(tmp_path: Path) -> None:
    db = database(tmp_path, {"a": LOCAL, "b": "a", "c": "b", "x": "y", "y": "x", "lost": "nowhere"})
    assert db.get("c") == "b" and db.get("c", resolve_alias=True) == LOCAL == db.get("a", True)
    for resolve in (False, True):
        with pytest.raises(KeyError, match="absent"):
            db.get("absent", resolve)
    with pytest.raises(DeviceDBError, match="circle: x -> y -> x"):
        db.get("x", True)
    with pytest.raises(DeviceDBError, match="no device 'nowhere'"):
        db.get("lost", True)


@pytest.mark.parametrize("content", [
    {"core": {**LOCAL, "arguments": {"satellite_cpu_targets": {1: "rv32ima"}}}},
    {"core": "main", "main": {**LOCAL, "arguments": {"satellite_cpu_targets": {1: "rv32ima"}}}},
    {"core": LOCAL, "satellite_cpu_targets": {1: "rv32ima"}},
    {"satellite_cpu_targets": {1: "rv32ima"}},
])
def test_cpu_of_a_satellite_is_found_wherever_files_put_it(tmp_path: Path, content: dict[str, Any]) -> None:
    db = database(tmp_path, content)
    assert db.get_satellite_cpu_target(1) == "rv32ima"
    with pytest.raises(KeyError, match="no CPU of destination 2"):
        db.get_satellite_cpu_target(2)
