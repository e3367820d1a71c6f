"""System descriptions: what is sound is read, what is wrong is named; and the device databases made from them."""

import copy
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from corelog import device_db
from corelog.boards.database import database
from corelog.boards.description import SCHEMA, Channel, Description, DescriptionError, load, parse
from corelog.boards.peripherals import Pads
from corelog.boards.schema import problems
from corelog.coredevice.device_map import channel_names
from corelog.frontend.ddb_template import main

EXAMPLES = Path(__file__).parents[3] / "examples" / "boards"
FILES = sorted(EXAMPLES.glob("*.json"))
DIO = {"type": "dio", "ports": [0], "bank_direction_low": "input", "bank_direction_high": "output"}
SMA = {"type": "user_sma", "direction_p": "input", "direction_n": "output"}
FMC = {"type": "fmc", "connector": "lpc", "direction": "output", "pins": ["LA02_P", "LA00_CC_N"]}
QC2 = {"type": "nist_qc2", "connector": "lpc"}
KASLI = {"target": "kasli", "variant": "lab", "hw_rev": "v2.0", "base": "standalone", "peripherals": [DIO]}


def board(**changes: Any) -> Description:
    return parse(json.dumps({k: v for k, v in (KASLI | changes).items() if v is not None}))


def kc705(*peripherals: dict[str, Any]) -> Description:
    return board(target="kc705", hw_rev=None, base="master", peripherals=peripherals)


