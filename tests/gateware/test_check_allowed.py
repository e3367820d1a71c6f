"""The list of allowed crossings demands reasons, allows no more than it says, and notices what is no longer there."""

from pathlib import Path

import pytest

from corelog_gateware.check import __main__ as check
from corelog_gateware.check import allowed, firmware
from corelog_gateware.check.clocks import CheckError
from corelog_gateware.check.crossings import Crossing
from corelog_gateware.check.elaborate import Found
from corelog_gateware.check.variants import Variant

REASON = "Read by firmware long after it has changed."
ENTRY = f"""
[[crossing]]
kind = "pad"
source = "i2c_sda"
destination = "csr.*"
reason = "{REASON}"
"""
SDA = Crossing("pad", "i2c_sda", "no clock", "csr.r", "sys")


def load(tmp_path: Path, text: str) -> list[allowed.Entry]:
    path = tmp_path / "allowed.toml"
    path.write_text(text)
    return allowed.load(path)


def test_an_entry_allows_what_it_names_and_nothing_beside_it(tmp_path: Path) -> None:
    entries = load(tmp_path, ENTRY)
    others = [Crossing("register", "i2c_sda", "no clock", "csr.r", "sys"),
              Crossing("pad", "i2c_scl", "no clock", "csr.r", "sys"),
              Crossing("pad", "i2c_sda", "no clock", "rtio.r", "sys")]
    faults, right = allowed.sort_out([SDA, *others], entries)
    assert faults == sorted(others)
    assert right == {SDA: entries[0]}


@pytest.mark.parametrize(("text", "message"), [
    (ENTRY.replace(f'reason = "{REASON}"\n', ""), "entry 1 of allowed.toml must have"),
    (ENTRY.replace(REASON, "ok"), r"entry 1 of allowed.toml \(i2c_sda\) gives no reason"),
    (ENTRY.replace('kind = "pad"', 'kind = "padd"'), "entry 1 of allowed.toml: kind padd is none of register, pad"),
    (ENTRY + ENTRY.replace("i2c_sda", "*").replace("csr.*", "*"), "entry 2 of allowed.toml allows everything"),
    (ENTRY + "colour = 3\n", "entry 1 of allowed.toml must have kind, source, destination, reason"),
    (ENTRY + "x =", "allowed.toml is no TOML"),
])  # fmt: skip
def test_an_entry_that_is_not_complete_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CheckError, match=message):
        load(tmp_path, text)


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crossings: list[Crossing], arguments: list[str]) -> int:
    """The check of one simulated board in which ``crossings`` were found, with an empty register map."""
    board = Variant("sim-x", "standalone", lambda: None, lambda soc, directory: None, {})
    (tmp_path / "sim-x" / "generated").mkdir(parents=True)
    names = [name for part, name in firmware.parts().items() if firmware.should_have(part, board.tags)]
    (tmp_path / "sim-x" / "generated" / "csr.rs").write_text("".join(f"pub const {name}: u32 = 1;\n" for name in names))
    entries = load(tmp_path, ENTRY)
    monkeypatch.setattr(check, "OUTPUT", tmp_path)
    monkeypatch.setattr("corelog_gateware.check.variants.OUTPUT", tmp_path)
    monkeypatch.setattr(check, "all_variants", lambda: {"sim-x": board})
    monkeypatch.setattr(check, "elaborate", lambda variant: Found("", crossings, [], [], [], [], []))
    monkeypatch.setattr(check.allowed, "load", lambda: entries)
    return check.main([*arguments, "--quick"])


def test_the_program_fails_for_what_is_not_allowed_and_says_so_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Crossing("register", "fast", "a", "taken", "b")
    assert run(tmp_path, monkeypatch, [SDA, other], []) == 1
    report = (tmp_path / "report.md").read_text()
    assert "- sim-x: clock crossing, register: fast (a) -> taken (b)\n" in report
    assert f"- pad: i2c_sda (no clock) -> csr.r (sys). {REASON}\n" in report


def test_an_entry_that_fits_nothing_in_any_variant_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, monkeypatch, [], []) == 1
    assert "allowed.toml: i2c_sda -> csr.* fits nothing: remove it" in capsys.readouterr().err


def test_if_not_all_variants_are_checked_an_entry_may_be_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, monkeypatch, [], ["sim-x"]) == 0
    assert "No faults." in (tmp_path / "report.md").read_text()


def test_a_variant_that_does_not_exist_is_named() -> None:
    with pytest.raises(SystemExit, match="there is no variant kasli-v9: see --list"):
        check.main(["kasli-v9"])
