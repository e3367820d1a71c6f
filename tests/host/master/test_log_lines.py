"""The text in which log records are kept."""

import random

import pytest

from corelog.master import log_lines
from corelog.master.log_lines import LEVELS, Record
from sipyco import pyon

TEXTS = ["", "plain", "a: b: c", "two\nlines", "\n", "trailing\n", "@1.5", "@1.5\n@2", "é\u2028\U0001f600", "\r",
         "\x00", "src:ERROR:n:m", "x\nsrc:ERROR<9>:n:m\ny", '"quoted" \\n', "\udc80"]


def test_whatever_a_record_holds_comes_back_from_what_is_kept() -> None:
    seed = 5
    print(f"seed {seed}")
    choose = random.Random(seed)
    expected, data, when = [], b"", 0.0
    for number in range(7, 2007):
        if choose.random() < 0.3:
            when = choose.uniform(1e9, 2e9)
            data += log_lines.time_line(when)
        elif not data:
            data = log_lines.time_line(when)
        level = choose.choice([*LEVELS.values(), 25, 0, 99])
        source, name = choose.choice(["s", "", "worker(3,x.py)", "@2.5"]), choose.choice(["a.b", "", "ü"])
        message = choose.choice(TEXTS) + choose.choice(TEXTS)
        data += log_lines.to_lines(level, source, name, message)
        expected.append(Record(number, when, level, source, name, message.replace("\udc80", "\\udc80")))
    assert list(log_lines.parse(data, 7)) == expected


def test_name_and_source_that_would_break_the_line_are_changed() -> None:
    data = log_lines.to_lines(20, "c:\\x\ny", "a\nb", "m")
    assert data == b"c.\\x.y:INFO:a b:m\n"


@pytest.mark.parametrize(("source", "name", "message", "more"), [
    ("worker(12,rabi.py)", "root", "m", {"rids": [12]}),
    ("worker(scan,rabi.py)", "root", "m", {}),
    ("controller(core_log)", "firmware.runtime.rtio_mgt", "busy [RID 3, 15]", {"rids": [3, 15], "origin": 0}),
    ("controller(core_log)", "firmware.dest4.satman", "m", {"origin": 4}),
    ("controller(core_log)", "firmware.dest4.corelog", "9 records lost (0 errors or warnings) from device seq 77",
     {"origin": 4, "device_seq": 77}),
    ("x", "y", "says [RID 3]", {}),
])
def test_fields_are_those_that_source_name_and_text_carry(
        source: str, name: str, message: str, more: dict[str, object]) -> None:
    record = Record(1, 2.5, 20, source, name, message)
    assert record.fields() == {"number": 1, "time": 2.5, "level": 20, "source": source, "name": name,
                               "message": message} | more


def test_broadcast_of_many_is_what_pyon_makes_of_each() -> None:
    rows = [(level, source, text) for level in LEVELS.values() for source in ("s", 'q"\\', "é")
            for text in ("n:m", ":", "n:\"\\\u2028\U0001f600\x00\t", "n:a:b: c")]
    data = "".join(f"{source}:{log_lines.NAMES[level]}:{text}\n" for level, source, text in rows).encode()
    when = 1763638123.123456
    assert log_lines.to_broadcast(data, when).decode() == "".join(
        pyon.encode((level, source, when, text)) + "\n" for level, source, text in rows)


def test_core_device_errors_are_marked_with_the_runs_and_others_are_not() -> None:
    data = (b"controller(core_log):ERROR:firmware.runtime.rtio:busy\n"
            b"controller(core_log):INFO:firmware.runtime.rtio:ERROR:firmware.x:y\n"
            b"worker(3,x):ERROR:root:firmware.\n"
            b"controller(core_log):CRITICAL:firmware.dest1.x:lost\n")
    assert log_lines.mark_rids(data, lambda: [3, 12]).split(b"\n") == [
        b"controller(core_log):ERROR:firmware.runtime.rtio:busy [RID 3, 12]",
        b"controller(core_log):INFO:firmware.runtime.rtio:ERROR:firmware.x:y", b"worker(3,x):ERROR:root:firmware.",
        b"controller(core_log):CRITICAL:firmware.dest1.x:lost [RID 3, 12]", b""]
    assert log_lines.mark_rids(data, list) == data


def test_levels_and_rids_of_a_block_are_never_fewer_than_in_it() -> None:
    data = (b"worker(3,x):ERROR:n:m\nworker(4,x):INFO:n:m\nc:ERROR:firmware.x:busy [RID 5, 6]\n")
    assert log_lines.rids_in(data) == {3, 4, 5, 6}
    assert log_lines.levels_in(data) & log_lines.level_bits(40)
    assert log_lines.levels_in(data) & log_lines.level_bit(20)
    assert not log_lines.levels_in(b"s:INFO:n:m\n") & log_lines.level_bits(30)
