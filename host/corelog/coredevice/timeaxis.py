"""One time axis for a core device and its satellites: the core device's time, and from there the host's.

Every board counts microseconds since its own boot. All share the RTIO counter, and clock frames tie one to the other:
satellite us -> RTIO counter -> core device us -> host time (`clock.py`). A satellite without clock frames (not
synchronised, or older firmware) is placed by its own heartbeats alone, which is marked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from corelog.coredevice.clock import ClockMap
from corelog.wire.frames import Boot, Clock, Header, Heartbeat
from corelog.wire.stream import Records

OSCILLATOR = 10_000  # a board's own oscillator is off by at most one part in so many (100 ppm)
RESOLUTION_NS = 1000  # of a record's time
TIES = 64  # clock frames remembered of a boot: a minute of heartbeats
BOOTS = 512  # boots remembered
ALIVE = 3.0  # seconds after its last sign of life in which an origin counts as live; heartbeats come every second


@dataclass(frozen=True, slots=True)
class Moment:
    """A device time on the axis.

    core_ns: nanoseconds since the core device's present boot (of its own records: since their boot), right to
    `uncertainty_ns`; both None if it is not tied to that. host: seconds since the epoch, None if nothing is known.
    """

    core_ns: int | None
    uncertainty_ns: int | None
    host: float | None


@dataclass(frozen=True, slots=True)
class _Tie:
    device_ns: int
    rtio_ns: int
    uncertainty_ns: int


class _Line:
    """The ties of one boot of an origin, in the order of its time; device and RTIO time both ways, in ns."""

    def __init__(self) -> None:
        self._ties: deque[_Tie] = deque(maxlen=TIES)

    def add(self, clock: Clock) -> None:
        tie = _Tie(clock.time * 1000, clock.counter * clock.unit_fs // 10**6, clock.uncertainty_ns)
        if self._ties and tie.device_ns < self._ties[-1].device_ns:
            self._ties.clear()  # the time of a boot does not go back: what came before is not of this one
        elif self._ties and tie.device_ns == self._ties[-1].device_ns:
            self._ties.pop()
        self._ties.append(tie)

    def to_rtio(self, device_ns: int) -> tuple[int, int]:
        """RTIO time and its uncertainty."""
        tie, uncertainty = self._nearest(device_ns, [t.device_ns for t in self._ties])
        return tie.rtio_ns + device_ns - tie.device_ns, uncertainty

    def to_device(self, rtio_ns: int) -> tuple[int, int]:
        """Device time and its uncertainty."""
        tie, uncertainty = self._nearest(rtio_ns, [t.rtio_ns for t in self._ties])
        return tie.device_ns + rtio_ns - tie.rtio_ns, uncertainty

    def _nearest(self, at: int, places: list[int]) -> tuple[_Tie, int]:
        """The tie nearest to `at`, the newer of two, and the uncertainty of going from there to `at`.

        Between two ties that agree the board's clock ran with the RTIO counter, so that the distance does not matter.
        """
        best = min(range(len(places)), key=lambda i: (abs(at - places[i]), -i))
        tie, away = self._ties[best], at - places[best]
        other = best + 1 if away > 0 else best - 1
        if away and 0 <= other < len(places) and (places[other] > at) == (away > 0):
            neighbour = self._ties[other]
            allowed = tie.uncertainty_ns + neighbour.uncertainty_ns
            if abs((neighbour.rtio_ns - tie.rtio_ns) - (neighbour.device_ns - tie.device_ns)) <= allowed:
                return tie, allowed
        return tie, tie.uncertainty_ns + abs(away) // OSCILLATOR


class TimeAxis:
    """Feed it what the streams of a device and its satellites say about time; ask it when something happened.

    `live`: origins that were heard of lately.
    """

    def __init__(self) -> None:
        self._boots: dict[int, int] = {}  # origin -> boot id that its frames are about now
        self._core: int | None = None  # boot id of the core device
        self._hosts: dict[tuple[int, int], ClockMap] = {}  # (origin, boot id) -> host time by its heartbeats
        self._lines: dict[tuple[int, int], _Line] = {}  # (origin, boot id) -> ties to the RTIO counter
        self._under: dict[tuple[int, int], int] = {}  # (origin, boot id) -> boot of the core device they are about
        self._heard: dict[int, float] = {}

    def feed(self, items: Iterable[object], arrival: float) -> None:
        """Learns from what came at host time `arrival`: headers, boots, heartbeats, clocks."""
        for item in items:
            if isinstance(item, Header):
                self._core = item.boot_id
                self._boots, self._heard = {0: item.boot_id}, {}
                self._host(0, item.boot_id).sample(item.time, arrival)
            elif isinstance(item, Boot):
                self._heard[item.origin] = arrival
                self._boots[item.origin] = item.boot_id
            elif isinstance(item, Heartbeat):
                if item.origin in self._heard:  # those of origins that nobody asked for come too
                    self._heard[item.origin] = arrival
                if item.origin in self._boots:
                    self._host(item.origin, self._boots[item.origin]).sample(item.time, arrival)
            elif isinstance(item, Records):
                self._heard[item.only_origin()] = arrival
            elif isinstance(item, Clock):
                self._clock(item)

    def _clock(self, clock: Clock) -> None:
        boot_id = self._boots.get(clock.origin)
        if boot_id is None or self._core is None:
            return
        key = clock.origin, boot_id
        core = boot_id if clock.origin == 0 else self._core
        if self._under.get(key) != core:  # the counter began anew with the core device
            self._under[key] = core
            self._lines[key] = _Line()
        self._lines[key].add(clock)
        _bound(self._lines)
        _bound(self._under)

    def _host(self, origin: int, boot_id: int) -> ClockMap:
        key = origin, boot_id
        if key not in self._hosts:
            self._hosts[key] = ClockMap()
            _bound(self._hosts)
        return self._hosts[key]

    def live(self, now: float) -> list[int]:
        """Origins whose records come, and that were heard of in the last seconds before host time `now`."""
        return [origin for origin, heard in self._heard.items() if now - heard < ALIVE]

    def moment(self, origin: int, boot_id: int, device_us: int, latest: float | None = None) -> Moment:
        """When it was `device_us` in that boot of that origin; in host time not after `latest` (its arrival).

        Of a boot that was not followed while it went on nothing is known.
        """
        key = origin, boot_id
        core = boot_id if origin == 0 else self._under.get(key)
        core_ns = uncertainty = None
        if origin == 0:
            core_ns, uncertainty = device_us * 1000, 0
        elif core is not None and (0, core) in self._lines:
            rtio_ns, far = self._lines[key].to_rtio(device_us * 1000)
            core_ns, near = self._lines[0, core].to_device(rtio_ns)
            uncertainty = far + near + RESOLUTION_NS
        clock = self._hosts.get(key if core_ns is None or core is None else (0, core))
        host = None if clock is None else clock.host(device_us if core_ns is None else core_ns / 1000, latest)
        if origin != 0 and core != self._core:
            return Moment(None, None, host)
        return Moment(core_ns, uncertainty, host)

    def place(self, origin: int, boot_id: int, device_us: int) -> float | None:
        """Where that is in the time of the core device's present boot, in us; estimated through the host's clock
        where there is no better way, None where there is none. To put records in order."""
        moment = self.moment(origin, boot_id, device_us)
        if moment.core_ns is not None and (origin != 0 or boot_id == self._core):
            return moment.core_ns / 1000
        return None if moment.host is None else self.core_us(moment.host)

    def core_us(self, host: float) -> float | None:
        """Time of the core device's present boot at a host time; None before the first header."""
        clock = self._core_clock
        return None if clock is None else clock.device_us(host)

    def host(self, core_us: float) -> float | None:
        """Host time at a time of the core device's present boot; None before the first header."""
        clock = self._core_clock
        return None if clock is None else clock.host(core_us)

    @property
    def _core_clock(self) -> ClockMap | None:
        return None if self._core is None else self._hosts.get((0, self._core))


def _bound(entries: dict[tuple[int, int], Any]) -> None:
    """Drops the oldest of too many."""
    while len(entries) > BOOTS:
        del entries[next(iter(entries))]
