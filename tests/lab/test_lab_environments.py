"""Environment files of `make hil`: the ones that we give are sound, and every mistake in one is one clear line."""

from pathlib import Path

import pytest

pytest.importorskip("labgrid", reason="labgrid is installed and used by `make hil` only")

from corelog.lab.environment import EnvironmentFileError, load, strategy
from corelog.lab.hil import main

EXAMPLES = Path(__file__).parents[2] / "examples" / "hil"

DEVICE = """
      CoreDevice:
        address: 192.0.2.1
        device_db: device_db.py
"""
HEAD = f"""
imports: [corelog.lab.drivers]
targets:
  main:
    resources:{DEVICE}
"""
STRATEGY = "      CoreDeviceStrategy: {}\n"
GOOD = HEAD + "    drivers:\n" + STRATEGY


def environment_file(folder: Path, text: str) -> Path:
    (folder / "device_db.py").write_text('core_addr = "127.0.0.1"\n')
    file = folder / "board.yaml"
    file.write_text(text)
    return file


def test_smallest_environment_is_a_board_that_is_there_already(tmp_path: Path) -> None:
    found = strategy(load(environment_file(tmp_path, GOOD)))
    assert found.device.address == "192.0.2.1"
    assert (found.power, found.console, found.flasher, found.links) == (None, None, None, {})


@pytest.mark.parametrize("name", ["simulated", "kasli", "kc705"])
def test_example_is_sound_where_the_files_it_names_are_there(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "examples" / "hil"
    folder.mkdir(parents=True)
    for path in (folder.parent / "device_db.py", folder / "kasli_device_db.py", folder / "kc705_device_db.py"):
        path.write_text('core_addr = "127.0.0.1"\n')
    for images in ("kasli-example-master", "kc705-example"):
        (tmp_path / "build" / images).mkdir(parents=True)
    file = folder / f"{name}.yaml"
    file.write_text((EXAMPLES / f"{name}.yaml").read_text())
    found = strategy(load(file))
    assert found.power is not None and found.console is not None and found.flasher is not None
    assert set(found.links) == ({1} if name == "kasli" else set())


@pytest.mark.parametrize(("text", "reason"), [
    ("", "file is empty"),
    ("targets: [", "line 1"),
    ("just text", "no `targets:`"),
    ("[1, 2]", "no `targets:`"),
    ("targets: {}", "no `targets:`"),
    ("targets: {other: {}}", "no target `main`, only other"),
    ("targets: {main: 3}", "target main: it has no resources and drivers"),
    ("imports: [corelog.lab.no_such_module]\ntargets: {main: {}}", "No module named 'corelog.lab.no_such_module'"),
    (HEAD + "    drivers: {}\n", "target main: it needs one CoreDeviceStrategy among its drivers, it has 0"),
    (GOOD.replace("CoreDeviceStrategy", "CoreStrategy"), "unknown driver class CoreStrategy"),
    (GOOD.replace("address: 192.0.2.1", "adress: 192.0.2.1"), "unsupported attribute 'adress'"),
    (GOOD.replace("address: 192.0.2.1\n", "address: 5\n"), "'address' must be <class 'str'>"),
    (GOOD.replace("        address: 192.0.2.1\n", ""), "missing 1 required positional argument: 'address'"),
    (GOOD.replace("device_db.py", "missing.py"), "missing.py (corelog ddb-template makes it)"),
    (GOOD.replace("device_db.py", "device_db.py\n        images: no_such_folder"), "images: there is no"),
    (GOOD.replace("device_db.py", "device_db.py\n        board: zedboard"), "'board' must be in ('kasli', 'kc705')"),
    (GOOD.replace("device_db.py", "device_db.py\n        satellites: -1"), "'satellites' must be >= 0"),
    (GOOD + "      CoreDevice: {}\n", "unknown driver class CoreDevice"),
    (GOOD + "      SerialDriver: {}\n", "binding SerialDriver failed"),
    (GOOD + "      SwitchedLinkDriver: {link: 1}\n", "requires an explicit name"),
    (HEAD + "    drivers:\n    - ManualPowerDriver: {name: one}\n    - ManualPowerDriver: {name: two}\n"
     "    - CoreDeviceStrategy: {}\n", "power of the strategy may be any of one, two: say which under its `bindings`"),
])
def test_mistake_in_an_environment_file_is_one_line_that_names_the_file_and_it(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, reason: str) -> None:
    file = environment_file(tmp_path, text)
    with pytest.raises(EnvironmentFileError) as caught:
        load(file)
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    assert main(["--check", str(file)]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors == f"hil: error: {caught.value}\n"
    assert str(file) in errors


def test_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.yaml")]) == 2
    errors = capsys.readouterr().err
    assert "none.yaml" in errors and errors.count("\n") == 1