def loaded(text: str, folder: Path) -> device_db.DeviceDB:
    (folder / "device_db.py").write_text(text)
    return device_db.load(folder / "device_db.py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_example_is_sound(file: Path) -> None:
    assert load(file).channels
    assert {"kasli", "kc705"} == {file.stem.split("-")[0] for file in FILES}


def test_channels_are_numbered_card_by_card_then_the_leds() -> None:
    channels = board(peripherals=[DIO | {"ports": [3]}, DIO | {"bank_direction_low": "output"}]).channels
    assert channels == (
        *(Channel(i, f"ttl{i}", "inout" if i < 4 else "output", Pads("eem3", i)) for i in range(8)),
        *(Channel(8 + i, f"ttl{8 + i}", "output", Pads("eem0", i)) for i in range(8)),
        Channel(16, "led0", "led", Pads("user_led", 0)), Channel(17, "led1", "led", Pads("user_led", 1)))
    assert len(board(base="satellite").channels) == 8
    assert len(board(hw_rev="v1.0").channels) == 9


def test_counters_of_a_card_come_after_its_channels_one_for_each_input_with_its_name() -> None:
    cards = [DIO | {"ports": [2], "edge_counter": True}, DIO | {"ports": [1]}, DIO | {
        "ports": [7], "bank_direction_low": "output", "bank_direction_high": "input", "edge_counter": True}]
    channels = board(base="satellite", peripherals=cards).channels
    assert [channel.number for channel in channels] == list(range(32))
    counters = {channel.number: channel for channel in channels if channel.kind == "counter"}
    assert counters == {
        **{8 + i: Channel(8 + i, f"ttl{i}_counter", "counter", Pads("eem2", i)) for i in range(4)},
        **{28 + i: Channel(28 + i, f"ttl{20 + i}_counter", "counter", Pads("eem7", 4 + i)) for i in range(4)},
    }  # fmt: skip
    assert [channel.name for channel in channels if channel.kind != "counter"] == [f"ttl{n}" for n in range(24)]


@pytest.mark.parametrize("artiq", [False, True])
def test_database_has_counters_under_the_names_of_their_inputs_on_every_board(tmp_path: Path, artiq: bool) -> None:
    card = DIO | {"edge_counter": True}
    text = database(board(base="master", peripherals=[card]), {5: board(base="satellite", peripherals=[card])}, artiq)
    db = loaded(text, tmp_path)
    counters = {name: entry for name, entry in db.items() if name.endswith("_counter")}
    assert {name: entry["arguments"] for name, entry in counters.items()} == {
        **{f"ttl{i}_counter": {"channel": 8 + i} for i in range(4)},
        **{f"ttl{8 + i}_counter": {"channel": 0x50008 + i} for i in range(4)},
    }  # fmt: skip
    package = "artiq" if artiq else "corelog"
    assert {(entry["module"], entry["class"]) for entry in counters.values()} == {
        (f"{package}.coredevice.edge_counter", "EdgeCounter")}
    assert device_db.problems(db) == []


def test_channels_of_a_kc705() -> None:
    assert kc705(SMA).channels == (
        Channel(0, "ttl0", "inout", Pads("user_sma_gpio_p", 0)),
        Channel(1, "ttl1", "output", Pads("user_sma_gpio_n", 0)))
    assert kc705(SMA | {"edge_counter": True}, FMC).channels[2:] == (
        Channel(2, "ttl0_counter", "counter", Pads("user_sma_gpio_p", 0)),
        Channel(3, "ttl2", "output", Pads("lpc_la02_p", 0, "LVCMOS25")),
        Channel(4, "ttl3", "output", Pads("lpc_la00_cc_n", 0, "LVCMOS25")))


def test_pins_and_pairs_of_fmc_connectors_are_channels_in_the_order_of_their_list() -> None:
    inputs = {"connector": "hpc", "direction": "input", "edge_counter": True}
    pins = FMC | inputs | {"pins": ["HA01_CC_N", "LA33_P"]}
    pairs = FMC | {"io_standard": "LVDS_25", "pins": ["LA01_CC", "LA02", "CLK1_M2C"]}
    found = kc705(pins, pairs)
    assert [(channel.name, channel.kind, channel.pads) for channel in found.channels] == [
        ("ttl0", "inout", Pads("hpc_ha01_cc_n", 0, "LVCMOS25")), ("ttl1", "inout", Pads("hpc_la33_p", 0, "LVCMOS25")),
        ("ttl0_counter", "counter", Pads("hpc_ha01_cc_n", 0, "LVCMOS25")),
        ("ttl1_counter", "counter", Pads("hpc_la33_p", 0, "LVCMOS25")),
        *((f"ttl{2 + n}", "output", Pads(f"lpc_{pair}", 0, "LVDS_25"))
          for n, pair in enumerate(("la01_cc", "la02", "clk1_m2c")))]  # fmt: skip
    assert found.vadj == 2.5


def test_boards_of_nist_have_their_lines_in_the_order_of_artiq_and_need_3_3_v() -> None:
    clock = kc705({"type": "nist_clock"})
    assert [channel.kind for channel in clock.channels] == ["output", "output", "output", "inout"] * 4 + ["inout"] * 2
    assert [clock.channels[n].pads.signal for n in (0, 3, 15, 16, 17)] == [
        "lpc_la00_cc_n", "lpc_la02_n", "lpc_la10_n", "lpc_clk0_m2c_p", "lpc_clk0_m2c_n"]  # fmt: skip
    both = kc705(QC2, QC2 | {"connector": "hpc"})
    assert {channel.kind for channel in both.channels} == {"inout"}
    assert [channel.pads.signal for channel in both.channels[::19]] == [
        "lpc_la00_cc_p", "lpc_la17_cc_n", "hpc_la17_cc_p"]  # fmt: skip
    assert len({channel.pads for channel in both.channels}) == 40
    for found in (clock, both):
        assert found.vadj == 3.3
        assert {channel.pads.standard for channel in found.channels} == {"LVTTL"}
    assert (kc705(SMA).vadj, kc705(FMC | {"io_standard": "LVCMOS33"}).vadj) == (2.5, 3.3)


@pytest.mark.parametrize(("peripherals", "text"), [
    ([FMC | {"connector": "LPC"}], 'peripherals[0].connector is "LPC", it must be "lpc" or "hpc"'),
    ([FMC | {"pins": []}], "peripherals[0].pins has 0 elements, it must be 1 at least"),
    ([FMC | {"pins": ["LA02_P", "LA03_P", "LA02_P"]}], 'peripherals[0].pins has "LA02_P" twice'),
    ([FMC | {"pins": ["LA02_P", "LA00_P"]}],
     "peripherals[0].pins[1] is 'LA00_P', which is no pin of connector lpc; is LA00_CC_P meant?"),
    ([FMC | {"pins": ["la02_p"]}], "which is no pin of connector lpc; is LA02_P meant?"),
    ([FMC | {"pins": ["LA34_P"]}], "is 'LA34_P', which is no pin of connector lpc: there are LA00_CC_P to CLK1_M2C_N"),
    ([FMC | {"pins": ["HA02_P"]}], "is 'HA02_P', which is no pin of connector lpc"),
    ([FMC | {"pins": [""]}], "is '', which is no pin"),
    ([FMC | {"io_standard": "LVDS_25"}],
     "pins[0] is 'LA02_P', which is no pair, as LVDS_25 needs, of connector lpc; is LA02 meant?"),
    ([FMC | {"pins": ["LA02"]}], "pins[0] is 'LA02', which is no pin of connector lpc; is LA02_P meant?"),
    ([FMC | {"io_standard": "LVCMOS18"}], 'io_standard is "LVCMOS18", it must be "LVCMOS25" or'),
    ([FMC, FMC | {"pins": ["LA03_P", "LA02_P"]}], "peripherals[1] is at lpc LA02_P, as peripherals[0] is"),
    ([FMC, FMC | {"pins": ["LA02"], "io_standard": "LVDS_25"}], "peripherals[1] is at lpc LA02_P, as peripherals[0]"),
    ([QC2, SMA, {"type": "nist_clock"}], "peripherals[2] is at lpc LA00_CC_N, as peripherals[0] is"),
    ([QC2, QC2], "peripherals[1] is at lpc LA00_CC_P, as peripherals[0] is"), ([SMA, SMA], "is at user_sma"),
    ([QC2, SMA, FMC | {"connector": "hpc"}],
     "peripherals[0] needs VADJ at 3.3 V and peripherals[2] needs VADJ at 2.5 V, but the FMC connectors have one")])
def test_what_cannot_be_at_fmc_connectors_is_named(peripherals: list[dict[str, Any]], text: str) -> None:
    with pytest.raises(DescriptionError) as error:
        kc705(*peripherals)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_a_kasli_has_no_fmc_connector() -> None:
    for card in (FMC, QC2, {"type": "nist_clock"}):
        with pytest.raises(DescriptionError, match="a kasli has no connector for"):
            board(peripherals=[card])


def test_newer_name_of_the_role_is_understood() -> None:
    assert board(base=None, drtio_role="master").base == "master"
    with pytest.raises(DescriptionError, match="contradict"):
        board(drtio_role="master")
    with pytest.raises(DescriptionError, match="lacks base"):
        board(base=None)


@pytest.mark.parametrize(("changes", "text"), [
    ({"target": "zc706"}, 'target is "zc706", it must be "kasli" or "kc705"'),
    ({"target": None, "variant": None}, "the file lacks target, variant"),
    ({"hw_rev": "v3.0"}, "hw_rev of a kasli must be v1.0 or v1.1 or v2.0"),
    ({"hw_rev": None}, "hw_rev of a kasli must be v1.0 or v1.1 or v2.0"),
    ({"target": "kc705"}, "a kc705 has no hw_rev"),
    ({"target": "kc705", "hw_rev": None}, "peripherals[0]: a kc705 has no connector for dio"),
    ({"peripherals": [SMA]}, "peripherals[0]: a kasli has no connector for user_sma"),
    ({"base": "slave"}, 'base is "slave"'), ({"periferals": []}, "periferals is not known; is peripherals meant?"),
    ({"variant": "a b"}, 'variant is "a b", which does not match'),
    ({"variant": 5}, "variant is 5, it must be of type"),
    ({"variant": "a\n"}, "does not match"), ({"core_addr": '"+x+"'}, "core_addr is"),
    ({"rtio_frequency": 150e6}, "rtio_frequency is 150000000.0"), ({"sed_lanes": True}, "sed_lanes is true"),
    ({"enable_sata_drtio": True}, "enable_sata_drtio is true, it must be false"), ({"eui48": ["x"]}, "eui48[0] is"),
    ({"peripherals": {}}, "peripherals is {}, it must be of type array"),
    ({"peripherals": [5]}, "peripherals[0] is 5, it must be an object with type"),
    ({"peripherals": [{"type": "urukul", "ports": [1]}]},
     'peripherals[0].type is "urukul", which has no gateware here'),
    ({"peripherals": [DIO, {"type": "dio"}]}, "peripherals[1] lacks ports, bank_direction_low, bank_direction_high"),
    ({"peripherals": [DIO | {"bank_direction_low": "clkgen"}]},
     'peripherals[0].bank_direction_low is "clkgen", it must be "input" or "output"'),
    ({"peripherals": [DIO | {"edge_counter": 1}]}, "peripherals[0].edge_counter is 1, it must be of type boolean"),
    ({"peripherals": [DIO | {"edge_conter": True}]}, "edge_conter is not known; is edge_counter meant?"),
    ({"peripherals": [DIO | {"ports": [12]}]}, "peripherals[0].ports[0] is 12, it must be 11 at most"),
    ({"peripherals": [DIO | {"ports": [-1]}]}, "is -1, it must be 0 at least"),
    ({"peripherals": [DIO | {"ports": [0, 1]}]}, "peripherals[0].ports has 2 elements, it must be 1 at most"),
    ({"peripherals": [DIO | {"ports": [True]}]}, "peripherals[0].ports[0] is true, it must be of type integer"),
    ({"peripherals": [DIO, DIO]}, "peripherals[1] is at eem0, as peripherals[0] is")])
def test_what_is_wrong_is_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(DescriptionError) as error:
        board(**changes)
    assert text in str(error.value)


@pytest.mark.parametrize("card", [
    "dio_spi", "urukul", "novogorny", "sampler", "suservo", "zotino", "grabber", "mirny", "fastino", "phaser", "hvamp",
    "shuttler", "songbird", "cxp_grabber", "efc"])  # fmt: skip
def test_cards_of_artiq_without_gateware_here_are_refused_in_one_line_and_never_skipped(card: str) -> None:
    with pytest.raises(DescriptionError) as error:
        board(peripherals=[DIO, {"type": card, "ports": [1]}, DIO | {"ports": [2]}])
    assert str(error.value) == (
        f'peripherals[1].type is "{card}", which has no gateware here: '
        'there is "dio" or "user_sma" or "fmc" or "nist_clock" or "nist_qc2"')


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(DescriptionError) as error:
        board(base="x", variant="", peripherals=[{"type": "dio", "ports": []}])
    assert len(str(error.value).split("; ")) == 4


@pytest.mark.parametrize(("text", "message"), [
    ("", "line 1: "), ("{\n\n,}", "line 3: "), ("[]", r"the file is \[\], it must be of type object"),
    ('{"target": "kasli", "target": "kc705"}', "target is given twice"), ("[" * 100_000, "cannot be read"),
    ("9" * 10_000, "cannot be read")])
def test_bad_json_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        parse(text)


def test_no_change_of_a_description_makes_anything_but_a_description_or_an_error() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    source = random.Random(seed)
    values = [None, True, 0, -1, 1.5, "", "x", [], [0], {}, {"type": "dio"}, "v2.0", 10**30, float("nan")]
    for _ in range(2000):
        value: Any = copy.deepcopy(json.loads(source.choice(FILES).read_text()))
        where = value if source.random() < 0.5 else source.choice(value["peripherals"])
        name = source.choice([*where, "new"])
        if source.random() < 0.2:
            where.pop(name, None)
        else:
            where[name] = source.choice(values)
        try:
            assert isinstance(parse(json.dumps(value)), Description)
        except DescriptionError as exc:
            assert "\n" not in str(exc)


def test_schema_says_nothing_that_is_not_checked() -> None:
    """Each keyword of the schema is one of the checker's."""
    with pytest.raises(KeyError, match="maxLength"):
        problems({"maxLength": 3}, "abcd")
    assert problems(SCHEMA, KASLI) == []


@pytest.mark.parametrize("artiq", [False, True])
def test_database_of_a_tree_has_every_channel_of_every_board(tmp_path: Path, artiq: bool) -> None:
    master, satellite = load(EXAMPLES / "kasli-master.json"), load(EXAMPLES / "kasli-satellite.json")
    db = loaded(database(master, {3: satellite, 1: satellite}, artiq), tmp_path)
    assert device_db.problems(db) == []
    assert device_db.core_address(db) == "192.168.1.75"
    names = channel_names(db)
    assert list(names) == [*range(8), *range(0x10000, 0x10010), *range(0x30000, 0x30010)]
    assert list(names.values()) == [f"ttl{n}" for n in range(40)]
    classes = [db[name]["class"] for name in names.values()]
    both = ["TTLOut"] * 8 + ["TTLInOut"] * 8
    assert classes == ["TTLInOut"] * 4 + ["TTLOut"] * 4 + both + both
    package = "artiq" if artiq else "corelog"
    assert {entry["module"].split(".")[0] for entry in db.values() if entry.get("type") == "local"} == {package}
    assert db["core"]["arguments"]["satellite_cpu_targets"] == db["satellite_cpu_targets"] == {1: "rv32ima",
                                                                                              3: "rv32ima"}
    assert (db["core"]["arguments"]["ref_period"], db["core"]["arguments"]["target"]) == (1e-9, "rv32g")
    ports = [(db[name]["port_proxy"], db[name]["port"], "command" in db[name])
             for name in ("core_moninj", db["core"]["arguments"]["analyzer_proxy"])]  # fmt: skip
    assert ports == [(1383, 1384, artiq), (1385, 1386, artiq)]


def test_database_names_classes_and_modules_that_exist(tmp_path: Path) -> None:
    import importlib

    db = loaded(database(board(), {}), tmp_path)
    assert list(channel_names(db).values()) == [*(f"ttl{n}" for n in range(8)), "led0", "led1"]
    for entry in db.values():
        if entry.get("type") == "local":
            assert hasattr(importlib.import_module(entry["module"]), entry["class"])


@pytest.mark.parametrize(("primary", "satellites", "text"), [
    ({"base": "satellite"}, {}, "lab is a satellite"), ({}, {1: {"base": "satellite"}}, "standalone, it cannot have"),
    ({"base": "master"}, {1: {"base": "master"}}, "destination 1, is not a satellite but master"),
    ({"base": "master"}, {0: {"base": "satellite"}}, "destination 0 of lab"),
    ({"base": "master"}, {256: {"base": "satellite"}}, "not from 1 to 255"),
    ({"base": "master"}, {1: {"base": "satellite", "rtio_frequency": 100e6}}, "must be the same on all boards")])
def test_boards_that_do_not_belong_together_are_refused(
        primary: dict[str, Any], satellites: dict[int, dict[str, Any]], text: str) -> None:
    with pytest.raises(DescriptionError, match=text):
        database(board(**primary), {destination: board(**changes) for destination, changes in satellites.items()})


def test_program_writes_the_database_or_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    master, satellite = str(EXAMPLES / "kasli-master.json"), str(EXAMPLES / "kasli-satellite.json")
    output = tmp_path / "device_db.py"
    assert main([master, "-s", "0x2", satellite, "-o", str(output)]) == 0
    assert 0x2000F in channel_names(device_db.load(output))
    assert main([master]) == 0
    assert capsys.readouterr().out == database(load(master), {})
    for args, status, text in (([satellite], 1, "is a satellite"),
                               ([master, "-s", "one", satellite], 2, "'one' is not"),
                               ([master, "-s", "1", satellite, "-s", "1", satellite], 2, "given twice"),
                               (["absent.json"], 1, "absent.json: No such file")):  # fmt: skip
        assert main([*args, "-o", str(tmp_path / "no")]) == status
        err = capsys.readouterr().err
        assert (err.count("\n"), text in err) == (1, True)
    assert not (tmp_path / "no").exists()


def test_gateware_can_import_descriptions_and_addresses_without_anything_heavy() -> None:
    code = ("import sys; import corelog.boards.description, corelog.flash.layout; "
            "print([m for m in sys.modules if m.split('.')[0] in ('numpy', 'h5py', 'sipyco', 'lmdb', 'asyncio')])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"
