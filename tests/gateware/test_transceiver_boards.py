"""Transceivers of each board with their CRG: they elaborate, no pin hangs, clocks cross by named primitives only."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from litex.gen import LiteXModule
from migen import Instance, Module, Signal
from migen.fhdl.tools import list_signals, list_targets

from corelog_gateware.check.crossings import MEMORY, crossings
from corelog_gateware.check.design import Design
from corelog_gateware.clocking import KC705CRG, KasliCRG, RecoveredClock, ReferenceForward
from corelog_gateware.platforms import Platform, kasli_platform, kc705_platform
from corelog_gateware.soc.ethernet import FrameLink
from corelog_gateware.transceiver import KasliTransceivers, KC705Transceivers, kc705_ethernet


class Board(LiteXModule):
    """What a SoC would do with clocks and transceivers: links and Ethernet are looped back in `sys`."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def kasli(self, sfps: list[int], ethernet: bool, uplink: bool = False, pads: str = "") -> None:
        platform = self.platform
        self.crg = KasliCRG(platform, transceivers=bool(sfps))
        links = [platform.request("sfp", n) for n in sfps]
        self.transceivers = transceivers = KasliTransceivers(
            platform, self.crg, links, uplink, platform.request("sfp", 0) if ethernet else None
        )
        self.links(transceivers.phys)
        if ethernet:
            self.ethernet(transceivers.ethernet)
        if pads:
            self.recovered_clock(transceivers.phys[0], platform.request(pads))

    def kc705(self, links: list[str], uplink: bool = False) -> None:
        platform = self.platform
        self.crg = KC705CRG(platform, transceivers=bool(links))
        if links:
            pads = [platform.request(name) for name in links]
            self.transceivers = KC705Transceivers(platform, self.crg, pads, uplink)
            self.links(self.transceivers.phys)
        if uplink:
            self.recovered_clock(self.transceivers.phys[0], platform.request("si5324_clkin"))
        else:
            self.ethernet(kc705_ethernet(platform, self.crg))

    def links(self, phys: list[Any]) -> None:
        for n, phy in enumerate(phys):
            self.add_module(f"link{n}_phy", phy)
            self.sync += [getattr(phy.phy, f"tx_{name}").eq(getattr(phy.phy, f"rx_{name}")) for name in "dk"]
            self.sync += phy.phy.tx_enable.eq(phy.phy.rx_up)

    def ethernet(self, phy: Module) -> None:
        self.ethphy = phy
        self.frames = frames = FrameLink(phy)
        self.comb += frames.source.connect(frames.sink)

    def recovered_clock(self, phy: Any, pads: Any) -> None:
        self.recovered = RecoveredClock(pads, self.crg.bootstrap_pll, phy.recovered, phy.ready)

    def forward(self, reference: str, pads: str) -> None:
        self.forwarded = ReferenceForward(self.platform.request(reference), self.platform.request(pads))


def kasli_v1_master(board: Board) -> None:
    board.kasli([1, 2], ethernet=True)


def kasli_v1_satellite(board: Board) -> None:
    board.kasli([0, 1, 2], ethernet=False, uplink=True, pads="si5324_clkin")


def kasli_v2_standalone(board: Board) -> None:
    board.kasli([], ethernet=True)
    board.forward("sma_clkin", "cdr_clk")


def kasli_v2_master(board: Board) -> None:
    board.kasli([1, 2, 3], ethernet=True)
    board.forward("sma_clkin", "cdr_clk")


def kasli_v2_satellite(board: Board) -> None:
    board.kasli([0, 1, 2, 3], ethernet=False, uplink=True, pads="cdr_clk")


def kc705_standalone(board: Board) -> None:
    board.kc705([])
    board.forward("user_sma_clock", "si5324_clkin")


def kc705_master(board: Board) -> None:
    board.kc705(["sfp", "user_sma_mgt"])


def kc705_satellite(board: Board) -> None:
    board.kc705(["sfp", "user_sma_mgt"], uplink=True)


BOARDS: dict[Callable[[Board], None], Callable[[], Platform]] = {
    kasli_v1_master: lambda: kasli_platform("v1.1"),
    kasli_v1_satellite: lambda: kasli_platform("v1.0"),
    kasli_v2_standalone: lambda: kasli_platform("v2.0"),
    kasli_v2_master: lambda: kasli_platform("v2.0"),
    kasli_v2_satellite: lambda: kasli_platform("v2.0"),
    kc705_standalone: kc705_platform,
    kc705_master: kc705_platform,
    kc705_satellite: kc705_platform,
}


@pytest.fixture(params=BOARDS, ids=lambda make: make.__name__)
def board(request: pytest.FixtureRequest) -> Board:
    made = Board(BOARDS[request.param]())
    request.param(made)
    return made


