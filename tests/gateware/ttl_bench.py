"""Boards' TTL channels from RTIO core to pads, in the Verilog emitted for them, in a program that plays scripts.

I/O primitives are support/primitives_7series.v. Pads have the numbers of their channels. A script has a command a line;
times are mus from the base on:
  B n                    base = the start of this coarse cycle + n coarse cycles
  S ch time addr data    submit and wait until done; prints `s ch time status` if refused
  D pad time value       drive a pad from outside: 0, 1, or 2 not at all
  J from to              wire: pad `to` is driven from outside with the level of pad `from`, without delay
  W time                 run until that time
  Q ch timeout           read; prints `i ch status time data`
  R / T                  pulse of PHY reset / prints `t`
`p pad time p n` is printed for every change of a pad's pins. A pin that nobody drives shows 0.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from migen import Instance, Module, Record, Signal
from rtio_bench import CRI_DRIVEN

from corelog.boards.description import Description, parse
from corelog.boards.peripherals import Pads
from corelog_gateware.eem import eem_phys
from corelog_gateware.rtio import Channel, RTIOCore
from support import verilated

MODELS = [Path(verilated.__file__).with_name("primitives_7series.v")]

KASLI = {
    "target": "kasli", "hw_rev": "v2.0", "variant": "test", "base": "standalone",
    "peripherals": [
        {"type": "dio", "ports": [3], "bank_direction_low": "input", "bank_direction_high": "output",
         "edge_counter": True},
    ],
}  # fmt: skip
KC705 = {
    "target": "kc705", "variant": "test", "base": "standalone",
    "peripherals": [{"type": "user_sma", "direction_p": "input", "direction_n": "output", "edge_counter": True}],
}  # fmt: skip


def description(board: dict[str, Any]) -> Description:
    return parse(json.dumps(board))


class Top(Module):
    """The channels of a description at pads that both the device and the outside can drive. Serves as the platform."""

    def __init__(self, board: Description) -> None:
        widths = {"drive": 32, "value": 32, "level_p": 32, "level_n": 32, "phy_reset": 1}
        self.drive, self.value, self.level_p, self.level_n, phy_reset = outer = [
            Signal(width, name_override=name) for name, width in widths.items()
        ]
        self.ports = set(outer)
        self.numbers = {channel.pads: channel.number for channel in board.channels if channel.kind != "counter"}
        phys = eem_phys(self, board)
        self.submodules += [phy for _, phy in phys]
        self.submodules.core = core = RTIOCore([Channel.of(phy, name) for name, phy in phys])
        self.comb += core.reset_phy.eq(phy_reset)
        for name, *_ in core.cri.layout:
            inner = getattr(core.cri, name)
            port = Signal(32 if name in ("o_data", "i_data") else len(inner), name_override=f"cri_{name}")
            self.comb += inner.eq(port) if name in CRI_DRIVEN else port.eq(inner)
            self.ports.add(port)

    def request(self, signal: str, index: int) -> Any:
        n = self.numbers[Pads(signal, index)]
        if signal == "user_led":
            pad = Signal(name_override=f"led{index}")
            self.comb += self.level_p[n].eq(pad)
            return pad
        if signal.startswith("eem"):
            pads = Record([("p", 1), ("n", 1)], name=f"{signal}_{index}")
            self.pin(n, pads.p, self.value[n], self.level_p[n])
            self.pin(n, pads.n, ~self.value[n], self.level_n[n])
            return pads
        pad = Signal(name_override=f"{signal}{index}")
        self.pin(n, pad, self.value[n], self.level_p[n])
        return pad

    def pin(self, n: int, pad: Signal, value: Any, level: Any) -> None:
        shown = Signal()
        self.specials += Instance("PIN", io_IO=pad, i_drive=self.drive[n], i_value=value, o_level=shown)
        self.comb += level.eq(shown)


@cache
def program(name: str) -> Path:
    """That of KASLI or KC705."""
    top = Top(description({"kasli": KASLI, "kc705": KC705}[name]))
    return verilated.build(top, top.ports, Path(__file__).with_name("ttl_driver.cpp"), f"ttl-{name}", MODELS)


@dataclass
class Result:
    """What happened in a stretch of a script, in order: changes of pads' pins, (time, p, n), and of their p alone,
    (time, level); (time, data) of input events by channel; statuses of reads without an event; refused submissions."""

    pads: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    levels: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    events: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    no_events: list[int] = field(default_factory=list)
    refused: list[tuple[int, ...]] = field(default_factory=list)


def play(board: str, lines: Iterable[str]) -> list[Result]:
    """Results of a script, split at its T commands."""
    results, now = [], Result()
    level: dict[int, int] = {}
    for line in verilated.run(program(board), "\n".join([*lines, "T", ""])).splitlines():
        code, *words = line.split()
        values = tuple(map(int, words))
        if code == "p":
            pad, time, p, n = values
            now.pads.setdefault(pad, []).append((time, p, n))
            if level.get(pad, 0) != p:
                level[pad] = p
                now.levels.setdefault(pad, []).append((time, p))
        elif code == "i":
            channel, status, time, data = values
            if status == 0:
                now.events.setdefault(channel, []).append((time, data))
            else:
                now.no_events.append(status)
        elif code == "s":
            now.refused.append(values)
        elif code == "t":
            results.append(now)
            now = Result()
        else:
            raise ValueError(f"the driver printed {line!r}")
    return results
