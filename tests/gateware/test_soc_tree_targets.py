"""The boards of a tree elaborate, with the registers, buffers and interrupts that docs/drtio.md promises firmware."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LINK = {"tx_enable", "rx_up", "dropped", "symbol_errors", "corrupt_packets", "unknown_packets"}
PORT = {"echo", "echo_cycles", "time_correction", "set_time", "reset", "missed_writes"}
CREDITS = {"underflow_margin", "space_timeouts", "read_timeouts", "space_destination", "space_request", "space"}
UPLINK = {"time_loaded", "write_underflow", "write_overflow", "write_unreachable", "write_channel", "write_timestamp",
          "write_slack"}
AUX = {"tx_length", "tx", "rx_present", "rx_buffer", "rx_length", "rx_overflows", "rx_corrupt", "ev_status",
       "ev_pending", "ev_enable"}


@pytest.fixture(scope="module", params=["sim-master", "sim-satellite"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build folder of a fresh elaboration; in a process of its own, as LiteX keeps state."""
    directory: Path = tmp_path_factory.mktemp("tree") / request.param
    command = [sys.executable, "-m", "corelog_gateware.targets.sim", "--variant", request.param, "--build-dir",
               str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture(scope="module")
def described(target: Path) -> Any:
    return json.loads((target / "generated/csr.json").read_text())


def registers_of(described: Any, module: str) -> set[str]:
    return {name.removeprefix(f"{module}_") for name in described["registers"] if name.startswith(f"{module}_")}


def links(target: Path) -> dict[str, str]:
    """Aux module by link module."""
    if target.name == "sim-master":
        return {f"drtio{n}": f"drtioaux{n}" for n in range(3)}
    return {"drtio0": "drtioaux0", "drtiosat": "drtiosataux"}


def test_every_link_has_the_registers_of_the_contract(target: Path, described: Any) -> None:
    for link, aux in links(target).items():
        expected = LINK | (UPLINK if link == "drtiosat" else PORT)
        if target.name == "sim-master":
            expected |= CREDITS
        assert registers_of(described, link) == expected
        assert registers_of(described, aux) == AUX
    assert registers_of(described, "drtio_routing") == {"destination", "hop"}


def test_firmware_is_told_how_many_ports_there_are_and_whether_there_is_an_uplink(target: Path, described: Any) -> None:
    constants = described["constants"]
    master = target.name == "sim-master"
    assert constants["drtio_links"] == (3 if master else 1)
    assert constants["drtio_uplink"] == (0 if master else 1)
    assert ("ethmac_rx_slots" in constants) == master


def test_aux_buffers_are_16_kib_aligned_and_uncached(target: Path, described: Any) -> None:
    bases = []
    for aux in links(target).values():
        memory = described["memories"][f"{aux}_mem"]
        assert memory["size"] == 16384
        assert memory["base"] % 16384 == 0 and memory["base"] >= 0x80000000
        bases.append(memory["base"])
    assert len(set(bases)) == len(bases)


def test_every_interrupt_is_its_own(target: Path, described: Any) -> None:
    interrupts = {name: n for name, n in described["constants"].items() if name.endswith("_interrupt")}
    assert {f"{aux}_interrupt" for aux in links(target).values()} < set(interrupts)
    assert len(set(interrupts.values())) == len(interrupts)
