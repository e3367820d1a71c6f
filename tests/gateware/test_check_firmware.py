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


def test_simulated_boards_have_what_their_roles_need(board: tuple[Variant, str]) -> None:
    variant, csr = board
    assert firmware.missing(csr, variant.role, is_simulated=True) == []


def test_a_part_that_the_firmware_would_quietly_leave_out_is_found(board: tuple[Variant, str]) -> None:
    variant, csr = board
    for name in firmware.REQUIRED[variant.role]:
        lines = [line for line in csr.splitlines(keepends=True) if f" {name}:" not in line]
        assert firmware.missing("".join(lines), variant.role, is_simulated=True) == [
            f"csr.rs of a {variant.role} lacks {name}: the firmware would leave those parts out"]


def test_what_the_sources_mention_is_found_without_a_compiler() -> None:
    assert {"UPTIME_LO_ADDR", "RTIO_RESET_ADDR", "CLOCK_FREQUENCY"} <= firmware.mentioned()


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
    assert found.used <= firmware.mentioned() | {name for name in found.used if name.startswith("DRTIO")}
    csr.write_text(text.replace("pub const RTIO_RESET_ADDR:", "pub const RTIO_RESTE_ADDR:"))
    found = firmware.compile_uses(csr, "standalone", folder, toolchain.find())
    assert found.errors and "RTIO_RESET_ADDR" in found.errors[0]
