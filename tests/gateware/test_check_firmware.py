"""A register that the firmware uses and a board does not have is found, by the compiler and by what roles need."""

from pathlib import Path

import pytest

from corelog_gateware.check import firmware
from corelog_gateware.check.variants import Variant, all_variants
from corelog_gateware.simulator import toolchain

SIMULATED = [variant for variant in all_variants().values() if variant.is_simulated]


def constants(variant: Variant, directory: Path) -> str:
    variant.write(variant.make(), directory)
    return (directory / "generated" / "csr.rs").read_text()


@pytest.fixture(scope="module", params=SIMULATED, ids=lambda variant: variant.name)
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Variant, str]:
    return request.param, constants(request.param, tmp_path_factory.mktemp("board"))


def test_simulated_boards_have_the_parts_that_they_should_have(board: tuple[Variant, str]) -> None:
    variant, csr = board
    assert firmware.faults(csr, variant.tags, firmware.parts()) == []


def test_a_part_that_the_firmware_would_quietly_leave_out_is_found(board: tuple[Variant, str]) -> None:
    variant, csr = board
    there = {part: name for part, name in firmware.parts().items() if name in firmware.defined(csr)}
    assert len(there) >= 3
    for part, name in there.items():
        renamed = csr.replace(f" {name}:", f" {name}_2:")
        assert firmware.faults(renamed, variant.tags, firmware.parts()) == [
            f"csr.rs lacks {name}, which stands for {part}: see HAVE in check/firmware.py"]


def test_a_part_that_a_board_should_not_have_and_one_that_nobody_placed_are_found() -> None:
    wanted = {"has_uplink": "DRTIOSAT_RX_UP_ADDR", "has_laser": "LASER_ADDR"}
    csr = "pub const DRTIOSAT_RX_UP_ADDR: usize = 1;\n"
    assert firmware.faults(csr, {"kasli", "v2.0", "master", "board"}, wanted) == [
        "csr.rs has DRTIOSAT_RX_UP_ADDR, which stands for has_uplink: see HAVE in check/firmware.py",
        "check/firmware.py does not say which boards have part has_laser: add it",
    ]


def test_the_parts_are_those_that_the_firmware_looks_for() -> None:
    assert set(firmware.parts()) <= set(firmware.HAVE)
    assert firmware.parts()["has_ethernet"] == "ETHMAC_INTERRUPT"


def test_marks_change_no_constant() -> None:
    csr = "// c\npub const A_ADDR: usize = 0x10;\npub const B: [u32; 2] = [1, 2];\n"
    assert firmware.marked(csr).replace("#[deprecated]\n", "") == csr
    assert firmware.marked(csr).count("#[deprecated]\npub const") == len(firmware.defined(csr)) == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_compiler_names_what_is_used_and_what_was_taken_away(tmp_path: Path) -> None:
    variant = all_variants()["sim"]
    csr = tmp_path / "board" / "generated" / "csr.rs"
    text = constants(variant, tmp_path / "board")
    # The folder that make gateware-check compiles in: what both compile is compiled once.
    folder = variant.directory.with_name("test") / "marked"
    found = firmware.compile_uses(csr, "standalone", folder, toolchain.find())
    assert found.errors == ()
    assert {"UPTIME_LO_ADDR", "ETHMAC_RX_BASE", "RTIO_RESET_ADDR"} <= found.used <= firmware.defined(text)
    csr.write_text(text.replace("pub const RTIO_RESET_ADDR:", "pub const RTIO_RESTE_ADDR:"))
    found = firmware.compile_uses(csr, "standalone", folder, toolchain.find())
    assert found.errors and "RTIO_RESET_ADDR" in found.errors[0]
