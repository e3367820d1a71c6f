"""A subscriber's place: the law, duplicates, gaps, boots, cursors to resume at."""

import random

import pytest

from corelog.wire import frames
from corelog.wire.cursor import Forgotten, Tracker
from corelog.wire.errors import ProtocolError
from corelog.wire.frames import RETAINED_UNKNOWN, Boot, Clock, Cursor, Header, Heartbeat, Level, Loss, Record
from corelog.wire.stream import Parser
from corelog.wire.stream import frames as flat

HEADER = Header(7, 0, 0, 0)
UNKNOWN = Header(7, 0, 0, 0, boot_unknown=True)


def encode(*items: Record | Loss | Boot | Heartbeat, header: Header = HEADER) -> bytes:
    encoders = {Record: frames.encode_record, Loss: frames.encode_loss, Boot: frames.encode_boot,
                Heartbeat: frames.encode_heartbeat}
    return frames.encode_header(header) + b"".join(encoders[type(i)](i) for i in items)


def record(seq: int, retained: int = 0, level: int = Level.INFO, origin: int = 0) -> Record:
    return Record(seq, seq * 10, level, "t", f"body {seq}", origin, retained)


def boot(boot_id: int = 7, start: int = 0, *, nxt: int = 100, origin: int = 0, previous: bool = False,
         retained: int = 0, unknown: bool = False) -> Boot:
    return Boot(origin, boot_id, 0, nxt, start, retained, previous, boot_unknown=unknown)


def feed(tracker: Tracker, *items: Record | Loss | Boot | Heartbeat, header: Header = HEADER) -> list:
    tracker.connected()
    out = tracker.feed(Parser().feed(encode(*items, header=header)))
    return list(flat([i for i in out if not isinstance(i, Forgotten | Header)])) + [
        i for i in out if isinstance(i, Forgotten)]


def test_records_and_losses_move_the_cursor_and_count_errors_exactly() -> None:
    t = Tracker()
    items = [boot(), record(0, 0), record(1, 0, Level.WARN), Loss(0, 2, 10, 4), record(12, 5, Level.ERROR)]
    assert feed(t, *items) == items
    assert t.cursors() == [Cursor(0, 7, 13, 6)]
    assert (t.places[0].delivered, t.places[0].lost) == (3, 10)


def test_gap_that_the_device_did_not_declare_is_declared_here() -> None:
    t = Tracker()
    out = feed(t, boot(), record(0), record(3), record(4), Loss(0, 7, 1, 1))
    assert [i for i in out if isinstance(i, Loss)] == [
        Loss(0, 1, 2, 2, exact=False, declared=False), Loss(0, 5, 2, 2, exact=False, declared=False), Loss(0, 7, 1, 1)]
    assert t.places[0].seq == 8
    assert t.places[0].delivered + t.places[0].lost == 8


def test_gap_below_the_wanted_level_is_no_loss() -> None:
    t = Tracker(min_level=Level.WARN)
    assert not [i for i in feed(t, boot(), record(5, 0, Level.WARN)) if isinstance(i, Loss)]
    assert t.cursors() == [Cursor(0, 7, 6, 1)]


def test_record_that_comes_again_is_left_out() -> None:
    t = Tracker()
    feed(t, boot(), *(record(i) for i in range(5)))
    out = feed(t, boot(start=5), *(record(i) for i in range(2, 8)), Loss(0, 3, 2, 0))
    assert [i.seq for i in out if isinstance(i, Record)] == [5, 6, 7]
    assert t.duplicates == 3 + 2


def test_rest_of_the_previous_boot_then_the_new_one() -> None:
    t = Tracker()
    feed(t, boot(), record(0), record(1))
    out = feed(t, boot(start=2, nxt=4, previous=True), record(2), record(3), boot(8), record(0))
    assert not [i for i in out if isinstance(i, Loss | Forgotten)]
    assert t.cursors() == [Cursor(0, 8, 1, 0)]


def test_previous_boot_that_ends_short_of_its_end_is_a_declared_gap() -> None:
    t = Tracker()
    out = feed(t, boot(nxt=4, previous=True), record(0), boot(8), record(0))
    assert [i for i in out if isinstance(i, Loss)] == [Loss(0, 1, 3, 3, exact=False, declared=False)]


def test_boot_that_the_device_no_longer_keeps_is_said_to_be_forgotten() -> None:
    t = Tracker()
    t.restore([Cursor(0, 6, 50, 3)])
    assert Forgotten(0, 6, 50) in feed(t, boot(7), record(0), header=UNKNOWN)


def test_previous_boot_that_was_read_to_its_end_is_not_forgotten() -> None:
    t = Tracker()
    t.restore([Cursor(0, 6, 50, 3)])
    assert not [i for i in feed(t, boot(7), record(0)) if isinstance(i, Forgotten)]


def test_origin_that_boots_during_a_subscription_leaves_its_boot_forgotten() -> None:
    t = Tracker()
    assert Forgotten(3, 9, 1) in feed(t, boot(), boot(9, origin=3), record(0, origin=3), boot(10, origin=3))


