"""What must hold of the tree itself. Limits are ratchets: lower them, never raise them."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = (".py", ".rs", ".cpp", ".h", ".sh", ".nix", ".ld")
LINES_MAX = 500
LINE_LENGTH_MAX = 120


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=True)
    return [path for path in map(ROOT.joinpath, listed.stdout.splitlines()) if path.is_file()]


def sources() -> list[Path]:
    return [path for path in tracked() if path.suffix in SOURCES]


def test_sources_are_small_enough_to_read_in_one_sitting() -> None:
    long = {str(p.relative_to(ROOT)): n for p in sources() if (n := len(p.read_text().splitlines())) > LINES_MAX}
    assert not long


def test_lines_fit_the_page() -> None:
    wide = [f"{p.relative_to(ROOT)}:{i}" for p in sources() for i, line in enumerate(p.read_text().splitlines(), 1)
            if len(line) > LINE_LENGTH_MAX]
    assert not wide


def test_nothing_is_left_unfinished() -> None:
    mark = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "unimplemented" + "!", "todo" + "!"]))
    left = [f"{p.relative_to(ROOT)}:{i}" for p in sources() for i, line in enumerate(p.read_text().splitlines(), 1)
            if mark.search(line)]
    assert not left


def test_no_file_names_a_package_registry() -> None:
    hosts = re.compile("|".join(re.escape(a + b) for a, b in [
        ("pypi", ".org"), ("files.python", "hosted.org"), ("crates", ".io/api"), ("static.crates", ".io"),
        ("registry.npm", "js.org"), ("deb.debian", ".org")]))
    named = [str(p.relative_to(ROOT)) for p in tracked()
             if p.suffix not in (".png", ".bin") and hosts.search(p.read_text(errors="replace"))]
    assert not named


def test_every_folder_of_sources_says_what_it_is_for() -> None:
    roots = ["firmware/log", "firmware/proto", "firmware/board", "firmware/device", "firmware/runtime",
             "firmware/relay", "firmware/satman", "firmware/fuzz", "gateware", "gateware/corelog_gateware/drtio",
             "gateware/corelog_gateware/rtio", "gateware/corelog_gateware/simulator", "host/sipyco",
             "host/corelog/wire", "host/corelog/coredevice", "host/corelog/controllers", "host/corelog/ctlmgr",
             "host/corelog/master", "host/corelog/language", "host/corelog/lab", "host/corelog/testing",
             "host/corelog/flash", "host/corelog/boards",
             "tests", "tests/vectors", "tests/hil", "tests/bench", "examples"]
    missing = [root for root in roots if not (ROOT / root / "README.md").is_file()]
    assert not missing
