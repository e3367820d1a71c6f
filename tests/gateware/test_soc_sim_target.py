"""The target `sim` elaborates, and what it generates for the firmware and the harness is consistent."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from corelog_gateware.soc.simulated import inline_contents

NAME = re.compile(r"pub const ([A-Z0-9_]+): (usize|u32|u64) = (0x[0-9a-f]+|[0-9]+);")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build folder of a fresh elaboration; in a process of its own, as LiteX keeps state."""
    directory = tmp_path_factory.mktemp("sim")
    command = [sys.executable, "-m", "corelog_gateware.targets.sim", "--build-dir", str(directory)]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture(scope="module")
def described(target: Path) -> Any:
    return json.loads((target / "generated/csr.json").read_text())


def test_elaboration_writes_only_to_its_build_folder_and_says_nothing(target: Path) -> None:
    files = sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    assert files == ["gateware/VexRiscv_IMAC.v", "gateware/corelog_sim.v", "generated/corelog_soc.h",
                     "generated/csr.json", "generated/csr.rs"]


def test_every_line_of_the_rust_file_is_a_constant_and_agrees_with_the_json_file(target: Path, described: Any) -> None:
    lines = [line for line in (target / "generated/csr.rs").read_text().splitlines() if not line.startswith("//")]
    found = {}
    for line in lines:
        match = NAME.fullmatch(line)
        assert match, line
        assert match[1] not in found
        found[match[1]] = int(match[3], 0)
    expected = {name.upper(): value for name, value in described["constants"].items()}
    for name, memory in described["memories"].items():
        expected |= {f"{name}_base".upper(): memory["base"], f"{name}_size".upper(): memory["size"]}
    for name, register in described["registers"].items():
        expected |= {f"{name}_addr".upper(): register["address"], f"{name}_words".upper(): register["words"]}
    assert found == expected


def test_no_two_registers_share_an_address(described: Any) -> None:
    taken: dict[int, str] = {}
    memory = described["memories"]["csr"]
    for name, register in described["registers"].items():
        for address in range(register["address"], register["address"] + 4 * register["words"], 4):
            assert address not in taken, f"{name} and {taken[address]}"
            assert memory["base"] <= address < memory["base"] + memory["size"]
            taken[address] = name


def test_mac_slot_memories_are_aligned_to_their_size_and_uncached(described: Any) -> None:
    constants = described["constants"]
    assert (constants["ethmac_rx_slots"], constants["ethmac_tx_slots"], constants["ethmac_slot_size"]) == (8, 4, 2048)
    for name, slots in (("ethmac_rx", 8), ("ethmac_tx", 4)):
        memory = described["memories"][name]
        assert memory["size"] == slots * 2048
        assert memory["base"] % memory["size"] == 0
        assert memory["base"] >= 0x80000000


def test_the_contract_with_the_firmware_holds(described: Any) -> None:
    constants, registers = described["constants"], described["registers"]
    assert constants["clock_frequency"] == 2_000_000
    assert constants["rtio_channels"] == 11
    assert constants["rtio_mu_per_coarse"] * constants["rtio_mu_fs"] * constants["clock_frequency"] == 10**15
    assert described["memories"]["main_ram"]["base"] == 0x40000000
    assert {name: registers[name]["words"] for name in (
        "identity_board_id", "rtio_timestamp", "rtio_i_timeout", "rtio_i_timestamp", "rtio_counter",
        "rtio_errors_timestamp")} == dict.fromkeys(("identity_board_id", "rtio_timestamp", "rtio_i_timeout",
                                                    "rtio_i_timestamp", "rtio_counter", "rtio_errors_timestamp"), 2)
    interrupts = [value for name, value in constants.items() if name.endswith("_interrupt")]
    assert len(set(interrupts)) == len(interrupts) == 4


def test_the_verilog_reads_no_file_when_it_runs_and_has_no_marks_that_cost_speed(target: Path) -> None:
    for source in (target / "gateware").glob("*.v"):
        text = source.read_text()
        assert "$readmemh" not in text
        assert "verilator public" not in text


def test_memory_contents_are_written_out_and_empty_ones_vanish() -> None:
    verilog = 'initial begin\n\t$readmemh("a.init", mem);\nend\ninitial begin\n\t$readmemh("b.init", ram_1);\nend\n'
    inlined = inline_contents(verilog, {"a.init": "0a\nff\n", "b.init": ""})
    assert "mem[0] = 'h0a;" in inlined and "mem[1] = 'hff;" in inlined
    assert "ram_1" not in inlined