def test_flag_of_the_header_is_about_the_core_device_only() -> None:
    t = Tracker()
    t.restore([Cursor(0, 6, 50, 3), Cursor(3, 9, 5, 0), Cursor(4, 9, 5, 0)])
    out = feed(t, boot(7), boot(10, origin=3), boot(11, origin=4, unknown=True), header=UNKNOWN)
    # satellite 3 knew the boot of its cursor and has nothing more of it; satellite 4 did not
    assert [i for i in out if isinstance(i, Forgotten)] == [Forgotten(0, 6, 50), Forgotten(4, 9, 5)]


def test_cursor_of_a_satellite_is_forgotten_though_that_of_the_core_device_is_known() -> None:
    t = Tracker()
    t.restore([Cursor(0, 7, 50, 3), Cursor(3, 9, 5, 0)])
    out = feed(t, boot(7, 50), boot(10, origin=3, unknown=True))
    assert [i for i in out if isinstance(i, Forgotten)] == [Forgotten(3, 9, 5)]


def test_origin_may_appear_at_any_time_and_clocks_pass() -> None:
    t = Tracker()
    clock = Clock(0, 5, 1, 2, 10**6)
    t.connected()
    data = encode(boot(), record(0)) + frames.encode_clock(clock)
    data += encode(boot(9, origin=200), record(0, origin=200), record(1))[40:]
    assert clock in t.feed(Parser().feed(data))
    assert {o: (p.delivered, p.lost) for o, p in t.places.items()} == {0: (2, 0), 200: (1, 0)}


def test_cursor_ahead_of_the_device_goes_back_to_where_the_device_is() -> None:
    t = Tracker()
    t.restore([Cursor(0, 7, 1000, 3)])
    out = feed(t, boot(7, start=10, retained=RETAINED_UNKNOWN), record(10), record(11))
    assert [i.seq for i in out if isinstance(i, Record)] == [10, 11]
    assert t.duplicates == 0


def test_origins_keep_their_places_apart() -> None:
    t = Tracker()
    feed(t, boot(), boot(9, origin=3), record(0), record(0, origin=3), record(1), record(1, origin=3), record(2))
    assert [(c.origin, c.boot_id, c.seq) for c in t.cursors()] == [(0, 7, 3), (3, 9, 2)]


def test_record_before_its_boot_frame_breaks_the_protocol() -> None:
    with pytest.raises(ProtocolError, match="origin 0"):
        feed(Tracker(), record(0))


def test_damaged_record_gets_the_number_of_its_place() -> None:
    frame = bytearray(frames.encode_record(record(1)))
    frame[8] = 99  # seq
    data = encode(boot(), record(0)) + bytes(frame) + frames.encode_record(record(2))
    t = Tracker()
    got = [i for i in flat(t.feed(Parser().feed(data))) if isinstance(i, Record)]
    assert [(r.seq, r.damaged) for r in got] == [(0, False), (1, True), (2, False)]


def test_errors_are_counted_beyond_the_32_bits_of_the_field() -> None:
    t = Tracker()
    t.restore([Cursor(0, 7, 10, 2**32 - 1)])
    feed(t, boot(start=10), record(10, 2**32 - 1, Level.ERROR), record(11, 0))
    assert t.cursors() == [Cursor(0, 7, 12, 2**32)]


def test_law_holds_for_every_origin_of_a_mixed_stream() -> None:
    for seed in range(100):
        rng = random.Random(seed)
        t, seqs, items = Tracker(), dict.fromkeys((0, 1, 9), 0), []
        for _ in range(rng.randint(0, 60)):
            origin = rng.choice(list(seqs))
            if not any(isinstance(i, Boot) and i.origin == origin for i in items):
                items.append(boot(7 + origin, origin=origin))
            what = rng.random()
            if what < 0.2:
                count = rng.randint(1, 9)
                items.append(Loss(origin, seqs[origin], count, 0))
                seqs[origin] += count
            elif what < 0.4:
                seqs[origin] = max(0, seqs[origin] + rng.randint(-5, 5))
            else:
                items.append(record(seqs[origin], origin=origin))
                seqs[origin] += 1
        out = feed(t, *items)
        for origin, place in t.places.items():
            got = [i for i in out if isinstance(i, Record) and i.origin == origin]
            lost = sum(i.count for i in out if isinstance(i, Loss) and i.origin == origin)
            assert place.delivered == len({i.seq for i in got}) == len(got), f"seed {seed}"
            assert place.delivered + place.lost == place.seq - place.start, f"seed {seed}"
            assert lost >= place.lost, f"seed {seed}"  # a loss that overlaps what came before is passed on whole


def test_law_holds_for_random_streams_with_gaps_and_repetitions() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        t, seq, items = Tracker(), 0, [boot()]
        for _ in range(rng.randint(0, 40)):
            what = rng.random()
            if what < 0.2:
                count = rng.randint(1, 9)
                items.append(Loss(0, seq, count, 0))
                seq += count
            elif what < 0.4:
                seq = max(0, seq + rng.randint(-5, 5))
            else:
                items.append(record(seq))
                seq += 1
        feed(t, *items)
        place = t.places[0]
        assert place.delivered + place.lost == place.seq - place.start, f"seed {seed}"
