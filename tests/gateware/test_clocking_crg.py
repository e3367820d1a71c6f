"""Clocks of each board: they elaborate, stay within what the FPGA can do, and every pad and clock is constrained."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from migen import ClockDomain, Instance, Module, Signal

from corelog_gateware.clocking import KC705CRG, KasliCRG
from corelog_gateware.clocking.crg import CRG
from corelog_gateware.platforms import Platform, kasli_platform, kc705_platform

BOARDS: dict[str, tuple[Callable[[], Platform], type[CRG], set[str]]] = {
    "kasli-v1.0": (lambda: kasli_platform("v1.0"), KasliCRG, {"clk125_gtp", "si5324_clkout"}),
    "kasli-v1.1": (lambda: kasli_platform("v1.1"), KasliCRG, {"clk125_gtp", "si5324_clkout"}),
    "kasli-v2.0": (lambda: kasli_platform("v2.0"), KasliCRG, {"clk125_gtp", "cdr_clk_clean"}),
    "kc705": (kc705_platform, KC705CRG, {"clk200", "si5324_clkout"}),
}
# UG472 and the data sheets DS181, DS182 for the slowest speed grade of these boards (-2): MHz.
PFD, PLL_VCO, MMCM_VCO, BUFG = (19, 500), (800, 1866), (600, 1440), 628


class Top(Module):
    """A CRG, something in each domain, and transceivers' clock from elsewhere if there are any."""

    def __init__(self, platform: Platform, crg: type[CRG], transceivers: bool) -> None:
        self.submodules.crg = self.crg = crg(platform, transceivers)
        for domain in ("sys", "bootstrap"):
            count = Signal(8, name=f"count_{domain}")
            sync = getattr(self.sync, domain)
            sync += count.eq(count + 1)
        if transceivers:
            self.specials += Instance("GTPE2_CHANNEL", o_TXOUTCLK=self.crg.main_clk)


def parameter(instance: Instance, name: str, default: float = 1) -> float:
    found = [item.value for item in instance.items if isinstance(item, Instance.Parameter) and item.name == name]
    # Migen has made a Constant of whole numbers.
    return float(getattr(found[0], "value", found[0])) if found else default


@pytest.mark.parametrize("transceivers", [False, True])
@pytest.mark.parametrize("board", BOARDS)
def test_it_elaborates_and_constrains_what_it_takes(board: str, transceivers: bool, tmp_path: Path) -> None:
    make_platform, crg, pads = BOARDS[board]
    platform = make_platform()
    platform.build(Top(platform, crg, transceivers), build_dir=str(tmp_path), build_name="top", run=False)
    verilog, constraints = (tmp_path / "top.v").read_text(), (tmp_path / "top.xdc").read_text()
    ports = set(re.findall(r"^\s*(?:input|output|inout) .*?(\w+),?$", verilog, re.MULTILINE))
    assert ports == {f"{pad}_{side}" for pad in pads for side in "pn"}
    assert set(re.findall(r"set_property LOC \w+ \[get_ports \{(\w+)\}\]", constraints)) == ports
    clocks = dict(re.findall(r"create_clock -name (\w+) -period ([\d.]+)", constraints))
    assert {name: float(period) for name, period in clocks.items()} == {
        f"{pad}_p": 5.0 if pad == "clk200" else 8.0 for pad in pads
    }
    assert "-asynchronous" in constraints, "bootstrap and main clock are not related"


@pytest.mark.parametrize("board", BOARDS)
def test_plls_and_mmcms_are_within_their_limits_and_give_the_frequencies_said(board: str) -> None:
    make_platform, make_crg, _ = BOARDS[board]
    crg = make_crg(make_platform(), transceivers=False)
    cells = {special.of: special for special in crg.get_fragment().specials if isinstance(special, Instance)}
    outputs: dict[str, list[float]] = {}
    for name, vco_range in (("PLLE2_BASE", PLL_VCO), ("MMCME2_ADV", MMCM_VCO)):
        cell = cells[name]
        into = 1000 / parameter(cell, "CLKIN1_PERIOD")
        assert PFD[0] <= into <= PFD[1]
        vco = into * parameter(cell, "CLKFBOUT_MULT", parameter(cell, "CLKFBOUT_MULT_F"))
        assert vco_range[0] <= vco <= vco_range[1]
        dividers = (parameter(cell, f"CLKOUT{n}_DIVIDE", parameter(cell, f"CLKOUT{n}_DIVIDE_F", 0)) for n in range(7))
        outputs[name] = [vco / divide for divide in dividers if divide]
        assert max(outputs[name]) <= BUFG
    assert outputs["PLLE2_BASE"] == [125, 200]
    assert outputs["MMCME2_ADV"] == ([125, 500] if board == "kc705" else [125, 500, 500])
    assert parameter(cells["MMCME2_ADV"], "CLKIN1_PERIOD") == parameter(cells["MMCME2_ADV"], "CLKIN2_PERIOD")


@pytest.mark.parametrize("board", BOARDS)
def test_the_soc_finds_its_reset_manager_and_registers(board: str) -> None:
    make_platform, make_crg, _ = BOARDS[board]
    crg = make_crg(make_platform(), transceivers=False)
    assert {csr.name for csr in crg.get_csrs()} == {"clock_sel", "switch_done", "switch_error", "main_khz"}
    assert isinstance(crg.cd_sys, ClockDomain) and crg.cd_sys.rst is not None
    assert (len(crg.request), len(crg.watchdog), len(crg.cause)) == (1, 1, 2)
