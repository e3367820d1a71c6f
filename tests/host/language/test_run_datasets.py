"""The datasets of a run: what goes to the database, what into the results file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from corelog.language.datasets import DatasetManager, LocalDatasetDB
from corelog.language.managers import ExamineDatasetManager
from corelog.language.results import folder, write_results
from sipyco import pyon


class Recorder(LocalDatasetDB):
    """A database that notes what it is told, as it would be sent."""

    def __init__(self, stored: Any = None):
        super().__init__(stored)
        self.mods: list[dict[str, Any]] = []

    def update(self, mod: dict[str, Any]) -> None:
        self.mods.append(pyon.decode(pyon.encode(mod)))
        super().update(mod)


def test_only_broadcast_datasets_go_to_the_database_with_every_change() -> None:
    db = Recorder()
    datasets = DatasetManager(db)
    datasets.set("local", [1])
    datasets.append_to("local", 2)
    datasets.set("shown", [1], {"unit": "V"}, broadcast=True)
    datasets.append_to("shown", 2)
    datasets.mutate("shown", 0, 9)
    datasets.set("kept", 1, persist=True, archive=False)
    datasets.set("shown", 5)
    assert db.mods == [
        {"action": "setitem", "path": [], "key": "shown", "value": (False, [1], {"unit": "V"})},
        {"action": "append", "path": ["shown", 1], "x": 2},
        {"action": "setitem", "path": ["shown", 1], "key": 0, "value": 9},
        {"action": "setitem", "path": [], "key": "kept", "value": (True, 1, {})},
        {"action": "delitem", "path": [], "key": "shown"}]
    assert {key: entry.value for key, entry in datasets.local.items()} == {"local": [1, 2], "shown": 5}
    assert datasets.get("kept") == 1 and datasets.get_metadata("kept") == {}


@pytest.mark.parametrize("broadcast", [False, True])
def test_appended_element_is_there_once_in_run_and_database(broadcast: bool) -> None:
    db = LocalDatasetDB()
    datasets = DatasetManager(db)
    datasets.set("list", [], broadcast=broadcast)
    for number in range(3):
        datasets.append_to("list", number)
    assert datasets.get("list") == [0, 1, 2]
    if broadcast:
        assert db.get("list") == [0, 1, 2]


@pytest.mark.parametrize("broadcast", [False, True])
def test_index_of_a_change_may_be_a_number_a_slice_or_one_for_each_dimension(broadcast: bool) -> None:
    db = LocalDatasetDB()
    datasets = DatasetManager(db)
    model = np.arange(12).reshape(3, 4)
    datasets.set("array", model.copy(), broadcast=broadcast)
    datasets.set("list", [0, 1, 2, 3], broadcast=broadcast)
    for index, meaning, value in [(1, 1, 7), ((0, 2), slice(0, 2), 8), ((0, 3, 2), slice(0, 3, 2), 9),
                                  (((0, 2), (1, 3)), (slice(0, 2), slice(1, 3)), [[1, 2], [3, 4]]),
                                  ((2, (0, 2)), (2, slice(0, 2)), [5, 6])]:
        datasets.mutate("array", index, value)
        model[meaning] = value
    datasets.mutate("list", 1, "x")
    datasets.mutate("list", (2, 4), [5, 6])
    for source in [datasets, db] if broadcast else [datasets]:
        np.testing.assert_array_equal(source.get("array"), model)
        assert source.get("list") == [0, "x", 5, 6]


def test_what_the_run_has_not_set_cannot_be_changed() -> None:
    datasets = DatasetManager(LocalDatasetDB({"others": ([1], {})}))
    with pytest.raises(KeyError, match="'others': this experiment has not set it"):
        datasets.append_to("others", 2)
    datasets.set("array", np.zeros(3), broadcast=True)
    with pytest.raises(TypeError, match="only lists"):
        datasets.append_to("array", 2)
    with pytest.raises(TypeError, match="is a string"):
        datasets.set(5, 1)  # type: ignore[arg-type]


def test_refusal_of_the_database_leaves_everything_as_it_was() -> None:
    class Refusing(LocalDatasetDB):
        refuse = False

        def update(self, mod: dict[str, Any]) -> None:
            if self.refuse:
                raise ValueError("no")
            super().update(mod)

    db = Refusing()
    datasets = DatasetManager(db)
    datasets.set("a", [1], broadcast=True)
    db.refuse = True
    for key in "ab":
        with pytest.raises(ValueError, match="no"):
            datasets.set(key, [2], broadcast=True)
    db.refuse = False
    datasets.append_to("a", 3)
    assert datasets.get("a") == db.get("a") == [1, 3]
    with pytest.raises(KeyError):
        datasets.append_to("b", 3)


def test_examined_experiment_reads_datasets_and_changes_none() -> None:
    datasets = ExamineDatasetManager(LocalDatasetDB({"a": (5, {"unit": "V"})}))
    assert datasets.get("a") == 5 and datasets.get_metadata("a") == {"unit": "V"}
    for change in (datasets.set, datasets.mutate, datasets.append_to):
        with pytest.raises(TypeError, match="read-only"):
            change("a", 1)


# The file of results

FACTS: dict[str, Any] = {"rid": 7, "class_name": "Scan", "start_time": 1.5, "run_time": 2.5,
                         "expid": {"file": "scan.py", "arguments": {"x": (1, 2)}, "repo_rev": "0123abcd"}}


def test_file_of_a_run_has_the_documented_names_and_types(tmp_path: Path) -> None:
    datasets = DatasetManager(LocalDatasetDB({"read": ([1, 2], {"unit": "V"}), "unread": (1, {})}))
    datasets.set("a.b/c", 2.5, {"unit": "ms", "scale": 1, "precision": 3})
    datasets.set("flag", True)
    datasets.set("word", np.str_("ä"))
    datasets.set("gone", 1, archive=False)
    datasets.get("read", archive=True)
    datasets.get("unread")
    path = write_results(tmp_path, datasets, **FACTS)
    assert path == tmp_path / "000000007-Scan.h5" and os.listdir(tmp_path) == [path.name]
    with h5py.File(path) as file:
        assert set(file) == {"artiq_version", "expid", "rid", "start_time", "run_time", "datasets", "archive"}
        assert not file.attrs
        assert pyon.decode(file["expid"][()]) == FACTS["expid"]
        assert file["artiq_version"].asstr()[()].startswith("corelog ")
        assert h5py.check_string_dtype(file["expid"].dtype).encoding == "utf-8"
        assert (file["rid"].dtype, file["rid"][()]) == ("int64", 7)
        assert (file["start_time"].dtype, file["start_time"][()], file["run_time"][()]) == ("float64", 1.5, 2.5)
        attributes = file["datasets"]["a.b"]["c"].attrs
        assert {name: (value, getattr(value, "dtype", str)) for name, value in attributes.items()} == {
            "unit": ("ms", str), "scale": (1.0, "float64"), "precision": (3, "int64")}
        assert file["datasets"]["flag"].dtype == "bool" and set(file["datasets"]) == {"a.b", "flag", "word"}
        assert file["datasets"]["word"].asstr()[()] == "ä"
        assert list(file["archive"]["read"]) == [1, 2] and set(file["archive"]) == {"read"}


def test_what_hdf5_cannot_hold_is_named_and_all_else_is_kept(tmp_path: Path) -> None:
    datasets = DatasetManager(LocalDatasetDB())
    for key, value in {"set": {1}, "none": None, "ragged": [[1], [1, 2]], "good": 1, "good/below": 2, "huge": 2**70,
                       "": 3, "last": "x"}.items():
        datasets.set(key, value)
    with pytest.raises(TypeError) as caught:
        write_results(tmp_path, datasets, **FACTS)
    for key in ("set", "none", "ragged", "good/below", "huge", ""):
        assert f"dataset {key!r} is a " in str(caught.value)
    with h5py.File(tmp_path / "000000007-Scan.h5") as file:
        assert set(file["datasets"]) == {"good", "last"} and file["rid"][()] == 7


def test_full_disk_is_an_error_of_its_own_and_leaves_no_file(tmp_path: Path) -> None:
    program = ("import pathlib, resource, signal, sys, numpy\n"
               "from corelog.language.managers import *; from corelog.language.datasets import LocalDatasetDB\n"
               "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
               "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
               "datasets = DatasetManager(LocalDatasetDB()); datasets.set('big', numpy.ones(1000_000))\n"
               "try: write_results(pathlib.Path(sys.argv[1]), datasets, rid=1, class_name='A', expid={}, "
               "start_time=0, run_time=0)\n"
               "except OSError as error: print('OSError', error.errno)\n")
    result = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=60)
    assert result.stdout == "OSError 27\n", result.stderr
    assert os.listdir(tmp_path) == []


def test_folder_of_results_is_that_of_the_local_hour() -> None:
    start = time.mktime((2026, 3, 4, 5, 59, 59, 0, 0, -1))
    assert folder(start) == Path("results/2026-03-04/05")


def test_file_is_complete_or_not_there_after_each_of_ten_sigkills(tmp_path: Path) -> None:
    program = ("import sys, pathlib, numpy; from corelog.language.managers import *\n"
               "from corelog.language.datasets import LocalDatasetDB\n"
               "datasets = DatasetManager(LocalDatasetDB())\n"
               "for i in range(50): datasets.set(f'd{i}', numpy.zeros(20000))\n"
               "for rid in range(10**6):\n"
               "    write_results(pathlib.Path(sys.argv[1]), datasets, rid=rid, class_name='A', expid={},\n"
               "                  start_time=0, run_time=0)\n"
               "    print(rid, flush=True)")
    for turn in range(10):
        results = tmp_path / str(turn)
        results.mkdir()
        with subprocess.Popen([sys.executable, "-c", program, results], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(1 + turn % 3):
                process.stdout.readline()
            time.sleep(0.003 * turn)  # another moment each time
            process.send_signal(signal.SIGKILL)
        files = [path for path in results.iterdir() if path.suffix == ".h5"]
        assert files
        for path in files:
            with h5py.File(path) as file:
                assert len(file["datasets"]) == 50 and file["datasets"]["d49"].shape == (20000,)
