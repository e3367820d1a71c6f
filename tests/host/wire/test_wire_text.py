"""Log text of old devices: whatever arrives is delivered, and marked where something is wrong."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_vectors import cases

from corelog.wire.errors import ProtocolError
from corelog.wire.frames import Level
from corelog.wire.text import LONGEST_CHUNK, PullParser, TextParser, TextRecord, parse

ONE = b"[     0.000123s]  INFO(runtime): ARTIQ runtime starting...\n"


def test_ordinary_line() -> None:
    assert parse(ONE) == [TextRecord(123, Level.INFO, "runtime", "ARTIQ runtime starting...")]


def test_frozen_lines_give_time_level_target_and_text() -> None:
    for name, _, case in cases("log_text", "lines"):
        [record] = parse(case["text"].encode())
        assert not record.cut, name
        assert case["text"].endswith(f"({record.target}): {record.body}\n"), name
        assert f"{record.time / 1e6:.6f}"[:8] in case["text"], name


def test_message_of_several_lines_stays_one() -> None:
    text = b"[     1.000000s] ERROR(runtime::mgmt): CRC failed:\nexpected 1, got 2\n" + ONE
    assert [r.body for r in parse(text)] == ["CRC failed:\nexpected 1, got 2", "ARTIQ runtime starting..."]


def test_rest_of_a_line_whose_beginning_was_overwritten_is_marked() -> None:
    [cut, whole] = parse(b"st\n" + ONE)
    assert cut == TextRecord(None, Level.INFO, "", "st", cut=True)
    assert whole.target == "runtime"


def test_bytes_that_are_not_utf8_are_delivered_and_marked() -> None:
    [record] = parse(b"[     1.000000s]  WARN(kernel): a\xffb\n")
    assert (record.body, record.undecodable, record.level) == ("a\\xffb", True, Level.WARN)


def test_line_that_arrives_in_two_portions_is_whole() -> None:
    parser = TextParser()
    assert parser.feed(ONE[:20]) == []
    assert parser.feed(ONE[20:]) == parse(ONE)


def test_unfinished_line_is_delivered_at_the_end() -> None:
    parser = TextParser()
    assert parser.feed(ONE[:-1]) == []
    assert parser.flush() == parse(ONE)
    assert parser.flush() == []


def test_endless_line_does_not_fill_the_memory() -> None:
    parser, size = TextParser(), 0
    for _ in range(100):
        size += sum(len(r.body) for r in parser.feed(b"x" * 10_000))
    assert size + sum(len(r.body) for r in parser.flush()) == 1_000_000


def test_empty_lines_and_empty_messages_survive() -> None:
    assert [r.body for r in parse(b"[     1.000000s]  INFO(a): \n\n")] == ["\n"]
    assert parse(b"") == []


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_bytes_give_all_their_text(portions: list[bytes]) -> None:
    parser = TextParser()
    records = [r for p in portions for r in parser.feed(p)] + parser.flush()
    text = b"".join(portions)
    if text.strip(b"\n"):
        assert records
    assert all(isinstance(r.body, str) for r in records)


def test_pulled_texts_in_any_portions() -> None:
    for name, data, case in cases("mgmt", "pulled"):
        for step in (1, 5, 1000):
            parser = PullParser()
            got = [t for i in range(0, len(data), step) for t in parser.feed(data[i : i + step])]
            assert b"".join(got).decode() == case["text"], name


def test_empty_records_of_an_idle_satellite_are_passed_over() -> None:
    assert PullParser().feed(b"\0\0\0\0" * 1000 + struct.pack("<I", 2) + b"a\n") == [b"a\n"]


def test_giant_length_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="at once"):
        PullParser().feed(struct.pack("<I", LONGEST_CHUNK + 1))
