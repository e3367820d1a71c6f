"""What can be at a board's connectors, and the channels that follow from it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Pads:
    """Where a channel is: a signal of the board (`user_led`, `user_sma_gpio_p`), or one of a connector: `eem5`,
    `lpc_la02_p`, and for a differential pair `lpc_la02`.

    index     of an EEM connector it is the number of the differential pair, of LEDs that of the LED
    standard  the I/O standard, of a pin of an FMC connector; empty where the board says it
    """

    signal: str
    index: int
    standard: str = ""


class Card(NamedTuple):
    """places: what it takes up at the board, for itself alone. channels: kind and pads of each, in order."""

    places: list[str]
    channels: list[tuple[str, Pads]]


class PeripheralError(Exception):
    """`str()` is what is wrong with a peripheral, to follow its name."""


# I/O standard of an FMC connector's pin -> V of VADJ, the supply that all those of a KC705 have in common.
VADJ = {"LVCMOS25": 2.5, "LVDS_25": 2.5, "LVCMOS33": 3.3, "LVTTL": 3.3}

# NIST's boards: at 3.3 V, one pin a line.
_NIST_STANDARD = "LVTTL"
_NIST_CLOCK = [
    "LA00_CC_N", "LA02_P", "LA00_CC_P", "LA02_N", "LA01_CC_N", "LA06_P", "LA06_N", "LA01_CC_P",
    "LA10_P", "LA05_N", "LA05_P", "LA09_P", "LA09_N", "LA13_P", "LA14_P", "LA10_N",
]  # fmt: skip
_NIST_CLOCK_PMT = ["CLK0_M2C_P", "CLK0_M2C_N"]
_NIST_QC2 = [
    "LA00_CC_P", "LA02_P", "LA00_CC_N", "LA02_N", "LA01_CC_P", "LA01_CC_N", "LA06_P", "LA06_N",
    "LA05_P", "LA05_N", "LA10_P", "LA09_P", "LA10_N", "LA09_N", "LA13_P", "LA14_P",
    "LA13_N", "LA14_N", "LA17_CC_P", "LA17_CC_N",
]  # fmt: skip

_KINDS = {"input": "inout", "output": "output"}


def fmc_pairs(connector: str) -> list[str]:
    """The pairs of a KC705's connector `lpc` or `hpc`, of which each has the pins `_P` and `_N`."""
    banks = [("LA", 34, (0, 1, 17, 18))] + ([("HA", 24, (0, 1, 17))] if connector == "hpc" else [])
    pairs = [f"{bank}{n:02}{'_CC' if n in clocks else ''}" for bank, number, clocks in banks for n in range(number)]
    return [*pairs, "CLK0_M2C", "CLK1_M2C"]


def _dio(given: dict[str, Any]) -> Card:
    signal = f"eem{given['ports'][0]}"
    banks = [given["bank_direction_low"]] * 4 + [given["bank_direction_high"]] * 4
    return Card([signal], [(_KINDS[direction], Pads(signal, i)) for i, direction in enumerate(banks)])


def _user_sma(given: dict[str, Any]) -> Card:
    return Card(
        ["user_sma"], [(_KINDS[given[f"direction_{pin}"]], Pads(f"user_sma_gpio_{pin}", 0)) for pin in "pn"]
    )


def _fmc(given: dict[str, Any]) -> Card:
    connector, standard = given["connector"], given.get("io_standard", "LVCMOS25")
    differential = standard == "LVDS_25"
    known = fmc_pairs(connector)
    if not differential:
        known = [f"{pair}_{pin}" for pair in known for pin in "PN"]
    for n, name in enumerate(given["pins"]):
        if name not in known:
            what = f"pair, as {standard} needs," if differential else "pin"
            [near] = difflib.get_close_matches(name, [k for k in known if k[:4] == name[:4].upper()], 1, 0) or [""]
            raise PeripheralError(
                f".pins[{n}] is {name[:40]!r}, which is no {what} of connector {connector}"
                + (f"; is {near} meant?" if near else f": there are {known[0]} to {known[-1]}")
            )
    return _at_pins(connector, standard, [(_KINDS[given["direction"]], name) for name in given["pins"]])


def _nist_clock(given: dict[str, Any]) -> Card:
    ttls = [("inout" if n % 4 == 3 else "output", pin) for n, pin in enumerate(_NIST_CLOCK)]
    return _at_pins("lpc", _NIST_STANDARD, ttls + [("inout", pin) for pin in _NIST_CLOCK_PMT])


def _nist_qc2(given: dict[str, Any]) -> Card:
    return _at_pins(given["connector"], _NIST_STANDARD, [("inout", pin) for pin in _NIST_QC2])


def _at_pins(connector: str, standard: str, pins: list[tuple[str, str]]) -> Card:
    places = [
        f"{connector} {place}"
        for _, name in pins
        for place in ((f"{name}_P", f"{name}_N") if standard == "LVDS_25" else (name,))
    ]
    return Card(places, [(kind, Pads(f"{connector}_{name.lower()}", 0, standard)) for kind, name in pins])


# type -> the target that has a connector for it, and its card
_TYPES: dict[str, tuple[str, Callable[[dict[str, Any]], Card]]] = {
    "dio": ("kasli", _dio),
    "user_sma": ("kc705", _user_sma),
    "fmc": ("kc705", _fmc),
    "nist_clock": ("kc705", _nist_clock),
    "nist_qc2": ("kc705", _nist_qc2),
}


def card(target: str, given: dict[str, Any]) -> Card:
    """Of an entry of `peripherals` that the schema has found sound; its counters, if it has any, come last.

    Raises PeripheralError.
    """
    its_target, make = _TYPES[given["type"]]
    if target != its_target:
        raise PeripheralError(f": a {target} has no connector for {given['type']}")
    made = make(given)
    if given.get("edge_counter", False):
        made.channels.extend([("counter", pads) for kind, pads in made.channels if kind == "inout"])
    return made
