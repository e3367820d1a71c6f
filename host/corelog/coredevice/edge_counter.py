"""Driver of edge counters: channels that count the edges of an input in gateware, so that any number of them needs one
event only. All methods are kernels; durations are seconds, with `_mu` machine units.

    with parallel:
        self.pmt_counter.gate_rising(1*ms)
        self.cool()
    counts = self.pmt_counter.fetch_count()

`channel`: the RTIO channel of the counter, not of its input; behind a satellite destination << 16 | channel there.
"""

from __future__ import annotations

from typing import Any, SupportsIndex

from corelog.coredevice.core import DeviceManager
from corelog.coredevice.exceptions import CoreException
from corelog.language.core import delay_mu, kernel, timeline
from corelog.language.timeline import MuTime

# Bits of an event's data
COUNT_RISING = 1
COUNT_FALLING = 2
SEND_COUNT = 4
RESET_TO_ZERO = 8


class CounterOverflow(Exception):
    """There were as many edges as the counter can count, or more."""


class EdgeCounter:
    """`gateware_width`: bits of the counter, which stays at its maximum when it gets there."""

    def __init__(self, dmgr: DeviceManager, channel: int, gateware_width: int = 31, core_device: str = "core"):
        self.core: Any = dmgr.get(core_device)
        self.channel = channel
        self.counter_max = (1 << gateware_width) - 1

    @kernel
    def set_config(self, count_rising: bool, count_falling: bool, send_count_event: bool, reset_to_zero: bool) -> None:
        """At the cursor: which edges count from now on, whether the count until now is sent, for `fetch_count`, and
        whether it starts from zero."""
        config = COUNT_RISING if count_rising else 0
        config |= COUNT_FALLING if count_falling else 0
        config |= SEND_COUNT if send_count_event else 0
        config |= RESET_TO_ZERO if reset_to_zero else 0
        timeline().output(self.channel, 0, config)

    def _gate(self, edges: int, duration: SupportsIndex) -> MuTime:
        line = timeline()
        line.output(self.channel, 0, edges | RESET_TO_ZERO)
        delay_mu(duration)
        line.output(self.channel, 0, SEND_COUNT)
        return line.cursor

    @kernel
    def gate_rising_mu(self, duration_mu: SupportsIndex) -> MuTime:
        """Counts rising edges, from zero, for that long, and sends the count. Returns the time of the end."""
        return self._gate(COUNT_RISING, duration_mu)

    @kernel
    def gate_falling_mu(self, duration_mu: SupportsIndex) -> MuTime:
        return self._gate(COUNT_FALLING, duration_mu)

    @kernel
    def gate_both_mu(self, duration_mu: SupportsIndex) -> MuTime:
        return self._gate(COUNT_RISING | COUNT_FALLING, duration_mu)

    @kernel
    def gate_rising(self, duration: float) -> MuTime:
        return self._gate(COUNT_RISING, self.core.seconds_to_mu(duration))

    @kernel
    def gate_falling(self, duration: float) -> MuTime:
        return self._gate(COUNT_FALLING, self.core.seconds_to_mu(duration))

    @kernel
    def gate_both(self, duration: float) -> MuTime:
        return self._gate(COUNT_RISING | COUNT_FALLING, self.core.seconds_to_mu(duration))

    @kernel
    def fetch_count(self) -> int:
        """The oldest count sent and not fetched yet. Waits for it, until 1 ms after the cursor."""
        return self.fetch_timestamped_count()[1]

    @kernel
    def fetch_timestamped_count(self, timeout_mu: SupportsIndex = -1) -> tuple[int, int]:
        """(time, count) of the oldest count sent and not fetched yet; the time is that of its sending, such as the
        end of a gate. Waits until the time `timeout_mu` and returns (-1, 0) if nothing was sent until then; without
        a timeout as `fetch_count`."""
        line = timeline()
        forever = not isinstance(timeout_mu, MuTime) and timeout_mu.__index__() < 0
        event = line.input(self.channel, line.cursor + self.core.seconds_to_mu(1e-3) if forever else timeout_mu)
        if event is None and forever:
            raise CoreException(f"channel 0x{self.channel:04x} has no count to fetch: open a gate before")
        if event is None:
            return -1, 0
        if event[1] >= self.counter_max:
            raise CounterOverflow(f"edge counter at channel 0x{self.channel:04x} reached its maximum, {event[1]}")
        return event
