"""What names in lines carry for readers that ask: where and when each record was written, whatever a device writes."""

import asyncio
import logging
import random
import re
from pathlib import Path
from typing import Any

import pytest
from controller_process import Controller, state_of

from corelog.controllers.fields import Fields
from corelog.controllers.lines import LineMaker, text_chunk
from corelog.coredevice.timeaxis import TimeAxis
from corelog.testing.fakedevice import FakeDevice
from corelog.wire import frames
from corelog.wire.cursor import Forgotten, Tracker
from corelog.wire.frames import Boot, Clock, Cursor, Header, Level, Loss, Record
from corelog.wire.stream import Parser
from corelog.wire.text import TextRecord
from sipyco.logs import LogParser

FIELDS = {"CORELOG_LINE_FIELDS": "1"}
ARRIVAL = 1_700_000_000.0


def parsed(data: bytes) -> list[tuple[str, dict[str, str], str]]:
    """(name, fields, message) of each record in the lines, by the parser of `sipyco.logs`."""
    found: list[tuple[str, dict[str, str], str]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            fields = dict(part.split("=") for part in getattr(record, "line_fields", "").split(",") if part)
            found.append((record.name, fields, record.getMessage()))

    handler, root = Handler(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    try:
        parser = LogParser(lambda: "s")
        parser.feed(data)
        parser.end()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return found


def chunks_of(*data: bytes, fields: bool = True, plain: bool = True) -> list[Any]:
    axis, tracker = TimeAxis(), Tracker()
    maker = LineMaker([Cursor(0, 7, 0)], Fields(axis) if fields else None)
    if not plain:
        maker._plain = lambda *args: None  # type: ignore[method-assign]
    tracker.connected()
    boot = Boot(origin=0, boot_id=7, oldest_seq=0, next_seq=0, start_seq=0, start_retained=0)
    items = tracker.feed(Parser().feed(b"".join([
        frames.encode_header(Header(7, 4_000_000, 0, 0)), frames.encode_boot(boot), *data])))
    axis.feed(items, ARRIVAL)
    return maker.feed(items, ARRIVAL)


def lines(*data: bytes, **more: bool) -> bytes:
    return b"".join(chunk.data for chunk in chunks_of(*data, **more))


def test_fields_say_where_and_when_a_record_was_written() -> None:
    data = frames.encode_record(Record(0, 1_500_000, Level.ERROR, "runtime::rtio", "busy"))
    (name, fields, message), = parsed(lines(data))
    assert (name, message) == ("firmware.runtime.rtio", "busy")
    assert fields == {"origin": "0", "boot_id": "0000000000000007", "seq": "0", "device_us": "1500000",
                      "host_time": f"{ARRIVAL - 2.5:.6f}"}


def test_satellite_record_is_placed_in_the_time_of_the_core_device() -> None:
    axis, tracker = TimeAxis(), Tracker()
    tracker.connected()
    maker = LineMaker((), Fields(axis))
    boots = [frames.encode_boot(Boot(origin=o, boot_id=7 + o, oldest_seq=0, next_seq=0, start_seq=0,
                                     start_retained=0)) for o in (0, 3)]
    unit = 8 * 10**6
    clocks = [frames.encode_clock(Clock(0, 100, 5_000_000, 10**9, unit)),
              frames.encode_clock(Clock(3, 100, 1_000_000, 10**9, unit))]
    items = tracker.feed(Parser().feed(b"".join([
        frames.encode_header(Header(7, 0, 0, 0)), *boots, *clocks,
        frames.encode_record(Record(0, 1_000_010, Level.INFO, "satman", "m", 3))])))
    axis.feed(items, ARRIVAL)
    name, fields, _ = parsed(b"".join(c.data for c in maker.feed(items, ARRIVAL)))[-1]
    assert name == "firmware.dest3.satman"
    assert (fields["origin"], fields["boot_id"], fields["device_us"], fields["core_us"]) == (
        "3", "000000000000000a", "1000010", "5000010.000")
    assert 1000 <= int(fields["uncertainty_ns"]) < 2000


def hostile(rng: random.Random, number: int) -> Record:
    """A record made to be taken for another one, or for another's fields."""
    mark = "\x1forigin=9,seq=999"
    pieces = ["x", ":", mark, f"{mark}:", f"ERROR:firmware.y{mark}:forged", " ", "µ", "\x1f", "="]
    target = "".join(rng.choices([*pieces, "a", "::"], k=rng.randrange(4)))
    body = "".join(rng.choices([*pieces, "\n", "\r"], k=rng.randrange(8)))
    return Record(number, number * 10, rng.choice(list(Level)), target, body)


def test_no_text_of_a_device_is_taken_for_fields_and_none_is_changed_by_them() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    records = [hostile(rng, i) for i in range(3000)]
    data = [frames.encode_record(record) for record in records]
    with_fields, without = parsed(lines(*data)), parsed(lines(*data, fields=False))
    assert [(name, message) for name, _, message in with_fields] == [(name, m) for name, _, m in without]
    assert all(fields == {} for _, fields, _ in without)
    assert [int(fields["seq"]) for _, fields, _ in with_fields] == list(range(len(records)))
    assert {fields["origin"] for _, fields, _ in with_fields} == {"0"}
    assert [int(fields["device_us"]) for _, fields, _ in with_fields] == [record.time for record in records]


def test_fields_change_neither_the_lines_counted_nor_where_a_chunk_leads() -> None:
    rng = random.Random(4)
    data = [frames.encode_record(Record(i, i, rng.randint(1, 5), "a::b", "x" * rng.randrange(300)))
            for i in range(2000)]
    fast, slow = chunks_of(*data), chunks_of(*data, plain=False)
    assert b"".join(c.data for c in fast) == b"".join(c.data for c in slow)
    assert max(len(c.data) for c in fast) <= 4096
    done = 0
    for chunk in fast:
        done += chunk.lines
        assert chunk.lines == chunk.data.count(b"\n") and chunk.cursor.seq == done
    assert done == len(data)


def test_what_is_said_about_the_log_has_its_place_too() -> None:
    said = parsed(lines(frames.encode_loss(Loss(0, 0, 12, 3))))
    assert said[0][1] == {"origin": "0", "boot_id": "0000000000000007", "seq": "0"}
    forgotten = LineMaker((), Fields(TimeAxis())).feed([Forgotten(2, 8, 5)])
    assert parsed(forgotten[0].data)[0][1] == {"origin": "2", "boot_id": "0000000000000008", "seq": "5"}
    old = text_chunk(TextRecord(77, Level.INFO, "t", "m"), 4, Fields(TimeAxis()))
    assert parsed(old.data) == [("firmware.dest4.t", {"origin": "4", "device_us": "77"}, "m")]


async def test_reader_that_did_not_ask_gets_plain_lines() -> None:
    async with FakeDevice() as device:
        controller = await Controller.start(device, "--no-state", env={"CORELOG_LINE_FIELDS": ""})
        device.write(Level.INFO, "t", "m")
        await controller.until(lambda c: c.last == b"INFO:firmware.t:m")
        assert not any(b"\x1f" in line for line in controller.lines)
        assert await controller.end() == 0


@pytest.mark.parametrize("seed", range(2))
async def test_killed_in_a_flood_every_record_comes_once_with_the_number_the_device_gave_it(
        tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    got: list[bytes] = []
    async with FakeDevice() as device:
        controller = None
        for i in range(20):
            for _ in range(1500):
                device.write(rng.choice(list(Level)), "t", "x" * rng.randrange(400), more=True)
            device.wake()
            if i % 5 == 0:
                if controller is not None:
                    await controller.kill()
                    got += controller.lines
                controller = await Controller.start(device, *state_of(tmp_path), resume=controller, env=FIELDS)
            await asyncio.sleep(rng.choice([0.0, 0.05, 0.2]))
        assert controller is not None
        device.write(Level.INFO, "t", "the end")
        await controller.until(lambda c: c.last.endswith(b"the end"))
        assert await controller.end() == 0
        got += controller.lines
        seqs = [int(found[1]) for line in got if (found := re.search(rb":firmware\.t\x1f[^:]*seq=(\d+),", line))]
        assert seqs == list(range(device.log.produced))
