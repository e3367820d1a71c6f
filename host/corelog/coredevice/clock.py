"""Host time of what happened at a device time, learnt from messages that carry the device's time.

A message arrives later than it was sent, never earlier, by a delay that is often small and sometimes large. So the
device's clock is a line (rate and offset) that no sample lies below, and the one that touches the samples is it.
"""

from __future__ import annotations

from collections import deque

WINDOW = 64  # samples; heartbeats come every second
# a board in the simulator may run slower than real time, a crystal is 1e-4 off at most
RATES = (0.02, 50.0)
SHORTEST_BASE = 2.0  # seconds of samples from which on a rate is estimated


class ClockMap:
    """One boot of one origin. Times: device in us, host in seconds since the epoch."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=WINDOW)  # device s, host s
        self._rate = 1.0
        self._offset = 0.0

    def sample(self, device_us: int, host: float) -> None:
        """A message sent at `device_us` arrived at `host`."""
        self._samples.append((device_us / 1e6, host))
        self._fit()

    @property
    def known(self) -> bool:
        return bool(self._samples)

    def host(self, device_us: float, latest: float | None = None) -> float | None:
        """Host time of a device time; not after `latest` (its arrival). None before the first sample."""
        if not self._samples:
            return latest
        time = self._offset + self._rate * device_us / 1e6
        return time if latest is None else min(time, latest)

    def device_us(self, host: float) -> float | None:
        """Device time at a host time; None before the first sample."""
        return (host - self._offset) / self._rate * 1e6 if self._samples else None

    def _fit(self) -> None:
        samples = self._samples
        n = len(samples)
        d0, h0 = samples[0]
        if samples[-1][0] - d0 >= SHORTEST_BASE:
            mean_d = sum(d - d0 for d, _ in samples) / n
            mean_h = sum(h - h0 for _, h in samples) / n
            variance = sum((d - d0 - mean_d) ** 2 for d, _ in samples)
            if variance > 0:
                rate = sum((d - d0 - mean_d) * (h - h0 - mean_h) for d, h in samples) / variance
                self._rate = min(max(rate, RATES[0]), RATES[1])
        self._offset = min(h - self._rate * d for d, h in samples)
