"""Records of several boards in the order of their time: held for a moment at most, and never those of one only."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator

import pytest

from corelog.coredevice.follow import Batch, Down, Event
from corelog.coredevice.order import HOLD, LIMIT, Order, in_order
from corelog.coredevice.timeaxis import TimeAxis
from corelog.testing import bulk
from corelog.wire import frames
from corelog.wire.frames import Boot, Clock, Header, Heartbeat, Level, Loss, Record
from corelog.wire.stream import Parser, Records
from corelog.wire.stream import frames as flat

START = 1e9
CORE_US = 100_000_000  # at START
BEHIND = 40_000_000  # the satellites booted so much later


def parsed(*records: Record) -> list:
    data = frames.encode_header(Header(1, 0, 0, 0)) + b"".join(map(frames.encode_record, records))
    return Parser().feed(data)[1:]


def record(origin: int, seq: int, at: float) -> Record:
    """Written `at` seconds after START."""
    us = CORE_US + round(at * 1e6) - (BEHIND if origin else 0)
    return Record(seq, us, Level.INFO, "t", f"{origin}.{seq}", origin)


def started(*satellites: int, hold: float | None = HOLD) -> Order:
    order = Order(TimeAxis(), hold)
    order.feed([Header(7, CORE_US, 0, 0), Boot(0, 7, 0, 0, 0, 0), Clock(0, 100, CORE_US, 0, 10**6)], START)
    for origin in satellites:
        order.feed([Boot(origin, 9 + origin, 0, 0, 0, 0), Clock(origin, 100, CORE_US - BEHIND, 0, 10**6)], START)
    return order


def texts(items: list) -> list[str]:
    return [f.body for f in flat(items) if isinstance(f, Record)]


def test_single_origin_is_passed_on_at_once_and_untouched() -> None:
    order = started()
    items = [*parsed(record(0, 0, 5.0)), Heartbeat(0, 0, 0), Loss(0, 1, 1, 1), *parsed(record(0, 2, 0.0))]
    assert order.feed(items, START + 1) == items
    assert not order.holding


def test_satellite_record_that_comes_later_goes_before_what_was_written_after_it() -> None:
    order = started(2)
    assert order.feed(parsed(record(0, 0, 1.000)), START + 1.001) == []
    assert order.feed(parsed(record(0, 1, 1.020)), START + 1.021) == []
    assert order.feed(parsed(record(2, 0, 1.010)), START + 1.040) == []
    assert order.wait(START + 1.040) == pytest.approx(HOLD - 0.040, abs=1e-5)
    assert texts(order.due(START + 1.051)) == ["0.0"]
    assert texts(order.due(START + 1.0605)) == ["2.0"]
    assert texts(order.due(START + 1.0705)) == ["0.1"]
    assert order.wait(START + 1.08) is None


def test_what_is_old_already_goes_on_at_once_in_order() -> None:
    order = started(2)
    core = [record(0, i, i * 0.01) for i in range(10)]
    satellite = [record(2, i, i * 0.01 + 0.005) for i in range(10)]
    out = order.feed(parsed(*core) + parsed(*satellite), START + 5)
    assert texts(out) == [f"{o}.{i}" for i in range(10) for o in (0, 2)]
    assert not order.holding


def test_silent_satellite_holds_nothing_back() -> None:
    order = started(2)
    order.feed([Heartbeat(0, CORE_US + 4_000_000, 0)], START + 4)
    assert texts(order.feed(parsed(record(0, 0, 4.0)), START + 4)) == ["0.0"]


def test_loss_and_boot_stay_in_their_place_among_the_records_of_their_origin() -> None:
    order = started(2)
    order.feed([*parsed(record(2, 0, 1.0)), Loss(2, 1, 3, 0), *parsed(record(2, 4, 1.01)), Boot(2, 20, 0, 0, 0, 0)],
               START + 1.02)
    order.feed(parsed(record(0, 0, 1.005)), START + 1.02)
    kinds = [type(i).__name__ if not isinstance(i, Records) else texts([i])[0] for i in order.flush()]
    assert kinds == ["2.0", "Loss", "0.0", "2.4", "Boot"]


def test_previous_boot_of_unknown_time_goes_first_and_the_rest_in_order() -> None:
    order = Order(TimeAxis(), hold=None)
    order.feed([Header(7, CORE_US, 0, 0), Boot(0, 6, 0, 0, 0, 0, previous=True)], START)
    order.feed([*parsed(record(0, 9, 3.0)), Boot(0, 7, 0, 0, 0, 0), Clock(0, 100, CORE_US, 0, 10**6),
                *parsed(record(0, 0, 1.0), record(0, 1, 2.0))], START + 3)
    order.feed([Boot(2, 9, 0, 0, 0, 0), Clock(2, 100, CORE_US - BEHIND, 0, 10**6), *parsed(record(2, 0, 1.5))],
               START + 3)
    assert texts(order.flush()) == ["0.9", "0.0", "2.0", "0.1"]


def test_record_with_an_absurd_time_keeps_its_place_and_is_not_held_longer() -> None:
    order = started(2)
    absurd = Record(1, 2**64 - 1, Level.INFO, "t", "2.1", 2)
    order.feed(parsed(record(2, 0, 1.0), absurd, record(2, 2, 1.01)), START + 1.02)
    assert texts(order.due(START + 1.02 + HOLD + 1e-3)) == ["2.0", "2.1", "2.2"]


def test_host_clock_that_is_set_back_holds_nothing() -> None:
    order = started(2)
    order.feed(parsed(record(2, 0, 1.0)), START + 1.0)
    assert order.wait(START - 3600) <= HOLD
    assert texts(order.due(START - 3600)) == ["2.0"]


def test_flood_is_not_held_in_any_amount() -> None:
    order = started(2)
    run = Parser().feed(frames.encode_header(Header(1, 0, 0, 0)) + bulk.records(LIMIT + 1, length=16))[1]
    run.words[:, 4] = CORE_US + 1_000_000  # time, as if all written just now
    run.words[:, 5] = 0
    assert sum(len(i) for i in order.feed([run], START + 1.0)) == LIMIT + 1
    assert not order.holding


@pytest.mark.parametrize("seed", range(15))
def test_all_come_once_each_origin_in_its_order_and_never_late(seed: int) -> None:
    rng = random.Random(seed)
    origins = [0, 2, 3]
    order = started(2, 3)
    seqs, sent, got = dict.fromkeys(origins, 0), [], []
    now = START + 1
    for _ in range(300):
        now += rng.choice([0.0, 0.001, 0.01, 0.07])
        if rng.random() < 0.05:
            beats = [Heartbeat(o, CORE_US + round((now - START) * 1e6) - (BEHIND if o else 0), 0) for o in origins]
            got += texts(order.feed(beats, now + rng.random() / 100))
        origin = rng.choice(origins)
        run = []
        for _ in range(rng.randint(1, 5)):
            time_ = rng.choice([now - START - rng.random() / 10, now - START + 5, 0.0])
            run.append(record(origin, seqs[origin], max(0.0, time_)))
            seqs[origin] += 1
        sent += [r.body for r in run]
        got += texts(order.feed(parsed(*run), now))
        got += texts(order.due(now))
        for queue in order._queues.values():
            assert now - queue[0].arrival <= HOLD, seed
    got += texts(order.flush())
    assert sorted(got) == sorted(sent), seed
    for origin in origins:
        assert [g for g in got if g.startswith(f"{origin}.")] == [f"{origin}.{i}" for i in range(seqs[origin])], seed


@pytest.mark.parametrize("seed", range(10))
def test_records_younger_than_the_hold_come_in_the_order_of_time(seed: int) -> None:
    rng = random.Random(seed)
    order, arrivals = started(2, 3), []
    for origin in (0, 2, 3):
        at = last = 1.0
        for seq in range(100):
            at += rng.random() * 0.02
            last = max(last, at + rng.random() * HOLD * 0.9)
            if last - at < HOLD:  # what is later cannot be in order
                arrivals.append((last, at, record(origin, seq, at)))
    arrivals.sort(key=lambda x: x[0])
    got = []
    for arrival, _, r in arrivals:
        got += texts(order.due(START + arrival)) + texts(order.feed(parsed(r), START + arrival))
    got += texts(order.flush())
    assert got == [r.body for _, at, r in sorted(arrivals, key=lambda x: x[1])], seed


async def test_held_batch_comes_when_it_is_due_and_before_a_lost_connection() -> None:
    wall = time.time()
    us = 10_000_000
    go_on = asyncio.Event()

    async def events() -> AsyncGenerator[Event, None]:
        yield Batch([Header(7, us, 0, 0), Boot(0, 7, 0, 0, 0, 0), Boot(2, 9, 0, 0, 0, 0)], wall)
        yield Batch(parsed(Record(0, us, Level.INFO, "t", "first")), time.time())
        await go_on.wait()
        yield Batch(parsed(Record(1, us + 10**9, Level.INFO, "t", "second")), time.time())
        yield Down("gone", False, time.time())

    got: list[object] = []
    async for event in in_order(events(), TimeAxis()):
        got += texts(event.items) if isinstance(event, Batch) else [event]
        if got == ["first"]:  # while nothing else came
            go_on.set()
    assert got[:2] == ["first", "second"]
    assert isinstance(got[2], Down)
