"""`corelog run` and `corelog rtiomap` as processes, and what an experiment's environment does."""

import asyncio
import itertools
import shutil
import subprocess
from pathlib import Path

import h5py
import lmdb
import pytest

from corelog.coredevice import device_map
from corelog.lab.program import executable
from sipyco import pyon, pyon_v1
from support.session_model import ModelDevice
from support.session_server import Behaviour, session_server

EXAMPLES = Path(__file__).parents[3] / "examples"

EXPERIMENT = '''
from corelog.experiment import *

class Full(EnvExperiment):
    """All of an environment"""
    def build(self):
        self.setattr_device("scheduler")
        self.setattr_argument("n", NumberValue(3, precision=0, step=1, min=1, max=10))
        self.setattr_argument("t", NumberValue(2e-3, unit="ms"))
        self.setattr_argument("name", StringValue("abc"))
        self.setattr_argument("flag", BooleanValue(False))
        self.setattr_argument("kind", EnumerationValue(["a", "b"], "a"))
        self.setattr_argument("any", PYONValue({"x": 1}))
        self.part = Part(self)

    def prepare(self):
        super().prepare()
        self.set_dataset("list", [], broadcast=True)

    def run(self):
        for i in range(self.n):
            self.append_to_dataset("list", i)
        self.mutate_dataset("list", 0, "first")
        self.set_dataset("values", [self.t, self.name, self.flag, self.kind, self.any])
        self.set_dataset("missing", self.get_dataset("nothing", "default"))

    def analyze(self):
        self.set_dataset("rid", self.scheduler.rid)
        self.set_dataset("part", self.part.prepared)

class Part(HasEnvironment):
    prepared = False
    def prepare(self):
        self.prepared = True

class _Hidden(EnvExperiment):
    pass
'''


