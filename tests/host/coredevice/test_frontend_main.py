"""`corelog`, the shared one-line errors, and the device database's loader."""

from pathlib import Path

import pytest

from corelog.device_db import DeviceDBError, core_address, load, problems, resolve
from corelog.frontend.common import CommandError, command
from corelog.frontend.main import SUBCOMMANDS, available, main


def test_help_names_every_installed_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert {"log", "mgmt"} <= set(available())
    assert all(f"  {name} " in out and SUBCOMMANDS[name] in out for name in available())


def test_unknown_subcommand_is_status_2_and_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    assert "'nonsense' is no subcommand; there are: " in capsys.readouterr().err
    assert main([]) == 2


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("corelog ")


def test_every_subcommand_has_a_parser_and_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in available():
        with pytest.raises(SystemExit) as exit_:
            main([name, "--help"])
        assert exit_.value.code == 0
        assert f"corelog {name}" in capsys.readouterr().out, name


def test_only_the_wanted_subcommand_is_imported() -> None:
    import subprocess
    import sys

    code = ("import sys; from corelog.frontend.main import main; main(['help']); "
            "assert not [m for m in sys.modules if m.startswith('corelog.') and m.split('.')[1] != 'frontend']")
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=30)


@pytest.mark.parametrize(("error", "line", "status"), [
    (CommandError("do this", 3), "p: error: do this\n", 3),
    (FileNotFoundError(2, "No such file or directory", "x"), "p: error: No such file or directory: x\n", 1),
    (ValueError("a\nb"), "p: error: ValueError: a b (-v shows where)\n", 1),
    (TimeoutError(), "p: error: timed out\n", 1)])
def test_error_is_one_line_and_a_status(error: Exception, line: str, status: int,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    @command("p")
    def program(argv: object = None) -> int:
        raise error

    assert program([]) == status
    assert capsys.readouterr().err == line
    assert program(["-vv"]) == status
    assert "Traceback" in capsys.readouterr().err


def test_interrupt_is_130() -> None:
    @command("p")
    def program(argv: object = None) -> int:
        raise KeyboardInterrupt

    assert program([]) == 130


def database(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "device_db.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize(("text", "message"), [
    ("device_db = {", "line 1: "), ("\n1/0", "line 2: ZeroDivisionError"), ("x = 1", "does not define device_db"),
    ("device_db = []", "is a list"), ("device_db = {1: {}}", "the name 1 is not a string")])
def test_bad_database_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DeviceDBError, match=message) as error:
        load(database(tmp_path, text))
    assert "\n" not in str(error.value)


def test_aliases_are_followed_and_circles_found(tmp_path: Path) -> None:
    db = load(database(tmp_path, """
core_addr = "192.168.1.75"
device_db = {"core": {"type": "local", "module": "a", "class": "B", "arguments": {"host": core_addr}},
             "c": "b", "b": "core", "x": "y", "y": "x", "z": "nowhere", "n": 5}
"""))
    assert resolve(db, "c") == ("core", db["core"])
    assert core_address(db, "c") == "192.168.1.75"
    for name, text in (("x", "x -> y -> x"), ("z", "no device 'nowhere'"), ("n", "must be a dict"),
                       ("absent", "no device 'absent'")):
        with pytest.raises(DeviceDBError, match=text):
            resolve(db, name)
    with pytest.raises(DeviceDBError, match=r"no arguments\.host"):
        core_address({"core": {"type": "dummy"}})


def test_problems_of_entries_are_listed_and_good_ones_are_not() -> None:
    db = {
        "core": {"type": "local", "module": "a", "class": "B"},
        "log": {"type": "controller", "host": "::1", "port": 1068, "command": "x"},
        "aux": {"type": "controller_aux_target", "controller": "log", "target_name": "t"},
        "sim": {"type": "dummy"}, "alias": "core", "satellite_cpu_targets": {},
        "bad1": {"type": "local", "module": "a"}, "bad2": {"type": "controller", "host": "::1", "port": 0},
        "bad3": {"type": "controller_aux_target", "controller": "core", "target_name": "t"},
        "bad4": {"type": "what"}, "bad5": "nowhere",
    }
    found = problems(db)
    assert len(found) == 5
    for text, problem in zip(("lacks 'class'", "port 0", "'core' is not a controller", "type 'what'", "nowhere"), found,
                             strict=True):
        assert text in problem
