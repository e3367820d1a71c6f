"""Cores by themselves, where signals keep their short names, are legal for the tools behind Migen."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from migen import Module, Record
from migen.fhdl import verilog

from corelog_gateware.drtio.interface import phy_layout
from corelog_gateware.drtio.link import LinkLayer
from corelog_gateware.drtio.port import Port
from corelog_gateware.drtio.routing import Routing
from corelog_gateware.drtio.uplink import Uplink
from corelog_gateware.rtio import Channel, OutputInterface, RTIOCore
from support import verilated


class Board(Module):
    """A core and one link with a port or an uplink at its end."""

    def __init__(self, end: Callable[[LinkLayer, RTIOCore, Routing | None], Any], port: bool) -> None:
        self.phy = Record(phy_layout())
        self.output = OutputInterface(32, 8, 3)
        self.submodules.link = link = LinkLayer(self.phy)
        self.submodules.core = core = RTIOCore([Channel("out", output=self.output)])
        if port:
            self.submodules.port = port = end(link, core, None)
            self.submodules.routing = Routing(core.cri, [port.cri], root=True)
        else:
            self.submodules.routing = routing = Routing(core.cri, [])
            self.submodules.uplink = end(link, core, routing)


@pytest.mark.parametrize(
    "board",
    [
        lambda: Board(lambda link, core, _: Port(link, core.tsc, 125_000_000, credits=True), port=True),
        lambda: Board(lambda link, core, _: Port(link, core.tsc, 125_000_000), port=True),
        lambda: Board(lambda link, core, routing: Uplink(link, core.tsc, routing.cri), port=False),
    ],
    ids=["core device", "repeater", "satellite"],
)
def test_a_board_with_a_single_link_is_legal_for_the_verilog_tools(board: Callable[[], Board], tmp_path: Path) -> None:
    top = board()
    ios = {*top.phy.flatten(), top.output.stb, top.output.data}
    (tmp_path / "dut.v").write_text(str(verilog.convert(top, ios, name="dut")))
    program, env = verilated.verilator()
    done = subprocess.run(
        [str(program), "--lint-only", "-Wno-fatal", "-Wno-WIDTH", "dut.v"],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stderr[:2000]
