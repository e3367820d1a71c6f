"""Drivers of digital channels. All methods are kernels; durations are seconds, with `_mu` machine units.

`channel`: the RTIO channel; behind a satellite DRTIO destination << 16 | channel there.
"""

from __future__ import annotations

from typing import Any, SupportsIndex

from corelog.coredevice.core import DeviceManager
from corelog.coredevice.exceptions import CoreException
from corelog.language.core import delay, delay_mu, kernel, timeline
from corelog.language.timeline import MuTime

# Addresses of a TTL channel in the gateware
OUTPUT = 0
OUTPUT_ENABLE = 1
SENSITIVITY = 2
SAMPLE = 3

RISING = 1
FALLING = 2


class _Channel:
    def __init__(self, dmgr: DeviceManager, channel: int, core_device: str = "core"):
        self.core: Any = dmgr.get(core_device)
        self.channel = channel


class TTLOut(_Channel):
    """A digital output. `set_o`, `on` and `off` do not move the cursor; `pulse` moves it to the pulse's end."""

    @kernel
    def output(self) -> None:
        """Accepted for TTLInOut's sake: this channel is always an output."""

    @kernel
    def set_o(self, o: bool) -> None:
        """Sets the level."""
        timeline().output(self.channel, OUTPUT, 1 if o else 0)

    @kernel
    def on(self) -> None:
        self.set_o(True)

    @kernel
    def off(self) -> None:
        self.set_o(False)

    @kernel
    def pulse_mu(self, duration: SupportsIndex) -> None:
        self.on()
        delay_mu(duration)
        self.off()

    @kernel
    def pulse(self, duration: float) -> None:
        self.on()
        delay(duration)
        self.off()


class TTLInput(_Channel):
    """A digital input.

    A gate is open for a duration and returns the time of its end, which `count` and `timestamp_mu` take:
    `n = ttl.count(ttl.gate_rising(1*ms))`. Reading plays what the kernel recorded so far, and waits.
    """

    @kernel
    def input(self) -> None:
        """Accepted for TTLInOut's sake: this channel is always an input."""

    def _gate(self, edges: int, duration: SupportsIndex) -> MuTime:
        line = timeline()
        line.output(self.channel, SENSITIVITY, edges)
        delay_mu(duration)
        line.output(self.channel, SENSITIVITY, 0)
        return line.cursor

    @kernel
    def gate_rising_mu(self, duration: SupportsIndex) -> MuTime:
        return self._gate(RISING, duration)

    @kernel
    def gate_falling_mu(self, duration: SupportsIndex) -> MuTime:
        return self._gate(FALLING, duration)

    @kernel
    def gate_both_mu(self, duration: SupportsIndex) -> MuTime:
        return self._gate(RISING | FALLING, duration)

    @kernel
    def gate_rising(self, duration: float) -> MuTime:
        return self._gate(RISING, self.core.seconds_to_mu(duration))

    @kernel
    def gate_falling(self, duration: float) -> MuTime:
        return self._gate(FALLING, self.core.seconds_to_mu(duration))

    @kernel
    def gate_both(self, duration: float) -> MuTime:
        return self._gate(RISING | FALLING, self.core.seconds_to_mu(duration))

    @kernel
    def count(self, up_to_timestamp_mu: SupportsIndex) -> int:
        """Number of events until that time. Does not move the cursor."""
        return timeline().count(self.channel, up_to_timestamp_mu)

    @kernel
    def timestamp_mu(self, up_to_timestamp_mu: SupportsIndex) -> int:
        """Time of the next event, or -1 if none comes until that time. Does not move the cursor."""
        event = timeline().input(self.channel, up_to_timestamp_mu)
        return -1 if event is None else event[0]

    @kernel
    def sample_input(self) -> None:
        """Samples the level at the cursor; `sample_get` reads it."""
        timeline().output(self.channel, SAMPLE, 0)

    @kernel
    def sample_get(self) -> int:
        """The level of the oldest sample not read yet."""
        line = timeline()
        event = line.input(self.channel, line.cursor + self.core.seconds_to_mu(1e-3))
        if event is None:
            raise CoreException(f"channel 0x{self.channel:04x} has no sample to read: call sample_input() before")
        return event[1]

    @kernel
    def sample_get_nonrt(self) -> int:
        """The level now: samples at the counter's time and reads."""
        self.core.break_realtime()
        self.sample_input()
        return self.sample_get()


class TTLInOut(TTLOut, TTLInput):
    """A digital channel whose direction is set with `output()` and `input()`."""

    @kernel
    def set_oe(self, oe: bool) -> None:
        """Sets the direction: True for output. Takes effect before later levels; leave some time between."""
        timeline().output(self.channel, OUTPUT_ENABLE, 1 if oe else 0)

    @kernel
    def output(self) -> None:
        self.set_oe(True)

    @kernel
    def input(self) -> None:
        self.set_oe(False)
