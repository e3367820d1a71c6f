"""Reads a design's constraints (XDC) and says which ports and clocks they leave out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# Periods in ns of the clocks that enter through ports, by the boards' schematics and Migen's board files: oscillators,
# Si5324 outputs as the firmware sets them up, Ethernet. By the name of the resource.
PERIODS = {
    "clk50": 20.0, "clk125_gtp": 8.0, "clk200": 5.0, "clk156": 6.4,
    "si5324_clkout": 8.0, "si5324_clkout_fabric": 8.0, "cdr_clk_clean": 8.0, "cdr_clk_clean_fabric": 8.0,
    "sgmii_clock": 8.0, "eth_clocks": 8.0,
}
PORT = re.compile(r"^\s*(?:input|output|inout)\s+(?:wire|reg)\s+(?:\[(\d+):0\]\s+)?(\w+),?\s*$", re.MULTILINE)
PROPERTY = re.compile(r"^set_property (\w+) (\S+) \[get_ports \{?([\w\[\]]+)\}?\]", re.MULTILINE)
RESOURCE = re.compile(r"^# (\w+):(\d+)(?:\.(\w+))?$")
CLOCK = re.compile(r"^create_clock -name \S+ -period ([\d.]+) \[get_(?:ports|nets) \{?([\w\[\]]+)\}?\]", re.MULTILINE)


def ports(verilog: str) -> set[str]:
    """Names of the bits of all ports of the first module, as constraints call them: ``led``, ``dq[3]``."""
    header = verilog[verilog.index("module ") :].partition(");")[0]
    found = set()
    for high, name in PORT.findall(header):
        found |= {f"{name}[{n}]" for n in range(int(high) + 1)} if high else {name}
    return found


@dataclass
class Constraints:
    """``properties`` and ``resources`` (name, number, field) by port, ``periods`` in ns by port or net."""

    properties: dict[str, dict[str, str]] = field(default_factory=dict)
    resources: dict[str, tuple[str, int, str | None]] = field(default_factory=dict)
    periods: dict[str, float] = field(default_factory=dict)


def parse(xdc: str) -> Constraints:
    found, resource = Constraints(), None
    for line in xdc.splitlines():
        if match := RESOURCE.match(line):
            resource = (match[1], int(match[2]), match[3])
        elif match := PROPERTY.match(line):
            found.properties.setdefault(match[3], {})[match[1]] = match[2]
            if resource is not None:
                found.resources[match[3]] = resource
        elif match := CLOCK.match(line):
            found.periods[match[2]] = float(match[1])
    return found


def faults(verilog: str, xdc: str, transceiver_ports: Iterable[str], clock_ports: Iterable[str]) -> list[str]:
    """What the constraints lack, a line each.

    :param transceiver_ports: ports of transceivers and their reference clocks, whose standard is fixed.
    :param clock_ports: ports that clocks enter at.
    """
    given, fixed = parse(xdc), set(transceiver_ports)
    lines, at = [], dict[str, str]()
    there = ports(verilog)
    for port in sorted(there):
        properties = given.properties.get(port, {})
        location = properties.get("LOC")
        if location is None:
            lines.append(f"port {port} has no LOC: give it a pin in the platform")
        elif location in at:
            lines.append(f"ports {at[location]} and {port} are both at {location}")
        else:
            at[location] = port
        if "IOSTANDARD" not in properties and port.partition("[")[0] not in fixed:
            lines.append(f"port {port} has no IOSTANDARD: give it one in the platform")
    for port in sorted(set(given.properties) - there):
        lines.append(f"constraints name port {port}, which the design does not have")
    for port in sorted(clock_ports):
        resource = given.resources.get(port, (port, 0, None))[0]
        expected, period = PERIODS.get(resource), given.periods.get(port)
        if expected is None:
            lines.append(f"check/constraints.py lacks the period of clock {resource}: add it")
        elif period is None:
            lines.append(f"clock {port} has no period: add_period_constraint with {expected:g} ns")
        elif abs(period - expected) > 0.001:
            lines.append(f"clock {port} has a period of {period:g} ns: {resource} has {expected:g}")
    return lines
