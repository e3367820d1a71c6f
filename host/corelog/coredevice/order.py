"""Puts the records of several boards in the order of their time.

A satellite's records take longer to the host than the core device's. So what comes is held until it is `HOLD` old on
the time axis (that is at most so long after its arrival), and goes on in the order of the axis. What is older
already, as after a reconnection, goes on at once. One origin's items never change their order, and as long as there is
only one, nothing is held.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import numpy as np
import numpy.typing as npt

from corelog.coredevice.follow import Batch, Event
from corelog.coredevice.timeaxis import TimeAxis
from corelog.wire.cursor import Forgotten
from corelog.wire.frames import Boot, Header, Loss
from corelog.wire.stream import Item, Records

HOLD = 0.05  # seconds
LIMIT = 1 << 16  # records held above which all go on

Floats = npt.NDArray[np.float64]


class _Held:
    """An item, where its parts are on the axis (us of the core device, never decreasing), and when it came."""

    __slots__ = ("arrival", "item", "places")

    def __init__(self, item: Item | Forgotten, places: Floats, arrival: float) -> None:
        self.item, self.places, self.arrival = item, places, arrival


class Order:
    """`feed` what a Tracker gave, as it comes; `due` gives what may go on, `flush` all. Host times are given.

    hold: seconds; None holds everything until `flush`. What only concerns clocks is not passed on once held.
    """

    def __init__(self, axis: TimeAxis, hold: float | None = HOLD) -> None:
        self._axis, self._hold = axis, hold
        self._queues: dict[int, deque[_Held]] = {}
        self._boots: dict[int, int] = {}
        self._last: dict[int, float] = {}  # place of each origin's last item
        self._records = 0

    @property
    def holding(self) -> bool:
        return bool(self._queues)

    def feed(self, items: Sequence[Item | Forgotten], arrival: float) -> list[Item | Forgotten]:
        """Takes items; gives what may go on now."""
        self._axis.feed(items, arrival)
        if any(isinstance(item, Header) for item in items):
            self._last.clear()  # the axis may be another
        if self._hold is not None and not self._queues and len(self._axis.live(arrival)) < 2:
            for item in items:
                if isinstance(item, Boot):
                    self._boots[item.origin] = item.boot_id
            return list(items)
        for item in items:
            if isinstance(item, Records):
                self._put(item.only_origin(), item, arrival)
                self._records += len(item)
            elif isinstance(item, Boot):
                self._boots[item.origin] = item.boot_id
                self._put(item.origin, item, arrival)
            elif isinstance(item, Loss | Forgotten):
                self._put(item.origin, item, arrival)
        return self.flush() if self._hold is not None and self._records > LIMIT else self.due(arrival)

    def _put(self, origin: int, item: Item | Forgotten, arrival: float) -> None:
        """A record was not written after it came, whatever its time says. What is no record, or of no known time, goes
        with what came before it."""
        latest = self._axis.core_us(arrival)
        last = self._last.get(origin, -np.inf)
        places = np.full(len(item) if isinstance(item, Records) else 1, last)
        if isinstance(item, Records):
            times, boot_id = item.time, self._boots[origin]
            first, end = int(times[0]), int(times[-1])
            at_first, at_end = (self._axis.place(origin, boot_id, t) for t in (first, end))
            if at_first is not None and at_end is not None and latest is not None:
                stretch = (at_end - at_first) / (end - first) if end > first else 1.0
                places = at_first + (times.astype(np.float64) - float(first)) * stretch
                places = np.maximum.accumulate(np.clip(places, last, max(latest, last)))
        self._last[origin] = float(places[-1])
        self._queues.setdefault(origin, deque()).append(_Held(item, places, arrival))

    def due(self, now: float) -> list[Item | Forgotten]:
        """What is old enough at host time `now`."""
        if self._hold is None or not self._queues:
            return []
        until = self._axis.core_us(now - self._hold)
        until = np.inf if until is None else until
        found: list[tuple[Floats, Item | Forgotten]] = []
        for origin, queue in list(self._queues.items()):
            while queue:
                held = queue[0]
                count = len(held.places)
                if now - self._hold < held.arrival <= now:  # else its time is over, or the host's clock was set back
                    count = int(np.searchsorted(held.places, until, side="right"))
                if count == 0:
                    break
                found.append((held.places[:count], _part(held.item, 0, count)))
                if count < len(held.places):
                    queue[0] = _Held(_part(held.item, count, None), held.places[count:], held.arrival)
                    break
                queue.popleft()
            if not queue:
                del self._queues[origin]
        return self._merge(found)

    def flush(self) -> list[Item | Forgotten]:
        """Everything, in order."""
        found = [(held.places, held.item) for queue in self._queues.values() for held in queue]
        self._queues.clear()
        return self._merge(found)

    def wait(self, now: float) -> float | None:
        """Seconds until something may become due; None while nothing is held."""
        if self._hold is None or not self._queues:
            return None
        heads = [queue[0] for queue in self._queues.values()]
        hosts = [(self._axis.host(float(held.places[0])), held.arrival) for held in heads]
        since = min(arrival if host is None else min(host, arrival) for host, arrival in hosts)
        return min(max(0.0, since + self._hold - now), self._hold)

    def _merge(self, found: list[tuple[Floats, Item | Forgotten]]) -> list[Item | Forgotten]:
        """The items by place; equal places in the order given. Runs of records are cut where others come between."""
        self._records -= sum(len(item) for _, item in found if isinstance(item, Records))
        starts = [float(places[0]) for places, _ in found]
        ends = [float(places[-1]) for places, _ in found]
        if all(end <= start for end, start in zip(ends, starts[1:], strict=False)):
            return [item for _, item in found]
        sizes = [len(places) for places, _ in found]
        number = np.repeat(np.arange(len(found)), sizes)
        index = np.concatenate([np.arange(size) for size in sizes])
        order = np.argsort(np.concatenate([places for places, _ in found]), kind="stable")
        number, index = number[order], index[order]
        out: list[Item | Forgotten] = []
        begin = 0
        for end in [*(np.flatnonzero(np.diff(number)) + 1).tolist(), len(number)]:
            first = int(index[begin])
            out.append(_part(found[int(number[begin])][1], first, first + end - begin))
            begin = end
        return out


def _part(item: Item | Forgotten, first: int, end: int | None) -> Item | Forgotten:
    return item[first:end] if isinstance(item, Records) else item


async def in_order(events: AsyncGenerator[Event, None], axis: TimeAxis) -> AsyncGenerator[Event, None]:
    """The follower's events with the batches in order. What is held when anything but a batch comes goes before it."""
    order = Order(axis)
    coming: asyncio.Future[Event] | None = None
    async with aclosing(events):
        try:
            while True:
                if not order.holding and coming is None:
                    event = await anext(events)
                else:
                    coming = coming or asyncio.ensure_future(anext(events))
                    await asyncio.wait([coming], timeout=order.wait(time.time()))
                    if not coming.done():
                        if items := order.due(time.time()):
                            yield Batch(items, time.time())
                        continue
                    event, coming = coming.result(), None
                if not isinstance(event, Batch):
                    if items := order.flush():
                        yield Batch(items, time.time())
                    yield event
                elif items := order.feed(event.items, event.arrival):
                    yield Batch(items, event.arrival)
        except StopAsyncIteration:
            return
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
