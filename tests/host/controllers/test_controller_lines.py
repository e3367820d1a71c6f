"""Process lines: fast and slow path alike, marks, cursors after every chunk; SiPyCo's own parser understands them."""

import logging
import random

import pytest

from corelog.controllers.lines import CHUNK, LineMaker, logger_name, process_line
from corelog.wire import frames
from corelog.wire.cursor import Forgotten, Tracker
from corelog.wire.frames import RETAINED_UNKNOWN, Boot, Cursor, Header, Level, Loss, Record
from corelog.wire.stream import Parser
from sipyco.logs import LogParser

HEADER = frames.encode_header(Header(7, 0, 0, 0))


def make(maker: LineMaker, tracker: Tracker, *parts: bytes) -> list:
    tracker.connected()
    return maker.feed(tracker.feed(Parser().feed(HEADER + b"".join(parts))))


def boot(**more: object) -> bytes:
    fields = {"origin": 0, "boot_id": 7, "oldest_seq": 0, "next_seq": 0, "start_seq": 0, "start_retained": 0} | more
    return frames.encode_boot(Boot(**fields))


def lines(*records: Record, **more: object) -> list[str]:
    """Lines of the records, without the one about the boot."""
    chunks = make(LineMaker([Cursor(0, 7, 0)]), Tracker(), boot(**more), *map(frames.encode_record, records))
    return b"".join(c.data for c in chunks).decode().splitlines()


@pytest.mark.parametrize(("target", "name"), [
    ("runtime", "firmware.runtime"), ("runtime::rtio_mgt::drtio", "firmware.runtime.rtio_mgt.drtio"),
    ("", "firmware"), ("a:b", "firmware.a.b"), ("a\nb", "firmware.a.b"), ("kernel", "firmware.kernel")])
def test_target_becomes_a_logger_name(target: str, name: str) -> None:
    assert logger_name(target) == name


@pytest.mark.parametrize(("more", "text"), [
    ({}, "body"), ({"truncated": True}, "body... (truncated)"), ({"repeat": 1}, "body (repeated once)"),
    ({"repeat": 99}, "body (repeated 99 times)"), ({"encoding": 3}, "[unknown encoding 3] 626f6479")])
def test_what_has_to_be_said_about_a_record_is_in_its_message(more: dict, text: str) -> None:
    assert lines(Record(0, 5, Level.INFO, "a", "body", **more)) == [f"INFO:firmware.a:{text}"]


def test_previous_boot_is_marked_and_a_satellite_named() -> None:
    assert lines(Record(0, 5, Level.WARN, "a", "b"), previous=True, next_seq=1) == [
        "WARNING:firmware.a:[previous boot] b"]
    chunks = make(LineMaker(), Tracker(), boot(origin=5, boot_id=9),
                  frames.encode_record(Record(0, 5, Level.WARN, "a", "b", 5)))
    assert [c.data.decode() for c in chunks] == [
        "INFO:firmware.dest5.corelog:device booted, boot id 0000000000000009\n",
        "WARNING:firmware.dest5.a:b\n"]


def test_damaged_and_undecodable_records_are_delivered_and_marked() -> None:
    bad = bytearray(frames.encode_record(Record(0, 5, Level.INFO, "a", "body")))
    bad[20] ^= 1
    raw = frames.encode_raw_record(Record(1, 6, Level.INFO, "", ""), b"t", b"\xff\n")
    chunks = make(LineMaker([Cursor(0, 7, 0)]), Tracker(), boot(), bytes(bad), raw)
    assert [c.data for c in chunks] == [b"INFO:firmware.a:[damaged] body\n",
                                        b"INFO<2>:firmware.t:[undecodable] \\xff\n\n"]
    assert [c.cursor.seq for c in chunks] == [1, 2]


