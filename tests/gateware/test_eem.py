"""Channels of system descriptions: gateware and device database agree, and every pad is the one of the card."""

import json
import runpy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from migen import ClockDomain, Module
from migen.build.platforms import kc705
from migen.build.platforms.sinara import kasli

from corelog.boards.description import Description, load, parse
from corelog.boards.peripherals import fmc_pairs
from corelog.frontend.ddb_template import main as ddb_template
from corelog_gateware.eem import eem_io, eem_phys
from corelog_gateware.platforms import Platform, kasli_platform, kc705_platform
from corelog_gateware.rtio import Channel, RTIOCore
from corelog_gateware.rtio.phy import ttl, ttl_serdes

EXAMPLES = Path(__file__).parents[2] / "examples" / "boards"
FILES = sorted(EXAMPLES.glob("*.json"))
CLASSES = {"TTLOut": (ttl_serdes.Output, ttl.Output), "TTLInOut": (ttl_serdes.InOut,),
           "EdgeCounter": (ttl_serdes.EdgeCounter,)}  # fmt: skip


def full_kasli(hw_rev: str = "v2.0") -> dict[str, Any]:
    """A card at every connector, in an order that is not theirs, in all combinations of directions."""
    ways = ("input", "output")
    return {
        "target": "kasli", "hw_rev": hw_rev, "variant": "full", "base": "standalone",
        "peripherals": [
            {"type": "dio", "ports": [5 * n % 12], "bank_direction_low": ways[n % 2],
             "bank_direction_high": ways[n // 2 % 2]}
            for n in range(12)
        ],
    }  # fmt: skip


def counting_kasli() -> dict[str, Any]:
    """Counters on every third card."""
    board = full_kasli()
    for n, card in enumerate(board["peripherals"]):
        card["edge_counter"] = n % 3 == 1
    return board


def full_kc705(vadj: float) -> dict[str, Any]:
    """All pins of both connectors, as pairs too; at 3.3 V with NIST's boards where they fit."""
    lpc, hpc = fmc_pairs("lpc"), fmc_pairs("hpc")
    fmc = {"type": "fmc", "direction": "input"}
    if vadj == 3.3:
        cards = [{"type": "nist_qc2", "connector": "hpc", "edge_counter": True}, {"type": "nist_clock"},
                 fmc | {"connector": "lpc", "io_standard": "LVCMOS33", "pins": ["LA32_P", "LA32_N"]}]  # fmt: skip
    else:
        ends = [f"{pair}_{end}" for end in "NP" for pair in hpc[::2]]
        cards = [fmc | {"connector": "lpc", "io_standard": "LVDS_25", "pins": lpc},
                 fmc | {"connector": "hpc", "direction": "output", "io_standard": "LVDS_25", "pins": hpc[1::2]},
                 fmc | {"connector": "hpc", "pins": ends}]  # fmt: skip
    sma = {"type": "user_sma", "direction_p": "output", "direction_n": "input", "edge_counter": True}
    return {"target": "kc705", "variant": "full", "base": "standalone", "peripherals": [*cards, sma]}


def platform(description: Description) -> Platform:
    kasli_board = description.target == "kasli"
    made = kasli_platform(description.hw_rev) if kasli_board else kc705_platform(description.vadj)
    made.add_extension(eem_io(description))
    return made


def of_migen(description: Description) -> Any:
    """Migen's own platform of the board, with all its pins."""
    return kasli.Platform(hw_rev=description.hw_rev) if description.target == "kasli" else kc705.Platform()


# v1.1 has the connectors of v1.0.
MADE = {f"full-{hw_rev}": partial(full_kasli, hw_rev) for hw_rev in ("v1.0", "v2.0")} | {"counting": counting_kasli}
MADE |= {f"full-kc705-{vadj}V": partial(full_kc705, vadj) for vadj in (2.5, 3.3)}


@pytest.fixture(params=[*FILES, *MADE], ids=[*(path.stem for path in FILES), *MADE])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param not in MADE:
        return request.param
    path = tmp_path / "made.json"
    path.write_text(json.dumps(MADE[request.param]()))
    return path


def test_device_database_and_gateware_have_the_same_channels(file: Path, tmp_path: Path) -> None:
    description = load(file)
    phys = eem_phys(platform(description), description)
    db_file = tmp_path / "device_db.py"
    if description.base == "satellite":
        arguments = [str(EXAMPLES / "kasli-master.json"), "-s", "2", str(file)]
    else:
        arguments = [str(file)]
    assert ddb_template([*arguments, "-o", str(db_file)]) == 0
    destination = 2 if description.base == "satellite" else 0
    entries = {
        entry["arguments"]["channel"] & 0xFFFF: (name, entry["class"])
        for name, entry in runpy.run_path(str(db_file))["device_db"].items()
        if entry.get("type") == "local" and entry.get("arguments", {}).get("channel", -1) >> 16 == destination
    }
    assert sorted(entries) == list(range(len(phys)))
    for number, (name, phy) in enumerate(phys):
        database_name, class_name = entries[number]
        assert isinstance(phy, CLASSES[class_name]), name
        if destination == 0:
            assert database_name == name
        assert (getattr(phy, "input", None) is not None) == (class_name in ("TTLInOut", "EdgeCounter"))


def test_every_pad_of_a_channel_has_the_pins_of_its_card_and_a_standard(file: Path) -> None:
    description = load(file)
    board = platform(description)
    eem_phys(board, description)
    found = {}
    for _, pins, others, (name, number, sub) in board.constraint_manager.get_sig_constraints():
        [standard] = others
        found[name, number, sub] = (pins, standard.name)
    expected, manager = {}, of_migen(description).constraint_manager
    for pads in dict.fromkeys(channel.pads for channel in description.channels):
        if pads.signal.startswith("eem"):
            pins = manager.connector_manager.connector_table[pads.signal]
            for pin in "pn":
                pair = f"d{pads.index}" if pads.index else "d0_cc"
                expected[pads.signal, pads.index, pin] = ([pins[f"{pair}_{pin}"]], "LVDS_25")
        elif pads.signal[:4] in ("lpc_", "hpc_"):
            pins = manager.connector_manager.connector_table[pads.signal[:3].upper()]
            name = pads.signal[4:].upper()
            ends = {"p": f"{name}_P", "n": f"{name}_N"} if pads.standard == "LVDS_25" else {None: name}
            expected |= {(pads.signal, 0, end): ([pins[pin]], pads.standard) for end, pin in ends.items()}
        else:
            signal = manager.request(pads.signal, pads.index)
            [(pins, standards)] = [entry[1:3] for entry in manager.get_sig_constraints() if entry[0] is signal]
            at_vadj = pads.signal.startswith("user_sma") and description.vadj == 3.3
            expected[pads.signal, pads.index, None] = (pins, "LVCMOS33" if at_vadj else standards[0].name)
    assert found == expected


@pytest.mark.parametrize("connector", ["lpc", "hpc"])
def test_the_pins_that_a_description_may_name_are_all_that_the_connector_has(connector: str) -> None:
    """Without those of transceivers, and what says that a card is there."""
    there = kc705.Platform().constraint_manager.connector_manager.connector_table[connector.upper()]
    lines = {name for name in there if name.startswith(("LA", "HA", "HB", "CLK"))}
    assert {f"{pair}_{end}" for pair in fmc_pairs(connector) for end in "PN"} == lines


def test_cards_take_their_connectors_channels_in_the_order_of_the_description() -> None:
    description = parse(json.dumps(full_kasli()))
    places = [channel.pads for channel in description.channels[: 12 * 8]]
    assert [pads.index for pads in places] == [*range(8)] * 12
    assert [pads.signal for pads in places[::8]] == [f"eem{5 * n % 12}" for n in range(12)]
    board = platform(description)
    phys = eem_phys(board, description)
    assert [type(phy) for _, phy in phys[:16]] == [
        *[ttl_serdes.InOut] * 8, *[ttl_serdes.Output] * 4, *[ttl_serdes.InOut] * 4
    ]  # fmt: skip
    signals = [signal for signal, *_ in board.constraint_manager.get_sig_constraints()]
    assert len(signals) == 2 * 96 + 2


def test_a_counter_looks_at_the_samples_of_the_input_that_it_is_named_after() -> None:
    description = parse(json.dumps(counting_kasli()))
    phys = dict(eem_phys(platform(description), description))
    counters = [name for name, phy in phys.items() if isinstance(phy, ttl_serdes.EdgeCounter)]
    inputs = {f"{channel.name}_counter" for channel in description.channels
              if channel.kind == "inout" and channel.pads.signal in {f"eem{5 * n % 12}" for n in range(1, 12, 3)}}
    assert len(counters) == len(inputs) == 16 and set(counters) == inputs
    assert not any(phys[name].replace for name in counters), "two settings at one time are a collision"


def test_a_board_with_every_connector_in_use_becomes_verilog_with_a_port_for_every_pin() -> None:
    description = parse(json.dumps(full_kasli()))
    board, top = platform(description), Module()
    top.clock_domains.cd_sys, top.clock_domains.cd_sys4x = ClockDomain("sys"), ClockDomain("sys4x")
    phys = eem_phys(board, description)
    for name, phy in phys:
        setattr(top.submodules, name, phy)
    top.submodules.core = RTIOCore([Channel.of(phy, name) for name, phy in phys])
    text = board.get_verilog(top, name="top").main_source
    counts = {primitive: text.count(f"{primitive} #(") + text.count(f"{primitive} {primitive}")
              for primitive in ("OSERDESE2", "ISERDESE2", "OBUFDS", "IOBUFDS_INTERMDISABLE")}
    assert counts == {"OSERDESE2": 96, "ISERDESE2": 48, "OBUFDS": 48, "IOBUFDS_INTERMDISABLE": 48}
    ports = text[text.index("module top") : text.index(");")]
    assert (ports.count("inout "), ports.count("output ")) == (96, 96 + 2)


def test_numbers_of_channels_do_not_depend_on_the_directions() -> None:
    """Changing a bank's direction must not move the channels behind it."""
    boards = []
    for way in ("input", "output"):
        board = full_kasli()
        for card in board["peripherals"]:
            card["bank_direction_low"] = way
        boards.append([(channel.number, channel.name, channel.pads) for channel in parse(json.dumps(board)).channels])
    assert boards[0] == boards[1]
