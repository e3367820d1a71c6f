"""Uptime counter: microseconds, consistent 64-bit reading, alarm."""

from collections.abc import Generator
from typing import Any

import pytest
from migen import run_simulation

from corelog_gateware.soc.uptime import NEVER, Uptime

Steps = Generator[Any, Any, Any]
TWO_MHZ = 2_000_000


def read(csr: Any) -> Steps:
    """Read like the CSR bus does: the value of the cycle in which the read strobe is high."""
    yield csr.we.eq(1)
    yield
    value = yield csr.status
    yield csr.we.eq(0)
    return value


def write(csr: Any, value: int) -> Steps:
    """Write like the CSR bus does: the strobe is high together with the new value."""
    yield csr.storage.eq(value)
    yield csr.re.eq(1)
    yield
    yield csr.re.eq(0)


def arm(uptime: Uptime, time: int) -> Steps:
    yield from write(uptime._alarm_hi, time >> 32)
    yield from write(uptime._alarm_lo, time & 0xFFFFFFFF)


def run(uptime: Uptime, *steps: Steps) -> None:
    run_simulation(uptime, list(steps))


@pytest.mark.parametrize("cycles_per_us", [1, 2, 125])
def test_it_counts_whole_microseconds_at_any_clock_of_whole_megahertz(cycles_per_us: int) -> None:
    uptime = Uptime(cycles_per_us * 1_000_000)

    def steps() -> Steps:
        start = yield uptime.us
        for _ in range(3 * cycles_per_us):
            yield
        assert (yield uptime.us) == start + 3

    run(uptime, steps())


@pytest.mark.parametrize("clk_freq", [0, 500_000, 62_500_000, 1_000_001])
def test_a_clock_that_gives_no_whole_microseconds_is_refused(clk_freq: int) -> None:
    with pytest.raises(ValueError, match="whole number of MHz"):
        Uptime(clk_freq)


def test_both_words_of_a_reading_are_of_one_instant_although_the_low_word_overflows_between() -> None:
    uptime = Uptime(TWO_MHZ)
    uptime.us.reset.value = 2**32 - 3

    def steps() -> Steps:
        seen = []
        for _ in range(12):
            low = yield from read(uptime._lo)
            yield  # the counter goes on while software comes back for the high word
            yield
            yield
            high = yield uptime._hi.status
            seen.append(high << 32 | low)
        assert seen == sorted(seen)
        assert seen[0] < 2**32 < seen[-1] < 2**32 + 40

    run(uptime, steps())


def test_the_alarm_fires_at_its_time_and_stays_until_it_is_moved() -> None:
    uptime = Uptime(TWO_MHZ)

    def steps() -> Steps:
        yield from arm(uptime, 10)
        while not (yield uptime.ev.alarm.trigger):
            assert (yield uptime.us) <= 10
            yield
        assert (yield uptime.us) == 10
        for _ in range(20):
            yield
            assert (yield uptime.ev.alarm.trigger)
        yield from arm(uptime, NEVER)
        yield
        yield
        assert not (yield uptime.ev.alarm.trigger)

    run(uptime, steps())


def test_an_alarm_in_the_past_fires_at_once() -> None:
    uptime = Uptime(TWO_MHZ)

    def steps() -> Steps:
        for _ in range(100):
            yield
        yield from arm(uptime, 5)
        yield
        yield
        yield
        assert (yield uptime.ev.alarm.trigger)

    run(uptime, steps())


def test_it_is_disarmed_after_reset_and_by_all_ones() -> None:
    uptime = Uptime(TWO_MHZ)
    uptime.us.reset.value = NEVER - 2

    def steps() -> Steps:
        for _ in range(20):
            yield
            assert not (yield uptime.ev.alarm.trigger)

    run(uptime, steps())


def test_the_high_word_of_an_alarm_counts_only_with_the_low_word() -> None:
    uptime = Uptime(TWO_MHZ)

    def steps() -> Steps:
        yield from arm(uptime, 2**32 + 50)
        yield from write(uptime._alarm_hi, 0)
        for _ in range(200):
            yield
            assert not (yield uptime.ev.alarm.trigger)
        yield from write(uptime._alarm_lo, 50)
        for _ in range(4):
            yield
        assert (yield uptime.ev.alarm.trigger)

    run(uptime, steps())
