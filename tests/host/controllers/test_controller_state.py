"""The state file: where a new controller resumes, whatever happened to the one before."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest

from corelog.controllers.state import RING, State, StateError, default_path
from corelog.wire.frames import RETAINED_UNKNOWN, Cursor


def cursor(seq: int, origin: int = 0, boot: int = 7, retained: int = 0) -> Cursor:
    return Cursor(origin, boot, seq, retained)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "state"


def write(state: State, count: int, lines: int = 1, written: bool = True) -> None:
    for _ in range(count):
        state.enter(lines, lines * 10, cursor(state.lines + lines))
        if written:
            state.written()


def test_new_file_has_no_cursors(path: Path) -> None:
    state = State.open(path)
    assert state.claim(None) == []
    assert state.board_id == 0
    state.close()


@pytest.mark.parametrize("count", [1, 10, RING - 2, RING - 1, RING, RING + 1, 3 * RING + 17])
def test_successor_goes_on_after_the_last_chunk_written(path: Path, count: int) -> None:
    state = State.open(path)
    state.claim(None)
    write(state, count)
    state.close()
    state = State.open(path)
    assert state.claim(None) == [cursor(count)]
    state.close()


@pytest.mark.parametrize("count", [0, 1, RING - 1, RING, 2 * RING + 5])
@pytest.mark.parametrize("got_through", [False, True])
def test_chunk_in_doubt_is_decided_by_the_lines_read(path: Path, count: int, got_through: bool) -> None:
    state = State.open(path)
    state.claim(None)
    write(state, count, lines=3)
    write(state, 1, lines=5, written=False)
    state.close()
    state = State.open(path)
    read = count * 3 + 5 * got_through
    assert state.claim(read, os.getpid()) == ([cursor(read)] if read else [])
    state.close()


def test_chunk_in_doubt_is_sent_again_if_nobody_counted(path: Path) -> None:
    state = State.open(path)
    state.claim(None)
    write(state, 5)
    write(state, 1, lines=4, written=False)
    state.close()
    state = State.open(path)
    assert state.claim(None) == [cursor(5)]
    state.close()


def test_count_of_another_process_is_not_believed(path: Path) -> None:
    state = State.open(path)
    state.claim(None)
    write(state, 100)
    state.close()
    state = State.open(path)
    assert state.claim(3, os.getpid() + 1) == [cursor(100)]
    state.close()


def test_reader_that_got_less_than_was_written_gets_the_rest(path: Path) -> None:
    state = State.open(path)
    state.claim(None)
    write(state, 1000)
    state.close()
    state = State.open(path)
    assert state.claim(417) == [cursor(417)]
    state.close()


def test_taking_over_without_writing_keeps_the_cursors(path: Path) -> None:
    state = State.open(path)
    state.claim(None)
    write(state, 10)
    state.close()
    for read in (None, 0, 0, None, 1):
        state = State.open(path)
        assert state.claim(read) == [cursor(10)]
        state.close()


def test_origins_that_wrote_long_ago_are_remembered(path: Path) -> None:
    state = State.open(path)
    state.claim(None)
    state.enter(1, 10, cursor(5, origin=3, boot=9, retained=RETAINED_UNKNOWN))
    state.written()
    write(state, 3 * RING)
    state.close()
    state = State.open(path)
    assert state.claim(None) == [cursor(3 * RING + 1), cursor(5, origin=3, boot=9, retained=RETAINED_UNKNOWN)]
    state.close()


def test_lines_without_a_cursor_count_too(path: Path) -> None:
    state = State.open(path)
    state.claim(None)
    state.enter(2, 10, None)
    state.written()
    state.enter(1, 10, cursor(1))
    state.close()
    state = State.open(path)
    assert state.claim(3, os.getpid()) == [cursor(1)]
    state.close()


def test_another_board_has_no_cursors(path: Path) -> None:
    state = State.open(path)
    state.claim(None)
    state.forget(11)
    write(state, 10)
    state.forget(12)
    state.close()
    state = State.open(path)
    assert state.claim(None) == []
    assert state.board_id == 12
    state.close()


def test_unread_bytes_are_taken_back(path: Path) -> None:
    for unread, seq in ((0, 100), (1, 99), (10, 99), (11, 98), (995, 0), (5000, 0)):
        path.unlink(missing_ok=True)
        state = State.open(path)
        state.claim(None)
        write(state, 100)
        state.roll_back(unread)
        state.close()
        state = State.open(path)
        assert state.claim(None) == ([cursor(seq)] if seq else []), unread
        state.close()


def test_file_that_is_something_else_is_begun_anew(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(random.Random(1).randbytes(100_000))
    state = State.open(path)
    assert state.claim(None) == []
    state.close()


def test_file_in_use_is_refused_and_free_again_after_the_owner(path: Path) -> None:
    state = State.open(path)
    with pytest.raises(StateError, match="in use"):
        State.open(path, wait=0.1)
    state.close()
    State.open(path, wait=0.1).close()


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="state file"):
        State.open(tmp_path / "file" / "state")


def test_default_path_is_per_address_and_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_path("fe80::1%eth0", 1068) == tmp_path / "corelog" / "core_log-fe80__1_eth0-1068.state"


def _write_for_ever(path: Path, end: int) -> None:
    state = State.open(path)
    state.claim(None)
    pipe = os.fdopen(end, "wb", buffering=0)
    while True:
        state.enter(1, 6, cursor(state.lines + 1, origin=state.lines % 2))
        pipe.write(b"line.\n")
        state.written()


def test_killed_at_any_moment_the_count_gives_the_exact_place(path: Path) -> None:
    seed = int(time.time())
    rng = random.Random(seed)
    context = multiprocessing.get_context("fork")
    for _ in range(20):
        path.unlink(missing_ok=True)
        reader, writer = os.pipe()
        child = context.Process(target=_write_for_ever, args=(path, writer))
        child.start()
        os.close(writer)
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            lines = 0
            wanted = rng.randrange(1, 30_000)
            while lines < wanted:
                lines += pipe.read(4096).count(b"\n")
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            while data := pipe.read(4096):
                lines += data.count(b"\n")
        child.join()
        state = State.open(path)
        cursors = {c.origin: c.seq for c in state.claim(lines, child.pid)}
        assert max(cursors.values()) == lines, f"seed {seed}"
        assert min(cursors.values()) == lines - 1 or lines == 1, f"seed {seed}"
        state.close()
