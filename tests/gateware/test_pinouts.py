"""Pins, standards and clocks of the boards are those of Migen's board files, in platforms and in constraints."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from migen.build import generic_platform as migen
from migen.build.platforms import kc705
from migen.build.platforms.sinara import kasli
from migen.fhdl.structure import _Fragment as Fragment

from corelog_gateware.check import constraints
from corelog_gateware.platforms import KASLI_REVISIONS, kasli_platform, kc705_platform

BOARDS = {f"kasli-{revision}": (kasli_platform(revision), kasli.Platform(hw_rev=revision))
          for revision in KASLI_REVISIONS} | {"kc705": (kc705_platform(), kc705.Platform())}
# Every field of a resource: (its pins, its other constraints).
Fields = dict[str | None, tuple[tuple[str, ...], frozenset[str]]]


def fields(given: Any) -> Fields:
    """Of the constraints of one resource. Classes by name: Migen's and LiteX's are not the same."""
    common: set[str] = set()
    found: dict[str | None, tuple[tuple[str, ...], set[str]]] = {}

    def take(name: str | None, constraint: Any) -> None:
        pins, others = found.setdefault(name, ((), set()))
        match type(constraint).__name__:
            case "Pins":
                found[name] = (pins + tuple(constraint.identifiers), others)
            case "IOStandard":
                others.add(f"IOSTANDARD {constraint.name}")
            case "Drive":
                others.add(f"DRIVE {constraint.strength}")
            case "Misc":
                others.add(constraint.misc.replace("=", " "))
            case other:
                raise AssertionError(f"a constraint of type {other} is compared by nobody")

    for constraint in given:
        if type(constraint).__name__ == "Subsignal":
            for inner in constraint.constraints:
                take(constraint.name, inner)
        elif type(constraint).__name__ == "Pins":
            take(None, constraint)
        else:
            take("", constraint)
            common |= found.pop("")[1]
    return {name: (pins, frozenset(others | common)) for name, (pins, others) in found.items()}


def resources(platform: Any) -> dict[tuple[str, int], Fields]:
    return {(name, number): fields(given) for name, number, *given in platform.constraint_manager.available}


@pytest.mark.parametrize("name", BOARDS)
def test_every_resource_has_the_pins_and_standards_of_migens_board_file(name: str) -> None:
    ours, theirs = map(resources, BOARDS[name])
    assert len(ours) >= 20
    assert set(ours) == set(theirs)
    for resource, expected in theirs.items():
        assert ours[resource] == expected, resource


@pytest.mark.parametrize("name", BOARDS)
def test_every_connector_and_the_device_are_those_of_migens_board_file(name: str) -> None:
    ours, theirs = BOARDS[name]
    tables = [platform.constraint_manager.connector_manager.connector_table for platform in (ours, theirs)]
    assert tables[0] == tables[1] and len(tables[0]) >= 3
    assert ours.device == theirs.device
    assert ours.device.startswith("xc7k325t-ffg900" if name == "kc705" else "xc7a100t-fgg484")


@pytest.mark.parametrize("name", BOARDS)
def test_commands_and_settings_of_the_bitstream_are_taken_over(name: str) -> None:
    ours, theirs = BOARDS[name]
    for command in theirs.constraint_manager.platform_commands:
        assert command in ours.constraint_manager.platform_commands
    for command in theirs.toolchain.bitstream_commands:
        assert command in ours.toolchain.bitstream_commands


# Pins in the banks of the KC705's FMC connectors, by Xilinx's table of the XC7K325T-FFG900; without the connectors'.
OTHERS_AT_VADJ = """
    Y20 Y23 Y24 Y21 AA21 AB22 AB23 AA22 AA23 AC20 AC21 AG24 AH24 AE20
    Y25 Y26 AA26 W27 W28 Y28 AA28 W29 Y29 AA27 AB28 AA25 AB25 AE26
    F23 B23 A23 E23 D23 F25 E25 E24 D24 F26 E26 G23 G24 G25
    G19 K18 J18 H20 G20 J17 H17 J19 H19 L17 L18 K19 K20 E18
    G12 F16"""


def test_with_another_supply_of_the_fmc_connectors_just_the_pins_in_their_banks_have_other_standards() -> None:
    """Two voltages in a bank, and Vivado would make no bitstream."""
    before, after = resources(kc705_platform(2.5)), resources(kc705_platform(3.3))
    moved = {"IOSTANDARD LVCMOS25": "IOSTANDARD LVCMOS33", "IOSTANDARD LVDS_25": "IOSTANDARD TMDS_33"}
    at_vadj, found = set(OTHERS_AT_VADJ.split()), set()
    for resource, of_fields in before.items():
        for field, (pins, others) in of_fields.items():
            there = at_vadj.intersection(pins)
            assert len(there) in (0, len(pins)), f"{resource} {field} has pins at two voltages"
            found |= there
            expected = {moved[one] if there and one in moved else one for one in others}
            assert after[resource][field] == (pins, expected), (resource, field)
    # The rest is at no resource: four of the XADC's header, and one that goes nowhere.
    assert at_vadj - found == {"AA25", "AB25", "AA27", "AB28", "F23"}


def test_a_moved_pin_another_standard_and_a_lost_field_would_be_noticed() -> None:
    given = [migen.Subsignal("rx", migen.Pins("M17")), migen.Subsignal("tx", migen.Pins("T16")),
             migen.IOStandard("LVCMOS25")]
    assert fields(given) == {"rx": (("M17",), frozenset({"IOSTANDARD LVCMOS25"})),
                             "tx": (("T16",), frozenset({"IOSTANDARD LVCMOS25"}))}
    for faulty in ([migen.Subsignal("rx", migen.Pins("M18")), *given[1:]], given[1:],
                   [*given[:2], migen.IOStandard("LVCMOS33")], [*given, migen.Misc("PULLUP=TRUE")]):
        assert fields(faulty) != fields(given)


def expected_pin(theirs: Any, resource: tuple[str, int, str | None], port: str) -> tuple[str, frozenset[str]]:
    """Pin and standard of a port, by the resource that it belongs to."""
    name, number, field = resource
    pins, others = resources(theirs)[name, number][field]
    index = int(port.rpartition("[")[2].rstrip("]")) if port.endswith("]") else 0
    return pins[index], frozenset(other for other in others if other.startswith("IOSTANDARD"))


@pytest.mark.parametrize("name", BOARDS)
def test_what_is_written_for_vivado_has_the_pins_of_migens_board_file(name: str, tmp_path: Path) -> None:
    target = name.partition("-")[0]
    command = [sys.executable, "-m", f"corelog_gateware.targets.{target}", "--variant", f"{name}-standalone"]
    done = subprocess.run([*command, "--build-dir", str(tmp_path)], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    theirs = BOARDS[name][1]
    written = constraints.parse((tmp_path / "gateware" / "top.xdc").read_text())
    known = resources(theirs)
    compared = 0
    for port, properties in written.properties.items():
        resource = written.resources[port]
        if resource[:2] not in known:
            continue  # A card of the description: its pins are the connector's.
        pin, standard = expected_pin(theirs, resource, port)
        assert properties["LOC"] == pin, port
        assert frozenset({f"IOSTANDARD {properties['IOSTANDARD']}"} if "IOSTANDARD" in properties else ()) == standard
        compared += 1
    assert compared > 40
    assert f"-part {theirs.device}" in (tmp_path / "gateware" / "top.tcl").read_text()


@pytest.mark.parametrize(("board", "clocks"), [
    (kasli.Platform("v1.0"), ["clk50"]), (kc705.Platform(), ["clk156", "clk200", "eth_clocks"])])  # fmt: skip
def test_the_periods_that_migens_board_files_set_are_those_that_constraints_are_checked_for(
    board: Any, clocks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    periods: dict[str, float] = {}

    def record(signal: Any, period: float) -> None:
        periods[next(name for name, pad in pads if signal is pad)] = period

    requested = [(clock, board.request(clock)) for clock in clocks]
    pads = requested + [(clock, pad) for clock, pads in requested for pad in getattr(pads, "flatten", list)()]
    monkeypatch.setattr(board, "add_period_constraint", record)
    board.do_finalize(Fragment())
    assert periods == {clock: constraints.PERIODS[clock] for clock in clocks}
