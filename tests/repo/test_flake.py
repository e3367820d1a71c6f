"""flake.nix has what the other ways to install Corelog have: nothing here evaluates it, Nix is not among the tools."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLAKE = (ROOT / "flake.nix").read_text()
LOCKS = [ROOT / "requirements.lock", ROOT / "gateware/corelog_gateware/bootloader/requirements.lock"]


def test_python_packages_have_the_versions_of_the_lock_files() -> None:
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", "\n".join(lock.read_text() for lock in LOCKS), re.MULTILINE))
    packaged = re.findall(r'pname = "([\w-]+)";\n *version = "([\w.]+)";', FLAKE)
    assert len(packaged) >= 8
    assert packaged == [(name, pinned[name]) for name, _ in packaged]


@pytest.mark.parametrize("folder", ["host", "gateware"])
def test_programs_have_the_dependencies_of_their_project_file(folder: str) -> None:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    definition = FLAKE.split(f'pname = "{project["name"]}";')[1].split("doCheck")[0]
    listed, removed = (re.search(rf"{kind} = \[(.*?)\]", definition) for kind in ("dependencies", "pythonRemoveDeps"))
    assert listed
    found = {name.removeprefix("py.").removesuffix("Package") for name in listed[1].split()}
    found |= set(removed[1].replace('"', "").split()) if removed else set()
    assert found == {name.removeprefix("pythondata-cpu-") for name in project["dependencies"]}
