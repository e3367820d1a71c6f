"""Cores of unusual shape elaborate, impossible ones are refused with a reason."""

from collections.abc import Callable

import pytest
from migen.fhdl import verilog

from corelog_gateware.rtio import Channel, InputInterface, OutputInterface, RTIOCore
from corelog_gateware.rtio.fifo import BufferedFIFO
from corelog_gateware.rtio.phy import slow


def channels(count: int) -> list[Channel]:
    return [Channel(f"out{n}", output=OutputInterface(1 + n % 32, n % 9, n % 4, n % 2 == 0)) for n in range(count)]


@pytest.mark.parametrize(
    "core",
    [
        lambda: RTIOCore(channels(1), lane_count=1, lane_depth=1, report_depth=1, report_staging=1, input_depth=1),
        lambda: RTIOCore([Channel("in", input=InputInterface())], lane_count=2),
        lambda: RTIOCore([Channel("nothing")]),
        lambda: RTIOCore(channels(100), lane_count=16, lane_depth=3),
        lambda: RTIOCore([Channel("both", OutputInterface(32, 8), InputInterface(32, 3)), *channels(5)], lane_count=7),
    ],
    ids=["smallest", "only_an_input", "no_interface", "hundred_channels", "seven_lanes"],
)
def test_core_of_unusual_shape_elaborates(core: Callable[[], RTIOCore]) -> None:
    built = core()
    text = str(verilog.convert(built, set(built.cri.flatten()) | {built.reset, built.errors.present}))
    assert "always @(posedge sys_clk)" in text


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: RTIOCore([]), "1 to 65536 channels"),
        (lambda: RTIOCore(channels(1), lane_count=0), "needs a lane"),
        (lambda: RTIOCore(channels(1), lane_depth=0), "needs a lane"),
        (lambda: OutputInterface(33), "data width"),
        (lambda: OutputInterface(0), "data width"),
        (lambda: OutputInterface(1, 9), "address width"),
        (lambda: OutputInterface(1, 0, 4), "fine time width"),
        (lambda: InputInterface(33), "data width"),
        (lambda: InputInterface(1, 4), "fine time width"),
        (lambda: InputInterface(1, 0, -1), "delay"),
        (lambda: Channel("x", delay=-1), "delay of channel x"),
        (lambda: Channel("x", delay=1024), "delay of channel x"),
        (lambda: BufferedFIFO(8, 0), "depth"),
        (lambda: slow.Output(busy_cycles=0), "busy_cycles"),
    ],
)
def test_impossible_shape_is_refused_with_a_reason(make: Callable[[], object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()
