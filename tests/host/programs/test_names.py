"""The programs under the names of ARTIQ, as the compatibility distribution installs them."""

import importlib
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3] / "host" / "artiq-compat" / "pyproject.toml"
SCRIPTS = tomllib.loads(PROJECT.read_text())["project"]["scripts"]


@pytest.mark.parametrize("name", [
    "artiq_client", "artiq_coremgmt", "artiq_ctlmgr", "artiq_ddb_template", "artiq_flash", "artiq_master", "artiq_mkfs",
    "artiq_route", "artiq_rtiomap", "artiq_run", "artiq_session"])
def test_name_of_artiq_is_the_program_of_ours(
        name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    module, function = SCRIPTS[name].split(":")
    monkeypatch.setattr("sys.argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        getattr(importlib.import_module(module), function)()
    assert end.value.code == 0
    ours = name.removeprefix("artiq_").removeprefix("core").replace("_", "-")
    assert f"usage: corelog {ours}" in capsys.readouterr().out
