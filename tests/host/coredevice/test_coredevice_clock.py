"""Host time from heartbeats: delays are never negative, clocks drift, simulated boards are slow."""

import random

import pytest

from corelog.coredevice.clock import ClockMap


def follow(rate: float, seconds: int, seed: int, delay: float = 0.002) -> float:
    """Worst error in s over the last 10 s of a run, for events of the last half second."""
    rng = random.Random(seed)
    clock, worst = ClockMap(), 0.0
    for i in range(seconds):
        device = i + 5.0
        true = 1e9 + device * rate
        late = delay * rng.random() + (0.3 if rng.random() < 0.1 else 0.0)
        clock.sample(int(device * 1e6), true + late)
        if i > seconds - 10:
            event = device + rng.random() * 0.5
            got = clock.host(int(event * 1e6))
            assert got is not None
            worst = max(worst, abs(got - (1e9 + event * rate)))
    return worst


@pytest.mark.parametrize("rate", [1.0, 1.0001, 0.9999, 1.3, 5.0])
@pytest.mark.parametrize("seed", range(4))
def test_error_stays_small_for_drifting_and_slow_clocks_with_late_messages(rate: float, seed: int) -> None:
    assert follow(rate, 120, seed) < 0.1


def test_without_late_messages_the_error_is_that_of_the_delay() -> None:
    clock = ClockMap()
    for i in range(100):
        clock.sample(i * 1_000_000, 1e9 + i * 1.00005 + 0.0005)
    assert abs(clock.host(99_500_000) - (1e9 + 99.5 * 1.00005)) < 0.001


def test_nothing_is_known_before_the_first_sample() -> None:
    assert ClockMap().host(5) is None
    assert not ClockMap().known
    assert ClockMap().host(5, 17.0) == 17.0


def test_event_is_never_later_than_its_arrival() -> None:
    clock = ClockMap()
    clock.sample(1_000_000, 100.0)
    assert clock.host(3_000_000, latest=101.5) == 101.5
