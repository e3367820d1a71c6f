"""The check of constraints names what a design's XDC leaves out."""

import re

import pytest

from corelog_gateware.check import constraints

VERILOG = """\
// header
module top (
    input  wire          clk125_gtp_n,
    input  wire          clk125_gtp_p,
    inout  wire    [1:0] dq,
    output reg           user_led0
);
module other (
    input wire hidden
);
"""
XDC = """\
# clk125_gtp:0.p
set_property LOC F10 [get_ports {clk125_gtp_p}]

# clk125_gtp:0.n
set_property LOC E10 [get_ports {clk125_gtp_n}]

# ddram:0.dq
set_property LOC G3 [get_ports {dq[0]}]
set_property IOSTANDARD SSTL15 [get_ports {dq[0]}]

# ddram:0.dq
set_property LOC J1 [get_ports {dq[1]}]
set_property IOSTANDARD SSTL15 [get_ports {dq[1]}]

# user_led:0
set_property LOC P14 [get_ports {user_led0}]
set_property IOSTANDARD LVCMOS25 [get_ports {user_led0}]

create_clock -name clk125_gtp_p -period 8.0 [get_ports clk125_gtp_p]
"""
TRANSCEIVER = ["clk125_gtp_p", "clk125_gtp_n"]


def faults(xdc: str, verilog: str = VERILOG) -> list[str]:
    return constraints.faults(verilog, xdc, TRANSCEIVER, ["clk125_gtp_p"])


def test_complete_constraints_have_no_faults() -> None:
    assert constraints.ports(VERILOG) == {"clk125_gtp_n", "clk125_gtp_p", "dq[0]", "dq[1]", "user_led0"}
    assert constraints.parse(XDC).resources["dq[1]"] == ("ddram", 0, "dq")
    assert faults(XDC) == []


def without(pattern: str) -> str:
    shorter, times = re.subn(pattern, "", XDC)
    assert times == 1
    return shorter


@pytest.mark.parametrize(("xdc", "expected"), [
    (without(r"set_property LOC J1.*\n"), "port dq[1] has no LOC: give it a pin in the platform"),
    (without(r"set_property IOSTANDARD LVCMOS25.*\n"), "port user_led0 has no IOSTANDARD: give it one in the platform"),
    (XDC.replace("LOC J1", "LOC G3"), "ports dq[0] and dq[1] are both at G3"),
    (without(r"create_clock.*\n"), "clock clk125_gtp_p has no period: add_period_constraint with 8 ns"),
    (XDC.replace("-period 8.0", "-period 10.0"), "clock clk125_gtp_p has a period of 10 ns: clk125_gtp has 8"),
    (XDC.replace("# clk125_gtp:0.p", "# clk13:0.p"), "check/constraints.py lacks the period of clock clk13: add it"),
    (XDC + "set_property LOC A1 [get_ports {gone}]\n", "constraints name port gone, which the design does not have"),
])  # fmt: skip
def test_what_is_left_out_is_named(xdc: str, expected: str) -> None:
    assert faults(xdc) == [expected]


def test_only_ports_of_transceivers_need_no_standard() -> None:
    found = constraints.faults(VERILOG, XDC, [], ["clk125_gtp_p"])
    assert [line.partition(" has no IOSTANDARD")[0] for line in found] == ["port clk125_gtp_n", "port clk125_gtp_p"]