def test_losses_are_said_with_their_place() -> None:
    tracker, maker = Tracker(), LineMaker([Cursor(0, 7, 0)])
    chunks = make(maker, tracker, boot(), frames.encode_loss(Loss(0, 0, 12, 3)),
                  frames.encode_loss(Loss(0, 12, 1, 1, exact=False)), frames.encode_record(Record(15, 0, 3, "a", "b")))
    assert [c.data.decode() for c in chunks] == [
        "WARNING:firmware.corelog:12 records lost (3 errors or warnings) from device seq 0\n",
        "WARNING:firmware.corelog:1 record lost (at most 1 errors or warnings) from device seq 12\n",
        "WARNING:firmware.corelog:2 records lost (at most 2 errors or warnings) from device seq 13, "
        "not declared by the device\n",
        "INFO:firmware.a:b\n"]
    assert maker.lost == 15
    assert [c.cursor for c in chunks[:2]] == [Cursor(0, 7, 12, 3), Cursor(0, 7, 13, RETAINED_UNKNOWN)]


def test_boot_is_said_once_and_a_forgotten_one_too() -> None:
    maker = LineMaker()
    assert len(make(maker, Tracker(), boot())) == 1
    assert make(maker, Tracker(), boot()) == []
    assert b"boot id 0000000000000008" in make(maker, Tracker(), boot(boot_id=8))[0].data
    assert b"no longer keeps its boot 0000000000000008" in maker.feed([Forgotten(0, 8, 5)])[0].data


def test_fast_path_and_slow_path_write_the_same_lines_and_cursors() -> None:
    rng = random.Random(3)
    records, retained = [], 0
    for i in range(3000):
        level = rng.randint(1, 5)
        body = rng.choice(["x", "µs " * 5, "y" * rng.randint(0, 900), "", "trailing\r"])
        records.append(Record(i, i, level, rng.choice(["runtime", "a::b"]), body, 0, retained))
        retained += level <= Level.WARN
    data = [frames.encode_record(r) for r in records]
    fast = make(LineMaker([Cursor(0, 7, 0)]), Tracker(), boot(), *data)
    slow_maker, tracker, slow = LineMaker([Cursor(0, 7, 0)]), Tracker(), []
    slow_maker._plain = lambda *args: None  # type: ignore[method-assign]
    slow = make(slow_maker, tracker, boot(), *data)
    assert b"".join(c.data for c in fast) == b"".join(c.data for c in slow)
    assert max(len(c.data) for c in fast) <= CHUNK
    assert len(fast) < len(slow) / 3
    by_line, line = {}, 0
    for c in slow:
        line += c.lines
        by_line[line] = c.cursor
    line = 0
    for c in fast:
        line += c.lines
        assert c.cursor == by_line[line]
        assert c.lines == c.data.count(b"\n")
    assert fast[-1].cursor == Cursor(0, 7, 3000, retained)


def test_longest_record_is_one_chunk_of_its_own() -> None:
    long = Record(1, 0, Level.INFO, "a", "z" * 60_000)
    chunks = make(LineMaker([Cursor(0, 7, 0)]), Tracker(), boot(), frames.encode_record(Record(0, 0, 3, "a", "b")),
                  frames.encode_record(long), frames.encode_record(Record(2, 0, 3, "a", "c")))
    assert [(c.lines, c.cursor.seq) for c in chunks] == [(1, 1), (1, 2), (1, 3)]


def test_the_ecosystem_parser_reads_what_is_written() -> None:
    got: list[tuple] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            got.append((record.levelname, record.name, record.getMessage()))

    handler, root = Handler(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    try:
        parser = LogParser(lambda: "controller(core_log)")
        messages = [(Level.ERROR, "a:b%s"), (Level.TRACE, "two\nlines"), (Level.INFO, "x\n\n"), (Level.DEBUG, "")]
        for lv, message in messages:
            for line in process_line(lv, "firmware.x", message).decode()[:-1].split("\n"):
                parser.line_input(line)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert got == [("ERROR", "firmware.x", "a:b%s"), ("TRACE", "firmware.x", "two\nlines"),
                   ("INFO", "firmware.x", "x\n\n"), ("DEBUG", "firmware.x", "")]
