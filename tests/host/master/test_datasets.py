"""The dataset database: what is published, what is refused, what is on disk and when."""

import asyncio
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from corelog.language import dataset_db
from corelog.language.datasets import DatasetManager
from corelog.master import datasets
from corelog.master.datasets import DatasetDB
from sipyco import pyon
from sipyco.sync_struct import process_mod
from support.conditions import eventually


def on_disk(path: Path) -> dict[str, Any]:
    """What another program finds in the file."""
    program = ("import sys, pathlib; from sipyco import pyon; from corelog.language import dataset_db\n"
               "print(pyon.encode(dataset_db.load(pathlib.Path(sys.argv[1]))))")
    text = subprocess.run([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True, check=True).stdout
    stored: dict[str, Any] = pyon.decode(text)
    return stored


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[DatasetDB]:
    database = DatasetDB(tmp_path / "dataset_db.mdb")
    await database.start()
    yield database
    await database.stop()


def published(db: DatasetDB) -> list[dict[str, Any]]:
    """Gathers what is published from now on, as it would be sent."""
    mods: list[dict[str, Any]] = []
    db.notifier.publish = lambda mod: mods.append(pyon.decode(pyon.encode(mod)))
    return mods


def set_mod(key: Any, persist: Any, value: Any, metadata: Any) -> dict[str, Any]:
    return {"action": "setitem", "path": [], "key": key, "value": (persist, value, metadata)}


async def test_changes_are_published_as_the_protocol_says(db: DatasetDB) -> None:
    mods = published(db)
    db.set("a", 1)
    db.set("a", 2.5, persist=True, metadata={"unit": "ms", "scale": 1e-3, "precision": 2})
    db.set("a", 3)
    db.update(set_mod("list", False, [], {}))
    db.update({"action": "append", "path": ["list", 1], "x": 7})
    db.update({"action": "setitem", "path": ["list", 1], "key": 0, "value": 8})
    db.delete("list")
    hints = {"unit": "ms", "scale": 1e-3, "precision": 2}
    assert mods == [set_mod("a", False, 1, {}), set_mod("a", True, 2.5, hints), set_mod("a", True, 3, hints),
                    set_mod("list", False, [], {}), {"action": "append", "path": ["list", 1], "x": 7},
                    {"action": "setitem", "path": ["list", 1], "key": 0, "value": 8},
                    {"action": "delitem", "path": [], "key": "list"}]
    assert db.get("a") == 3 and db.get_metadata("a") == hints
    with pytest.raises(KeyError, match="no dataset 'list'"):
        db.get("list")


@pytest.mark.timing
async def test_persistent_change_is_on_disk_within_a_second_and_the_others_never(db: DatasetDB) -> None:
    async def after_a_second() -> dict[str, Any]:
        await asyncio.sleep(1)
        return db._file.load()  # what is committed

    db.set("kept", [1, 2], persist=True, metadata={"unit": "V"})
    db.set("shown", 1)
    assert await after_a_second() == {"kept": ([1, 2], {"unit": "V"})}
    db.update({"action": "append", "path": ["kept", 1], "x": 3})
    assert await after_a_second() == {"kept": ([1, 2, 3], {"unit": "V"})}
    db.set("kept", 5, persist=False)
    assert await after_a_second() == {}


async def test_everything_is_on_disk_after_stop_and_back_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "dataset_db.mdb"
    db = DatasetDB(path)
    await db.start()
    values = {"scalar": 1.5, "text": "ä\ud800", "none": None, "array": np.arange(6).reshape(2, 3), "tuple": (1, (2,)),
              "complex": 1 + 2j, "bytes": b"\xff", "map": {1: {"a": [True]}}}
    for key, value in values.items():
        db.set(key, value, persist=True)
    db.set("gone", 1, persist=True)
    await db.save()
    db.delete("gone")
    await db.stop()
    db = DatasetDB(path)
    restored = {key: db.get(key) for key in db.notifier.raw_view}
    np.testing.assert_array_equal(restored.pop("array"), values.pop("array"))
    assert restored == values
    assert all(persist for persist, _, _ in db.notifier.raw_view.values())
    await db.stop()


@pytest.mark.parametrize(("key", "value", "options", "text"), [
    ("", 1, {"persist": True}, "1 to 511 bytes"),
    ("é" * 256, 1, {"persist": True}, "1 to 511 bytes of UTF-8, not 512"),
    ("\ud800", 1, {"persist": True}, "UTF-8"),
    (5, 1, {}, "is a string"),
    (["x"], 1, {}, "is a string"),
    ("x", object(), {}, "dataset 'x': .*not PYON encodable"),
    ("x", [{1: object()}], {"persist": True}, "dataset 'x': .*not PYON encodable"),
    ("x", np.array([object()]), {}, "dataset 'x': "),
    ("x", 1, {"metadata": 5}, "its metadata is a dict"),
    ("x", 1, {"metadata": {"unit": 5}}, "unit cannot be 5"),
    ("x", 1, {"metadata": {"scale": "1"}}, "scale cannot be '1'"),
    ("x", 1, {"metadata": {"other": object()}}, "not PYON encodable"),
])
async def test_what_cannot_be_kept_is_refused_alone_and_changes_nothing(
        db: DatasetDB, tmp_path: Path, key: Any, value: Any, options: dict[str, Any], text: str) -> None:
    db.set("other", 1, persist=True)
    before = dict(db.notifier.raw_view)
    mods = published(db)
    with pytest.raises((TypeError, ValueError), match=text):
        db.set(key, value, **options)
    with pytest.raises((TypeError, ValueError), match=text):
        db.update(set_mod(key, options.get("persist", False), value, options.get("metadata", {})))
    assert db.notifier.raw_view == before and mods == []
    await db.save()
    assert on_disk(tmp_path / "dataset_db.mdb") == {"other": (1, {})}


@pytest.mark.parametrize("mod", [
    {"action": "append", "path": [], "x": 1},
    {"action": "setitem", "path": [], "key": "x", "value": 5},
    {"action": "setitem", "path": [], "key": "x", "value": (1, 2)},
    {"action": "delitem", "path": [], "key": "absent"},
    {"action": "append", "path": ["absent", 1], "x": 1},
    {"action": "append", "path": ["list"], "x": 1},
    {"action": "setitem", "path": ["list"], "key": 1, "value": 1},
    {"action": "setitem", "path": ["list", 2], "key": "unit", "value": 5},
    {"action": "setitem", "path": ["list", 1], "key": 9, "value": 5},
    {"action": "append", "path": ["list", 1, 0], "x": 5},
    {"action": "append", "path": ["list", 1], "x": object()},
    {"action": "explode", "path": ["list", 1], "x": 5},
    {"action": "init", "path": ["list", 1], "struct": 5},
    {"action": "setitem", "path": ["array", 1], "key": slice(0, 2), "value": [1, 2, 3]},
    {"action": "setitem", "path": ["array", 1], "key": "x", "value": 1},
    {"path": []}, {"action": "append"}, {"action": "append", "path": 5, "x": 1},
])
async def test_mod_that_does_not_fit_is_refused_and_changes_nothing(db: DatasetDB, mod: dict[str, Any]) -> None:
    db.set("list", [1], persist=True)
    db.set("array", np.zeros(3))
    before = pyon.encode(db.notifier.raw_view)
    mods = published(db)
    with pytest.raises((TypeError, ValueError, KeyError, IndexError, AttributeError)):
        db.update(mod)
    assert pyon.encode(db.notifier.raw_view) == before and mods == []


async def test_disk_that_is_full_for_a_while_loses_nothing_and_is_said_once(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(datasets, "SAVE_AFTER", 0.01)
    db = DatasetDB(tmp_path / "dataset_db.mdb")
    write, failures = db._file.write, 0

    def full(changes: Any) -> None:
        nonlocal failures
        failures += 1
        raise OSError("no space left")

    db._file.write = full  # type: ignore[method-assign]
    await db.start()
    db.set("a", 1, persist=True)

    async def tried_often() -> bool:
        return failures >= 3

    await eventually(tried_often, 10, "three attempts")
    db.set("b", 2, persist=True)
    db._file.write = write  # type: ignore[method-assign]

    async def saved() -> bool:
        return "saved again" in caplog.text

    await eventually(saved, 10, "the report of success")
    assert on_disk(tmp_path / "dataset_db.mdb") == {"a": (1, {}), "b": (2, {})}
    assert caplog.text.count("cannot be saved") == 1
    await db.stop()


async def test_file_grows_beyond_its_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_db, "MAP_SIZE", 1 << 20)
    path = tmp_path / "dataset_db.mdb"
    for turn in range(3):
        db = DatasetDB(path)
        assert len(db.notifier.raw_view) == 10 * turn
        for number in range(10):
            db.set(f"{turn} {number}", os.urandom(300_000), persist=True)
        await db.save()
        db.set("0 0", os.urandom(300_000), persist=True)
        await db.stop()
    assert len(on_disk(path)) == 30


async def test_entry_that_cannot_be_understood_stays_in_the_file_and_stops_nothing(
        tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "dataset_db.mdb"
    with lmdb.open(str(path), subdir=False, map_size=1 << 20) as environment:
        with environment.begin(write=True) as transaction:
            transaction.put(b"good", b'{"__jsonclass__":["tuple",[[0.0035,{"unit":"ms"}]]]}')
            transaction.put(b"old", b"(1.5, {})")
            transaction.put(b"bad", b"{")
            transaction.put(b"\xff", b"1")
    with caplog.at_level(logging.ERROR):
        db = DatasetDB(path)
    assert db.notifier.raw_view == {"good": (True, 0.0035, {"unit": "ms"}), "old": (True, 1.5, {})}
    assert caplog.text.count("cannot be understood") == 2 and "b'bad'" in caplog.text
    db.set("new", 1, persist=True)
    await db.stop()
    with lmdb.open(str(path), subdir=False, readonly=True) as environment, environment.begin() as transaction:
        assert [bytes(key) for key, _ in transaction.cursor()] == [b"bad", b"good", b"new", b"old", b"\xff"]
        assert bytes(transaction.get(b"new")) == b'{"__jsonclass__":["tuple",[[1,{}]]]}'


def test_file_that_is_no_database_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "dataset_db.mdb").write_bytes(b"not a database at all" * 1000)
    with pytest.raises(dataset_db.DatasetDBError, match="cannot be opened"):
        DatasetDB(tmp_path / "dataset_db.mdb")


async def test_file_equals_a_naive_model_after_thousands_of_random_changes(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    path = tmp_path / "dataset_db.mdb"
    db = DatasetDB(path)
    await db.start()
    model: dict[str, tuple[bool, Any, dict[str, Any]]] = {}
    mirror: dict[str, Any] = {}
    db.notifier.publish = lambda mod: process_mod(mirror, pyon.decode(pyon.encode(mod)))
    for step in range(3000):
        key = f"k{rng.randrange(12)}"
        action = rng.randrange(5)
        if action == 0:
            persist = rng.choice([True, False, None])
            db.set(key, [step], persist)
            model[key] = (model[key][0] if key in model else False) if persist is None else persist, [step], {}
        elif action == 1 and key in model:
            db.delete(key)
            del model[key]
        elif action == 2 and key in model:
            db.update({"action": "append", "path": [key, 1], "x": step})
            model[key][1].append(step)
        elif action == 3:
            with pytest.raises(ValueError):
                db.set("x" * 512, 1, persist=True)
        elif rng.random() < 0.03:
            await db.save()
            assert on_disk(path) == {k: (v, m) for k, (p, v, m) in model.items() if p}
    assert db.notifier.raw_view == mirror == model
    await db.stop()
    assert on_disk(path) == {k: (v, m) for k, (p, v, m) in model.items() if p}


async def test_run_master_and_subscriber_agree_after_thousands_of_random_changes(db: DatasetDB) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)

    class Pipe:
        """As a worker's: everything becomes text and back."""
        get, get_metadata = db.get, db.get_metadata

        def update(self, mod: dict[str, Any]) -> None:
            db.update(pyon.decode(pyon.encode(mod)))

    mirror: dict[str, Any] = {}
    db.notifier.publish = lambda mod: process_mod(mirror, pyon.decode(pyon.encode(mod)))
    run = DatasetManager(Pipe())
    shown: dict[str, bool] = {}
    for step in range(2000):
        key = rng.choice("abcdef")
        lists = [key for key in shown if isinstance(run.local[key].value, list)]
        arrays = [key for key in shown if isinstance(run.local[key].value, np.ndarray)]
        match rng.randrange(6):
            case 0:
                shown[key] = rng.random() < 0.7
                run.set(key, [step] * 3, {"unit": "V"}, broadcast=shown[key])
            case 1:
                shown[key] = rng.random() < 0.7
                run.set(key, np.full((3, 4), step), persist=shown[key])
            case 2 if lists:
                run.append_to(rng.choice(lists), np.int64(step))
            case 3 if lists:
                index: Any = rng.choice([0, -1, (0, 2), (None, None, 2)])
                key = rng.choice(lists)
                length = len(run.local[key].value[slice(*index)]) if isinstance(index, tuple) else 0
                run.mutate(key, index, [step] * length if length else {"x": (step,)})
            case 4 if arrays:
                run.mutate(rng.choice(arrays), rng.choice([0, (1, 3), ((0, 2), (1, 3)), (2, (0, 4, 2))]), step)
            case 5 if lists:
                with pytest.raises((IndexError, TypeError)):
                    run.mutate(rng.choice(lists), rng.choice([10**6, "x"]), step)
    ours = pyon.encode({key: (run.local[key].value, run.local[key].metadata) for key in sorted(shown) if shown[key]})
    for theirs in (db.notifier.raw_view, mirror):
        assert pyon.encode({key: theirs[key][1:] for key in sorted(theirs)}) == ours


@pytest.mark.timing
async def test_values_are_at_most_a_second_old_after_each_of_five_sigkills(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    path = tmp_path / "dataset_db.mdb"
    program = tmp_path / "writer.py"
    program.write_text("""
import asyncio, sys, time
from corelog.master.datasets import DatasetDB
async def main():
    db = DatasetDB(sys.argv[1])
    await db.start()
    print("ready", flush=True)
    while True:
        now = time.time()
        for i in range(20):
            db.set(f"time {i}", now, persist=True)
        await asyncio.sleep(0.002)
asyncio.run(main())
""")
    for _ in range(5):
        process = await asyncio.create_subprocess_exec(sys.executable, program, path, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        await asyncio.sleep(1 + rng.random())
        killed = time.time()
        process.send_signal(signal.SIGKILL)
        await process.wait()
        times = {value for value, _ in on_disk(path).values()}
        assert len(times) == 1, "the values of one moment were torn apart"
        assert killed - times.pop() < 1
