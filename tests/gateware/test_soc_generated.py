"""What the register map says to software about boards with several DRTIO ports."""

from types import SimpleNamespace
from typing import Any

import pytest

from corelog_gateware.soc import generated


def soc(modules: dict[str, list[tuple[str, int]]], memories: dict[str, int], constants: dict[str, int]) -> Any:
    """A finalized SoC as the generator sees it: CSR modules with (register, bits), memories, constants."""
    regions = {
        name: SimpleNamespace(
            origin=0xF0000000 + 0x800 * n,
            busword=32,
            obj=[SimpleNamespace(name=register, size=bits) for register, bits in registers],
        )
        for n, (name, registers) in enumerate(modules.items())
    }
    return SimpleNamespace(
        clk_freq=2e6,
        csr=SimpleNamespace(regions=regions),
        bus=SimpleNamespace(regions={n: SimpleNamespace(origin=o, size=0x4000) for n, o in memories.items()}),
        constants=constants,
    )


def test_what_every_port_has_is_an_array_by_port() -> None:
    board = soc(
        {"drtio0": [("echo", 1), ("time_correction", 64)], "uptime": [("lo", 32)],
         "drtio1": [("echo", 1), ("time_correction", 64)], "drtioaux0": [("tx", 1)], "drtioaux1": [("tx", 1)],
         "drtio_routing": [("hop", 8)]},
        {"drtioaux1_mem": 0x80004000, "drtioaux0_mem": 0x80000000},
        {"DRTIOAUX0_INTERRUPT": 5, "DRTIOAUX1_INTERRUPT": 6, "UPTIME_INTERRUPT": 1},
    )
    lines = generated.rust(board, {}).splitlines()
    for line in (
        "pub const DRTIO_LINKS: usize = 2;",
        "pub const DRTIO_UPLINK: u32 = 0;",
        "pub const DRTIO_N_ECHO_ADDR: [usize; 2] = [0xf0000000, 0xf0001000];",
        "pub const DRTIO_N_TIME_CORRECTION_ADDR: [usize; 2] = [0xf0000004, 0xf0001004];",
        "pub const DRTIO_N_TIME_CORRECTION_WORDS: [usize; 2] = [2, 2];",
        "pub const DRTIOAUX_N_TX_ADDR: [usize; 2] = [0xf0001800, 0xf0002000];",
        "pub const DRTIOAUX_N_MEM_BASE: [usize; 2] = [0x80000000, 0x80004000];",
        "pub const DRTIOAUX_N_INTERRUPT: [u32; 2] = [5, 6];",
        "pub const DRTIO_ROUTING_HOP_ADDR: usize = 0xf0002800;",
        "pub const UPTIME_LO_ADDR: usize = 0xf0000800;",
    ):
        assert line in lines
    assert not [line for line in lines if "DRTIO0" in line or "DRTIOAUX1" in line]
    assert generated.constants(board, {})["drtio_links"] == 2


def test_a_board_with_only_an_uplink_says_so() -> None:
    lines = generated.rust(soc({"drtiosat": [("rx_up", 1)], "drtiosataux": [("tx", 1)]}, {}, {}), {}).splitlines()
    assert "pub const DRTIO_LINKS: usize = 0;" in lines
    assert "pub const DRTIO_UPLINK: u32 = 1;" in lines
    assert "pub const DRTIOSAT_RX_UP_ADDR: usize = 0xf0000000;" in lines
    assert "pub const DRTIOSATAUX_TX_ADDR: usize = 0xf0000800;" in lines


def test_a_register_that_only_some_ports_have_is_refused() -> None:
    with pytest.raises(ValueError, match="drtio_n_space"):
        generated.rust(soc({"drtio0": [("echo", 1), ("space", 16)], "drtio1": [("echo", 1)]}, {}, {}), {})
