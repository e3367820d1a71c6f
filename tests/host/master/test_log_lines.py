"""The text in which log records are kept."""

import random

import pytest

from corelog.master import log_lines
from corelog.master.log_lines import LEVELS, Record
from sipyco import pyon

TEXTS = ["", "plain", "a: b: c", "two\nlines", "\n", "trailing\n", "@1.5", "@1.5\n@2", "é\u2028\U0001f600", "\r",
         "\x00", "src:ERROR:n:m", "s:INFO:n\x1fseq=7:m", "x\nsrc:ERROR<9>:n:m\ny", '"quoted" \\n', "\udc80"]


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
        fields = choose.choice(["", "", "seq=1", "origin=3,seq=2,x="])
        data += log_lines.to_lines(level, source, name, message, fields)
        expected.append(Record(number, when, level, source, name, message.replace("\udc80", "\\udc80"), fields))
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
     {"origin": 4, "seq": 77}),
    ("x", "y", "says [RID 3]", {}),
])
def test_fields_are_those_that_source_name_and_text_carry(
        source: str, name: str, message: str, more: dict[str, object]) -> None:
    record = Record(1, 2.5, 20, source, name, message)
    assert record.fields() == {"number": 1, "time": 2.5, "level": 20, "source": source, "name": name,
                               "message": message} | more


def test_fields_that_came_with_a_record_are_given_as_what_they_are() -> None:
    said = ("origin=3,boot_id=00000000000000ff,seq=12,device_us=34,host_time=1700000000.250000,core_us=56.500,"
            "uncertainty_ns=78,unknown=1,seq=x")
    record = Record(1, 2.5, 20, "s", "firmware.dest5.x", "m", said)
    assert record.fields() == {
        "number": 1, "time": 2.5, "level": 20, "source": "s", "name": "firmware.dest5.x", "message": "m", "origin": 3,
        "boot_id": "00000000000000ff", "seq": 12, "device_us": 34, "host_time": 1700000000.25, "core_us": 56.5,
        "uncertainty_ns": 78}


def test_core_devices_own_time_is_the_time_of_the_axis() -> None:
    found = Record(1, 2.5, 20, "s", "firmware.x", "m", "origin=0,seq=12,device_us=34").fields()
    assert (found["core_us"], found["uncertainty_ns"]) == (34.0, 0)
    assert "core_us" not in Record(1, 2.5, 20, "s", "firmware.x", "m", "origin=0,seq=12").fields()


def test_broadcast_and_console_show_lines_as_if_they_had_no_fields() -> None:
    rows = [(name, message) for name in ("a", "", "firmware.x", "\x1f", "a\x1fB=1")
            for message in ("m", "", "a:b\x1fc=d:e", "\x1fc=d:")]
    plain = "".join(f"s:INFO:{name}:{message}\n" for name, message in rows).encode()
    data = b"".join(log_lines.to_lines(20, "s", name, message, "" if "\x1f" in name else "seq=1,x=y")
                    for name, message in rows)
    assert data != plain
    assert log_lines.to_broadcast(data, 1.5) == log_lines.to_broadcast(plain, 1.5)
    assert log_lines.to_console(data) == log_lines.to_console(plain)
    assert log_lines.to_console(plain) == "".join(f"INFO:s:{name}:{message}\n" for name, message in rows)


def test_origins_of_lines_are_never_fewer_than_those_of_the_records() -> None:
    names = ["firmware", "firmware.x", "firmware.dest5", "firmware.dest5.x", "firmware.dest5x", "firmwares", "other",
             "firmware.dest200.y", "firmware.dest999.y"]
    for name in names:
        for fields in ("", "origin=9,seq=1", "origin=0", "seq=1,origin=7"):
            data = log_lines.to_lines(20, "s", name, "two\nlines", fields)
            record, = log_lines.parse(data, 0)
            origin, bits = record.origin(), log_lines.origins_in(data)
            assert origin is None or bits & log_lines.origin_bit(origin), (name, fields)
    assert log_lines.origins_in(log_lines.to_lines(20, "s", "other", "m")) == 0


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
