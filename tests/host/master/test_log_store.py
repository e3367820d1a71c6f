"""The store of log records: what is put can be read, in order, however the master ends."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corelog.master import log_lines, log_reader, log_store
from corelog.master.log_reader import LogReader
from corelog.master.log_store import LogStore

LIMIT = 1 << 30


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store.sqlite")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_store, "COMMIT_INTERVAL", 0.001)
    monkeypatch.setattr(log_store, "RETRY_INTERVAL", 0.01)


def put(store: LogStore, level: int, source: str, name: str, message: str, when: float = 1.5, fields: str = "") -> int:
    return store.put(when, log_lines.to_lines(level, source, name, message, fields), 1, log_lines.level_bit(level))


def until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def everything(store: LogStore, **selection: Any) -> list[dict[str, Any]]:
    """All pages that a reader gets."""
    async def read() -> list[dict[str, Any]]:
        reader, start, found = LogReader(store), 0, []
        try:
            while True:
                page = await reader.read(start, **selection)
                found += page["records"]
                start = page["next"]
                if page["end"]:
                    return found
        finally:
            reader.close()

    return asyncio.run(read())


def test_every_selection_gives_what_a_naive_search_gives(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_store, "TAIL", 700)
    monkeypatch.setattr(log_reader, "MOST_SCANNED", 97)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    choose = random.Random(seed)
    store = LogStore(path, LIMIT)
    store.start()
    kept: list[dict[str, Any]] = []
    when = 1000.0
    for _ in range(600):
        when += choose.choice([0.0, 0.0, 1.0, -0.5])
        if choose.random() < 0.5:
            source, level = choose.choice(["worker(1,a)", "worker(2,b)", "x"]), choose.choice([5, 20, 40, 25])
            message = choose.choice(["one", "two\nlines", "worker(7,z) :ERROR: [RID 9]\n"])
            said = choose.choice(["", "", "origin=0,seq=1,device_us=2", "origin=200,seq=7"])
            number = put(store, level, source, "n", message, when, said)
            rows = [(level, source, "n", message, said)]
        else:
            rows = [(choose.choice([10, 20, 30, 50]), choose.choice(["worker(2,b)", "core"]),
                     choose.choice(["m", "firmware.dest3.x"]), choose.choice(["plain", "busy [RID 1, 4]"]), "")
                    for _ in range(choose.randrange(1, 30))]
            data = "".join(f"{s}:{log_lines.NAMES[v]}:{n}:{m}\n" for v, s, n, m, _ in rows).encode()
            number = store.put(when, data, len(rows), log_lines.levels_in(data))
        kept += [log_lines.Record(number + i, when, *row).fields() for i, row in enumerate(rows)]
        if choose.random() < 0.05:
            until(lambda: store.committed == store.next)
    until(lambda: store.committed == store.next)
    assert everything(store) == kept
    for _ in range(60):
        selection: dict[str, Any] = {"limit": choose.choice([1, 10, 5000])}
        for name, value in (("since", choose.uniform(995, when)), ("until", choose.uniform(995, when)),
                            ("level", choose.choice([0, 15, 30, 50])), ("rid", choose.choice([1, 2, 4, 7, 9])),
                            ("source", "core"), ("contains", "line"), ("origin", choose.choice([0, 3, 200, 77]))):
            if choose.random() < 0.3:
                selection[name] = value
        expected = [record for record in kept
                    if record["time"] >= selection.get("since", 0) and record["time"] <= selection.get("until", 1e99)
                    and record["level"] >= selection.get("level", 0)
                    and ("rid" not in selection or selection["rid"] in record.get("rids", []))
                    and ("origin" not in selection or record.get("origin") == selection["origin"])
                    and record["source"] == selection.get("source", record["source"])
                    and selection.get("contains", "") in f"{record['name']}:{record['message']}"]
        assert everything(store, **selection) == expected, selection
    store.stop()


OLD_SCHEMA = """
CREATE TABLE blocks (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, began REAL NOT NULL, ended REAL NOT NULL,
                     levels INTEGER NOT NULL, packed INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE rids (rid INTEGER, first INTEGER, PRIMARY KEY (rid, first)) WITHOUT ROWID;
CREATE TABLE state (in_use INTEGER NOT NULL);
"""


def test_file_of_a_master_that_knew_no_origins_is_taken_over(path: str) -> None:
    old = sqlite3.connect(path)
    old.executescript(OLD_SCHEMA)
    data = b"@1.5\nc:INFO:firmware.dest3.x:old\nc:INFO:n:other\n"
    old.execute("INSERT INTO blocks VALUES (0, 2, 1.5, 1.5, ?, 0, ?)", (log_lines.levels_in(data), data))
    old.commit()
    old.close()
    for life in range(2):  # taken over once, and then as it is
        store = LogStore(path, LIMIT)
        store.start()
        put(store, 20, "c", "firmware.dest3.x", f"life {life}", 2.5, f"origin=3,seq={life}")
        until(lambda kept=store: kept.committed == kept.next)
        found = everything(store, origin=3)
        assert [record["message"] for record in found] == ["old", *(f"life {i}" for i in range(life + 1))]
        assert [record.get("seq") for record in found[1:]] == list(range(life + 1))
        assert everything(store, origin=4) == []
        store.stop()


def test_numbers_go_on_after_a_restart(path: str) -> None:
    for life in range(3):
        store = LogStore(path, LIMIT)
        assert not store.killed
        assert store.next == 2 * life
        store.start()
        put(store, 20, "s", "n", f"first {life}")
        put(store, 20, "s", "n", f"second {life}")
        store.stop()
    store = LogStore(path, LIMIT)
    assert [r["number"] for r in everything(store)] == list(range(6))
    store.stop()


FLOOD = """
import sys, time
from corelog.master import log_lines
from corelog.master.log_store import LogStore
store = LogStore(sys.argv[1], 1 << 30)
store.start()
print("killed" if store.killed else "new", flush=True)
while True:
    began = store.next
    data = b"".join(b"s:INFO:n:%d\\n" % i for i in range(began, began + 500))
    store.put(time.time(), data, 500, log_lines.levels_in(data))
    if store.has_room():
        print(time.time(), began + 500, flush=True)
    time.sleep(0.001)
"""


def test_master_killed_at_any_moment_loses_less_than_a_second_and_no_number_comes_again(path: str) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    choose = random.Random(seed)
    told = 0
    for life in range(6):
        with subprocess.Popen([sys.executable, "-c", FLOOD, path], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == ("killed\n" if life else "new\n")
            for _ in range(choose.randrange(1, 1000)):
                line = process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            killed = time.time()
            rest = process.stdout.read().splitlines()
        lines = [line.split() for line in [line.strip(), *rest] if len(line.split()) == 2]
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        first, last = connection.execute("SELECT min(first), max(first + count) FROM blocks WHERE first >= ?",
                                         (told,)).fetchone()
        connection.close()
        for when, number in lines:
            if float(when) < killed - 1.0:
                assert last is not None and last >= int(number)
        if first is not None:
            assert first >= told
        told = max(int(lines[-1][1]), told)
    store = LogStore(path, LIMIT)
    assert store.killed
    assert store.next > told
    found = everything(store)
    assert all(record["message"] == str(record["number"]) for record in found)
    print(f"{len(found)} records kept in 6 lives")
    store.stop()


def test_size_is_bounded_and_the_oldest_records_go(path: str) -> None:
    limit = 2 << 20
    store = LogStore(path, limit)
    store.start()
    choose = random.Random(1)
    for _ in range(60):
        data = b"".join(b"worker(%d,x):INFO:n:%s\n" % (i, choose.randbytes(100).hex().encode()) for i in range(1000))
        store.put(1.5, data, 1000, log_lines.levels_in(data))
        until(lambda: store.committed == store.next)
    store.stop()
    store = LogStore(path, limit)
    found = [record["number"] for record in everything(store)]
    assert found == list(range(found[0], 60_000))
    assert len(found) > 5000
    store.stop()
    assert os.path.getsize(path) < limit + (1 << 20)
    connection = sqlite3.connect(path)
    stale = connection.execute("SELECT count(*) FROM rids WHERE first < (SELECT min(first) FROM blocks)")
    assert stale.fetchone() == (0,)
    connection.close()


def test_disk_that_refuses_for_a_while_loses_nothing(path: str, caplog: pytest.LogCaptureFixture) -> None:
    store = LogStore(path, LIMIT)
    store.start()
    put(store, 20, "s", "n", "before")
    until(lambda: store.committed == 1)
    other = sqlite3.connect(path, isolation_level=None)
    pages = other.execute("PRAGMA page_count").fetchone()[0]
    other.close()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")  # the file cannot grow: SQLite's "disk is full"
    long = "x" * 1_000_000
    for i in range(3):
        put(store, 20, "s", "n", f"{long} {i}")
    until(lambda: store.failing)
    assert store.has_room()
    assert "cannot be written" in caplog.text
    store._connection.execute("PRAGMA max_page_count = 100000000")
    until(lambda: store.committed == 4)
    assert not store.failing
    assert [record["message"][-2:] for record in everything(store)] == ["re", " 0", " 1", " 2"]
    store.stop()


def test_what_a_stalled_disk_costs_is_said_in_its_place(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_store, "HIGH_WATER", 1000)
    monkeypatch.setattr(log_store, "MOST_WAITING", 2000)
    store = LogStore(path, LIMIT)
    count = 0
    while not store.lost:  # nobody writes yet
        put(store, 20, "s", "n", f"{count}")
        count += 1
    assert not store.has_room()
    for _ in range(9):
        put(store, 20, "s", "n", "lost")
    store.start()
    until(lambda: store.committed == count - 1)
    put(store, 20, "s", "n", "after")
    until(lambda: store.committed == store.next)
    kept = everything(store)
    assert [record["message"] for record in kept[:-2]] == [str(i) for i in range(count - 1)]
    assert kept[-2]["message"] == (f"10 records are missing here, numbers {count - 1} to {count + 8}: "
                                   "the log store could not be written")
    assert (kept[-1]["message"], kept[-1]["number"], store.lost) == ("after", count + 9, 10)
    store.stop()


def test_damaged_file_is_kept_aside_and_a_new_one_begins(path: str, caplog: pytest.LogCaptureFixture) -> None:
    Path(path).write_bytes(b"no database, " * 1000)
    store = LogStore(path, LIMIT)
    store.start()
    put(store, 20, "s", "n", "m")
    store.stop()
    assert "is damaged" in caplog.text
    aside, = Path(path).parent.glob("store.sqlite.damaged-*")
    assert aside.read_bytes() == b"no database, " * 1000


def test_store_is_refused_to_a_second_master(path: str) -> None:
    store = LogStore(path, LIMIT)
    with pytest.raises(sqlite3.OperationalError, match="another master"):
        LogStore(path, LIMIT)
    store.stop()
    LogStore(path, LIMIT).stop()


def test_damaged_block_does_not_hide_the_others(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_store, "TAIL", 1)
    store = LogStore(path, LIMIT)
    store.start()
    for i in range(3):
        put(store, 20, "s", "n", f"{i}")
        until(lambda: store.committed == store.next)
    store._connection.execute("UPDATE blocks SET data = x'00' WHERE first = 1")
    messages = [record["message"] for record in everything(store)]
    assert (messages[0], messages[2]) == ("0", "2")
    assert messages[1].startswith("1 records are damaged in the store, numbers 1 to 1: ")
    store.stop()


async def test_reader_that_waits_gets_the_next_record_as_soon_as_it_is_stored(path: str) -> None:
    loop = asyncio.get_running_loop()
    readers: list[LogReader] = []
    store = LogStore(path, LIMIT, lambda: loop.call_soon_threadsafe(readers[0].committed))
    readers.append(LogReader(store))
    store.start()
    page = await readers[0].read(0, wait=0.05)
    assert page == {"records": [], "next": 0, "end": True}
    waiting = asyncio.create_task(readers[0].read(0, wait=30.0, level=30))
    await asyncio.sleep(0)
    put(store, 20, "s", "n", "not this")
    put(store, 40, "s", "n", "this")
    async with asyncio.timeout(10):
        page = await waiting
    assert [record["message"] for record in page["records"]] == ["this"]
    assert page["next"] == 2
    assert (await readers[0].status())["next"] == 2
    with pytest.raises(ValueError, match="level"):
        await readers[0].read(level="high")  # type: ignore[arg-type]
    readers[0].close()
    store.stop()


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "log store"]
