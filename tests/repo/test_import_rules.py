"""Imports point one way (design): wire imports nothing of ours, programs never import each other."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOST = ROOT / "host" / "corelog"

# package -> the packages of ours that it may import, besides itself
ALLOWED = {
    "wire": set(),
    "coredevice": {"wire", "device_db", "language"},
    "language": {"wire", "device_db", "coredevice"},
    "controllers": {"wire", "coredevice", "device_db"},
    "ctlmgr": {"children", "device_db"},
    "master": {"device_db", "experiment", "language"},
    "lab": {"children"},
    "boards": set(),
    "flash": {"children"},
    "testing": {"wire", "coredevice", "device_db"},
}


def imported_packages(path: Path) -> set[str]:
    """First component below ``corelog.`` of everything that the file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("corelog.")}
    return found


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_package_imports_only_what_lies_below_it(package: str) -> None:
    for path in sorted((HOST / package).rglob("*.py")):
        surplus = imported_packages(path) - ALLOWED[package] - {package}
        assert not surplus, f"{path.relative_to(ROOT)} imports {sorted(surplus)}"


def test_sipyco_imports_nothing_of_corelog() -> None:
    for path in sorted((ROOT / "host" / "sipyco").rglob("*.py")):
        assert not imported_packages(path), path


def test_pure_firmware_crates_depend_on_nothing_of_ours() -> None:
    for crate in ("log", "proto"):
        manifest = (ROOT / "firmware" / crate / "Cargo.toml").read_text()
        assert "path =" not in manifest.split("[dev-dependencies]")[0], crate


def test_unsafe_code_stands_only_in_the_board_crate() -> None:
    for path in (ROOT / "firmware").rglob("*.rs"):
        if "/board/" in str(path) or "/target/" in str(path):
            continue
        lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("//")]
        assert not any("unsafe " in line for line in lines), path.relative_to(ROOT)
