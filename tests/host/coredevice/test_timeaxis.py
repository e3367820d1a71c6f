"""One time axis: device times of all boards on the core device's, right to the uncertainty that is given."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelog.coredevice.timeaxis import BOOTS, TIES, TimeAxis
from corelog.wire.frames import Boot, Clock, Header, Heartbeat

UNIT_FS = 1_000_000
U64 = st.integers(0, 2**64 - 1)


def boot(origin: int, boot_id: int, previous: bool = False) -> Boot:
    return Boot(origin, boot_id, 0, 0, 0, 0, previous)


class Board:
    """A board whose counter of us began at `start` (true seconds) and runs `off` too fast."""

    def __init__(self, origin: int, start: float, off: float = 0.0) -> None:
        self.origin, self.start, self.off = origin, start, off

    def us(self, true: float) -> int:
        return int((true - self.start) * (1 + self.off) * 1e6)

    def clock(self, true: float, jump: float = 0.0) -> Clock:
        return Clock(self.origin, 1000, self.us(true), int((true + jump) * 1e15) // UNIT_FS, UNIT_FS)


def axis(*boards: Board, at: float = 100.0) -> TimeAxis:
    a = TimeAxis()
    a.feed([Header(7, boards[0].us(at), 0, 0)], 1e9 + at)
    a.feed([boot(b.origin, 7 + b.origin) for b in boards], 1e9 + at)
    return a


CORE = Board(0, 10.0)


@pytest.mark.parametrize("seed", range(30))
def test_mapped_time_is_right_to_its_uncertainty(seed: int) -> None:
    rng = random.Random(seed)
    satellite = Board(2, rng.uniform(-1e4, 90), rng.choice([0.0, 1e-4, -1e-4, rng.uniform(-1e-4, 1e-4)]))
    a = axis(CORE, satellite)
    for at in sorted(rng.uniform(100, 160) for _ in range(rng.randint(1, 20))):
        a.feed([CORE.clock(at), satellite.clock(at)], 1e9 + at)
    for _ in range(200):
        true = rng.uniform(satellite.start, 300)
        moment = a.moment(2, 9, satellite.us(true))
        assert abs(moment.core_ns - (true - CORE.start) * 1e9) <= moment.uncertainty_ns + 10, (seed, true)


def test_between_clocks_that_agree_the_distance_does_not_matter() -> None:
    satellite = Board(2, 50.0)
    a = axis(CORE, satellite)
    for at in (100.0, 150.0):
        a.feed([CORE.clock(at), satellite.clock(at)], 1e9 + at)
    assert a.moment(2, 9, satellite.us(120.0)).uncertainty_ns == 1000 * 5
    before = a.moment(2, 9, satellite.us(60.0))
    assert before.uncertainty_ns == pytest.approx(2 * 40e9 * 1e-4, rel=0.01)  # both boards, 40 s before a clock
    assert before.core_ns == pytest.approx(50e9, abs=2000)


def test_core_device_is_the_axis_itself() -> None:
    a = axis(CORE)
    moment = a.moment(0, 7, 123_456)
    assert (moment.core_ns, moment.uncertainty_ns) == (123_456_000, 0)
    assert moment.host == pytest.approx(1e9 + 10.123456, abs=1e-5)


def test_host_time_of_a_satellite_comes_from_the_core_device_not_from_its_late_heartbeats() -> None:
    satellite = Board(2, 50.0)
    a = axis(CORE, satellite)
    a.feed([CORE.clock(100), satellite.clock(100), Heartbeat(2, satellite.us(100), 0)], 1e9 + 100.4)
    assert a.moment(2, 9, satellite.us(99.0)).host == pytest.approx(1e9 + 99.0, abs=1e-5)


def test_satellite_without_clocks_is_placed_by_its_heartbeats_and_marked() -> None:
    satellite = Board(2, 50.0)
    a = axis(CORE, satellite)
    assert a.moment(2, 9, 5).host is None
    a.feed([CORE.clock(100), Heartbeat(2, satellite.us(100), 0)], 1e9 + 100.01)
    moment = a.moment(2, 9, satellite.us(99.0))
    assert (moment.core_ns, moment.uncertainty_ns) == (None, None)
    assert moment.host == pytest.approx(1e9 + 99.01, abs=1e-5)
    assert a.place(2, 9, satellite.us(99.0)) == pytest.approx(CORE.us(99.01), abs=100)


def test_counter_that_jumps_leaves_each_record_with_the_clock_nearest_to_it() -> None:
    satellite = Board(2, 50.0)
    a = axis(CORE, satellite)
    a.feed([CORE.clock(100), satellite.clock(100, jump=1000.0)], 1e9 + 100)  # before it was told the time
    a.feed([CORE.clock(110), satellite.clock(110)], 1e9 + 110)
    late = a.moment(2, 9, satellite.us(108.0))
    assert late.core_ns == pytest.approx(98e9, abs=2000)
    assert late.uncertainty_ns >= 2e9 * 1e-4


def test_reboot_of_a_satellite_begins_a_new_line_and_keeps_the_old_one() -> None:
    old, new = Board(2, 50.0), Board(2, 104.0)
    a = axis(CORE, old)
    a.feed([CORE.clock(100), old.clock(100)], 1e9 + 100)
    a.feed([boot(2, 77), CORE.clock(105), new.clock(105)], 1e9 + 105)
    assert a.moment(2, 77, new.us(104.5)).core_ns == pytest.approx(94.5e9, abs=2000)
    assert a.moment(2, 9, old.us(103.0)).core_ns == pytest.approx(93e9, abs=2000)


def test_reboot_of_the_core_device_starts_the_axis_anew_and_what_was_before_has_negative_times() -> None:
    satellite, again = Board(2, 50.0), Board(0, 120.0)
    a = axis(CORE, satellite)
    a.feed([CORE.clock(100), satellite.clock(100)], 1e9 + 100)
    a.feed([Header(70, again.us(125), 0, 0), boot(0, 70), boot(2, 9)], 1e9 + 125)
    # until it is synchronised again, its times are those of the boot of the core device that it was tied to
    moment = a.moment(2, 9, satellite.us(101.0))
    assert (moment.core_ns, moment.uncertainty_ns) == (None, None)
    assert moment.host == pytest.approx(1e9 + 101, abs=1e-3)
    counter = -120.0  # the counter began with the board
    for at in (126.0, 127.0):
        a.feed([again.clock(at, counter), satellite.clock(at, counter)], 1e9 + at)
    assert a.moment(2, 9, satellite.us(119.0)).core_ns == pytest.approx(-1e9, abs=2000)
    assert a.moment(2, 9, satellite.us(126.5)).core_ns == pytest.approx(6.5e9, abs=2000)
    assert a.place(2, 9, satellite.us(126.5)) == pytest.approx(6.5e6, abs=2)


def test_origin_that_is_silent_is_not_live() -> None:
    a = axis(CORE, Board(2, 50.0))
    assert a.live(1e9 + 101) == [0, 2]
    a.feed([Heartbeat(0, 1, 1)], 1e9 + 104)
    assert a.live(1e9 + 105) == [0]


def test_clock_after_the_frame_of_a_previous_boot_is_about_that_boot() -> None:
    old, new = Board(2, 50.0), Board(2, 90.0)
    a = axis(CORE)
    a.feed([CORE.clock(100), boot(2, 77, previous=True), old.clock(80), boot(2, 9), new.clock(100)], 1e9 + 100)
    assert a.moment(2, 77, old.us(81.0)).core_ns == pytest.approx(71e9, abs=2000)
    assert a.moment(2, 9, new.us(99.0)).core_ns == pytest.approx(89e9, abs=2000)


def test_heartbeats_of_origins_that_nobody_asked_for_make_none_live() -> None:
    a = TimeAxis()
    a.feed([Header(7, CORE.us(100), 0, 0), boot(2, 9), Heartbeat(0, CORE.us(100), 0), Heartbeat(3, 5, 0)], 1e9 + 100)
    assert a.live(1e9 + 100) == [2]


@given(st.lists(st.tuples(st.sampled_from(["clock", "boot", "beat", "header"]), st.integers(0, 3), U64, U64, U64)),
       U64, U64)
def test_any_values_are_borne(messages: list, boot_id: int, device_us: int) -> None:
    a = TimeAxis()
    a.feed([Header(1, 0, 0, 0)], 1e9)
    for kind, origin, x, y, z in messages:
        item = {"clock": Clock(origin, x & 0xFFFFFFFF, y, z, x), "boot": boot(origin, x % 3, bool(y & 1)),
                "beat": Heartbeat(origin, x, y), "header": Header(x % 3, y, 0, 0)}[kind]
        a.feed([item], 1e9 + (z & 0xFFFF) / 1000)
    for origin in range(4):
        for b in (boot_id, 0, 1, 2):
            moment = a.moment(origin, b, device_us, 2e9)
            assert (moment.core_ns is None) == (moment.uncertainty_ns is None)
            assert moment.uncertainty_ns is None or moment.uncertainty_ns >= 0
            assert moment.host is None or moment.host <= 2e9
            a.place(origin, b, device_us)


def test_what_is_remembered_is_bounded() -> None:
    a = axis(CORE)
    for i in range(3 * BOOTS):
        a.feed([boot(2, i), Clock(2, 0, i, i, 1), Heartbeat(2, i, 0)], 1e9 + i)
    for i in range(3 * TIES):
        a.feed([Clock(2, 0, i, i, 1)], 1e9)
    assert max(len(a._lines), len(a._hosts), len(a._under)) <= BOOTS
    assert len(a._lines[2, 3 * BOOTS - 1]._ties) <= TIES