# liteeth's own PHYs are not checked here. The ring of a PhaseBuffer is what makes a crossing, as that of a FIFO is; the
# distance of reader and writer is test_transceiver_crossing.py's business.
LITEETH, RING = re.compile(r"(ethphy|frames)\b"), re.compile(r"link\d_phy\.crossing\.memory$")


def test_clocks_cross_by_named_primitives_only(board: Board) -> None:
    result = crossings(Design(board, board.platform.constraint_manager.get_io_signals()))
    faults = [fault for fault in result.faults if not (LITEETH.match(fault.source) or LITEETH.match(fault.destination))]
    rings = [fault for fault in faults if fault.kind == MEMORY and RING.match(fault.source)]
    assert len(rings) == len(board.transceivers.phys if hasattr(board, "transceivers") else [])
    rest = [str(fault) for fault in faults if fault not in rings]
    assert not rest, "\n".join(rest)


def test_it_elaborates_with_a_pin_for_every_port(board: Board, tmp_path: Path) -> None:
    board.platform.build(board, build_dir=str(tmp_path), build_name="top", run=False)
    verilog, constraints = (tmp_path / "top.v").read_text(), (tmp_path / "top.xdc").read_text()
    header = verilog[verilog.index("module top") : verilog.index(");")]
    ports = set(re.findall(r"(?:input|output|inout)\s+(?:wire|reg)\s+(?:\[\d+:0\] )?\s*(\w+)", header))
    located = re.findall(r"set_property LOC \w+ \[get_ports \{(\w+)", constraints)
    assert ports and ports == set(located)


def driven(fragment: Any, pads: set[Signal]) -> set[Signal]:
    """What gets a value from somewhere."""
    found = list_targets(fragment.comb) | pads
    for statements in fragment.sync.values():
        found |= list_targets(statements)
    for domain in fragment.clock_domains:
        found |= {signal for signal in (domain.clk, domain.rst) if signal is not None}
    for special in fragment.specials:
        found |= special.list_ios(ins=False, outs=True, inouts=True)
    return found


def test_no_input_of_a_transceiver_hangs_and_every_recovered_clock_has_its_period(board: Board) -> None:
    fragment = board.get_fragment()
    have_a_value = driven(fragment, board.platform.constraint_manager.get_io_signals())
    cells = [special for special in fragment.specials if isinstance(special, Instance)]
    for cell in cells:
        if not cell.of.startswith(("GTP", "GTX")):
            continue
        for item in cell.items:
            if isinstance(item, Instance.Input):
                hanging = [signal for signal in list_signals(item.expr) if signal not in have_a_value]
                assert not hanging, f"{cell.of}.{item.name} hangs"
    if hasattr(board, "transceivers"):
        periods = {id(clk) for clk in board.platform.toolchain.clocks}
        assert all(id(phy.channel.rxoutclk) in periods for phy in board.transceivers.phys)


def test_line_rates_are_those_of_drtio_and_ethernet(board: Board) -> None:
    """From what cells are told: 125 MHz, multiplied by the PLL, divided by the channel, two bits a period."""
    cells = [special for special in board.get_fragment().specials if isinstance(special, Instance)]
    common = [values(cell) for cell in cells if cell.of == "GTPE2_COMMON"]
    rates = []
    for cell in cells:
        given = values(cell)
        if cell.of == "GTXE2_CHANNEL":
            vco = 0.125 * given["CPLL_FBDIV"] * given["CPLL_FBDIV_45"] / given["CPLL_REFCLK_DIV"]
        elif cell.of == "GTPE2_CHANNEL":
            n = {0: 0, 3: 1}[given["TXSYSCLKSEL"]]
            pll = common[0]
            vco = 0.125 * pll[f"PLL{n}_FBDIV"] * pll[f"PLL{n}_FBDIV_45"] / pll[f"PLL{n}_REFCLK_DIV"]
        else:
            continue
        assert 1.6 <= vco <= 3.3 and given["RXOUT_DIV"] == given["TXOUT_DIV"]
        rates.append(2 * vco / given["TXOUT_DIV"])
    links = board.transceivers.phys if hasattr(board, "transceivers") else []
    ethernet = getattr(getattr(board, "transceivers", None), "ethernet", None)
    assert sorted(rates) == [1.25] * (ethernet is not None) + [2.5] * len(links)
    assert len(common) == (board.platform.name == "kasli")


def values(cell: Instance) -> dict[str, Any]:
    """Parameters, and pins that are constant."""
    found = {}
    for item in cell.items:
        given = item.value if isinstance(item, Instance.Parameter) else getattr(item, "expr", None)
        found[item.name] = getattr(given, "value", given)
    return found