def corelog(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([executable("corelog"), *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "device_db.py").write_text("device_db = {}\n")
    (tmp_path / "full.py").write_text(EXPERIMENT)
    return tmp_path


def test_stages_run_in_order_and_datasets_are_printed_sorted(folder: Path) -> None:
    result = corelog("run", "full.py", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "list: ['first', 1, 2]", "missing: default", "part: True", "rid: 0",
        "values: [0.002, 'abc', False, 'a', {'x': 1}]"]


def test_arguments_of_every_kind_come_from_the_command_line(folder: Path) -> None:
    result = corelog("run", "-c", "Full", "full.py", "n=1", "t=0.5", 'name="x y"', "flag=true", 'kind="b"', "any=[1,2]",
                     cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "values: [0.5, 'x y', True, 'b', [1, 2]]" in result.stdout


@pytest.mark.parametrize(("arguments", "text"), [
    (["full.py", "n"], "'n' is not of the form KEY=PYON"),
    (["full.py", "name=abc"], "a string needs quotes"),
    (["full.py", "n=11"], "argument 'n': 11 is above the maximum 10"),
    (["full.py", "n=1.5"], "argument 'n': 1.5 is not a whole number"),
    (["full.py", 'kind="c"'], "argument 'kind': 'c' is none of 'a', 'b'"),
    (["full.py", "other=1"], "no argument 'other' (it has: any, flag, kind, n, name, t)"),
    (["absent.py"], "experiment file absent.py does not exist"),
    (["--device-db", "absent.py", "full.py"], "absent.py does not exist"),
    (["-c", "Nobody", "full.py"], "no experiment Nobody"),
    (["two.py"], "say which: A, B"),
    (["none.py"], "no experiment"),
    (["kernel.elf"], "compiled"),
    (["broken.py"], "SyntaxError"),
    (["device.py"], "no device 'core' in the device database"),
    (["nodefault.py"], "argument 'x' has no default: give x=VALUE"),
])
def test_mistake_gives_one_line_and_status_1(folder: Path, arguments: list[str], text: str) -> None:
    head = "from corelog.experiment import *\n"
    (folder / "two.py").write_text(head + "class A(EnvExperiment): pass\nclass B(EnvExperiment): pass\n")
    (folder / "none.py").write_text(head)
    (folder / "kernel.elf").write_bytes(b"\x7fELF")
    (folder / "broken.py").write_text("class (\n")
    (folder / "device.py").write_text(
        head + "class A(EnvExperiment):\n  def build(self): self.setattr_device('core')\n")
    (folder / "nodefault.py").write_text(
        head + "class A(EnvExperiment):\n  def build(self): self.setattr_argument('x', NumberValue())\n")
    result = corelog("run", *arguments, cwd=folder)
    assert result.returncode == 1
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" in corelog("run", "-v", *arguments, cwd=folder).stderr


def test_a_file_that_imports_an_experiment_offers_it_unless_it_has_its_own(folder: Path) -> None:
    head = "from corelog.experiment import *\n"
    own = "class {}(EnvExperiment):\n  def run(self): print(type(self).__name__)\n"
    (folder / "library.py").write_text(head + own.format("Inner"))
    (folder / "only.py").write_text("from library import Inner\n")
    (folder / "both.py").write_text("from library import *\n" + own.format("Outer"))
    for arguments, name in ((["only.py"], "Inner"), (["both.py"], "Outer"), (["-c", "Inner", "both.py"], "Inner")):
        assert corelog("run", *arguments, cwd=folder).stdout.split() == [name]


async def run_example(name: str, device: ModelDevice, folder: Path, *arguments: str) -> str:
    """The example's output, played on the model device."""
    async with session_server(device, Behaviour()) as port:
        database = (EXAMPLES / "device_db.py").read_text().replace('"ref_period"', f'"port": {port}, "ref_period"')
        (folder / "device_db.py").write_text(database)
        process = await asyncio.create_subprocess_exec(
            executable("corelog"), "run", str(EXAMPLES / name), *arguments, cwd=folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0, err.decode()
        return out.decode()


async def test_collision_example_puts_two_events_into_one_coarse_cycle(tmp_path: Path) -> None:
    device = ModelDevice()
    out = await run_example("collision.py", device, tmp_path)
    (first, *what), (second, *_) = device.events
    assert what == [4, 0, 1] and second == first + 1 and first // 8 == second // 8
    assert first > 16_000_000  # a second ahead
    assert f"collision_mu: {second}" in out


async def test_busy_example_comes_within_the_busy_time(tmp_path: Path) -> None:
    device = ModelDevice()
    await run_example("busy.py", device, tmp_path)
    assert [(channel, address) for _, channel, address, _ in device.events] == [(9, 0), (9, 0)]
    assert device.events[1][0] - device.events[0][0] == 32 * 8


async def test_sequence_example_goes_back_more_often_than_there_are_lanes(tmp_path: Path) -> None:
    device = ModelDevice()
    await run_example("sequence_error.py", device, tmp_path, "n=12")
    times = [time for time, *_ in device.events]
    assert len(times) == 12 and all(b // 8 < a // 8 for a, b in itertools.pairwise(times))


async def test_pulses_example_runs_branches_side_by_side(tmp_path: Path) -> None:
    device = ModelDevice()
    await run_example("pulses.py", device, tmp_path, "n=2")
    start = device.events[0][0]
    ms = 16_000
    relative = [(round((time - start) / ms, 3), channel, data) for time, channel, _, data in device.events[:8]]
    assert relative == [(0, 0, 1), (1.5, 0, 0), (0, 1, 1), (0.5, 1, 0), (0.5, 2, 1), (1, 2, 0), (1, 3, 1), (1.5, 3, 0)]
    assert device.events[8][0] == start + 3 * ms and len(device.events) == 16


async def test_loopback_example_prints_what_the_device_counts(tmp_path: Path) -> None:
    device = ModelDevice(inputs=[(8, 10, 1)] * 3)
    assert "count: 3" in await run_example("loopback.py", device, tmp_path)
    assert sum(channel == 7 and data == 1 for _, channel, _, data in device.events) == 5


def test_board_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "device_db.py", tmp_path)
    text = (tmp_path / "device_db.py").read_text().replace('"ref_period"', '"port": 1, "ref_period"')
    (tmp_path / "device_db.py").write_text(text)
    result = corelog("run", str(EXAMPLES / "busy.py"), cwd=tmp_path)
    assert result.returncode == 1
    assert "core device at 127.0.0.1 not reachable: Connection refused" in result.stderr
    assert "(corelog board)" in result.stderr


def test_rtiomap_writes_the_names_of_the_example_database(tmp_path: Path) -> None:
    result = corelog("rtiomap", "--device-db", str(EXAMPLES / "device_db.py"), "--show", "map", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.splitlines()) == {
        *(f"{i} -> ttl{i}" for i in range(9)), "9 -> slow0", "10 -> ttl8_counter"}
    data = (tmp_path / "map").read_bytes()
    assert data[:4] == b"\x0b\0\0\0" and b"\x04\0\0\0\x04\0\0\0ttl4" in data


def test_device_map_has_the_documented_bytes() -> None:
    entry = {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLOut"}
    database = {"ttl0": entry | {"arguments": {"channel": 5}}, "alias": "ttl0",
                "ttl1": entry | {"arguments": {"channel": 0x20001}}, "twin": entry | {"arguments": {"channel": 5}},
                "other": {"type": "local", "module": "lab.laser", "class": "X", "arguments": {"channel": 1}},
                "dds": {"type": "local", "module": "artiq.coredevice.ad9914", "class": "AD9914",
                        "arguments": {"bus_channel": 7, "channel": 1}}}
    assert device_map.channel_names(database) == {5: "ttl0", 0x20001: "ttl1", 7: "dds"}
    del database["dds"]
    assert device_map.from_device_db(database) == bytes.fromhex(
        "02000000 05000000 04000000") + b"ttl0" + bytes.fromhex("01000200 04000000") + b"ttl1"




def test_results_file_has_the_documented_groups_and_types(folder: Path) -> None:
    (folder / "write.py").write_text('''
from corelog.experiment import *
import numpy as np
class Write(EnvExperiment):
    def run(self):
        self.set_dataset("a.int", 5, unit="ms", scale=1e-3, precision=2)
        self.set_dataset("folder/flag", True)
        self.set_dataset("text", "äb")
        self.set_dataset("list", [1.5, 2.5])
        self.set_dataset("words", ["x", "yz"])
        self.set_dataset("array", np.arange(6, dtype=np.int32).reshape(2, 3))
        self.set_dataset("not kept", 1, archive=False)
        self.get_dataset("stored.list")
        self.get_dataset("stored.other", archive=False)
''')
    stored = {"stored.list": ([1, 2], {"unit": "V"}), "stored.other": (1, {})}
    with lmdb.open(str(folder / "datasets.mdb"), subdir=False, map_size=1 << 20) as environment:
        with environment.begin(write=True) as transaction:
            for key, value in stored.items():
                transaction.put(key.encode(), pyon.encode(value).encode())
            transaction.put(b"old", pyon_v1.encode((1.5, {})).encode())
    result = corelog("run", "--dataset-db", "datasets.mdb", "-o", "out.h5", "write.py", cwd=folder)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    with h5py.File(folder / "out.h5") as file:
        assert set(file) == {"datasets", "archive"}
        datasets = file["datasets"]
        assert datasets["a.int"][()] == 5 and datasets["a.int"].dtype == "int64"
        assert dict(datasets["a.int"].attrs) == {"unit": "ms", "scale": 1e-3, "precision": 2}
        assert datasets["folder"]["flag"][()] and datasets["folder"]["flag"].dtype == "bool"
        assert datasets["text"].asstr()[()] == "äb"
        assert list(datasets["list"]) == [1.5, 2.5] and list(datasets["words"].asstr()) == ["x", "yz"]
        assert datasets["array"].shape == (2, 3) and datasets["array"].dtype == "int32"
        assert "not kept" not in datasets
        assert {key: list(value) for key, value in file["archive"].items()} == {"stored.list": [1, 2]}


def test_dataset_that_hdf5_cannot_hold_is_named(folder: Path) -> None:
    (folder / "bad.py").write_text("from corelog.experiment import *\nclass Bad(EnvExperiment):\n"
                                   "    def run(self):\n        self.set_dataset('a set', {1, 2})\n")
    result = corelog("run", "-o", "out.h5", "bad.py", cwd=folder)
    assert result.returncode == 1 and "dataset 'a set' is a set that HDF5 cannot hold" in result.stderr


def test_dataset_database_that_is_none_is_one_line(folder: Path) -> None:
    (folder / "dataset_db.mdb").write_bytes(b"not a database at all" * 1000)
    result = corelog("run", "full.py", cwd=folder)
    assert result.returncode == 1 and "dataset database dataset_db.mdb cannot be read" in result.stderr


INTERACTIVE = '''
from corelog.experiment import *
class Ask(EnvExperiment):
    def run(self):
        with self.interactive(title="Alignment") as asked:
            asked.setattr_argument("n", NumberValue(type="int", max=9), "Group", "how many")
            asked.setattr_argument("text", StringValue("default"))
            asked.setattr_argument("any", PYONValue())
        self.set_dataset("got", [asked.n, asked.text, asked.any])
'''


def test_interactive_arguments_are_asked_for_on_the_terminal_until_they_fit(folder: Path) -> None:
    (folder / "ask.py").write_text(INTERACTIVE)
    answers = "\n".join(["", "ten", "10", "7", "", '"x"', ""])
    result = subprocess.run([executable("corelog"), "run", "ask.py"], cwd=folder, input=answers, capture_output=True,
                            text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "Alignment\nn (NumberValue, Group, how many): " in result.stdout
    assert "n has no default" in result.stdout and "n: 10 is above the maximum 9" in result.stdout
    assert "got: [7, 'default', 'x']" in result.stdout


def test_end_of_the_terminal_cancels_interactive_arguments(folder: Path) -> None:
    (folder / "ask.py").write_text(INTERACTIVE)
    result = subprocess.run([executable("corelog"), "run", "ask.py"], cwd=folder, input="7\n", capture_output=True,
                            text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr == ("corelog run: error: the input ended before all interactive arguments were given\n")
