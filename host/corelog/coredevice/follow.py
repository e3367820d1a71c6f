"""Follows a core device's log for ever: connects, subscribes, falls back to PullLog, reconnects and resumes."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from corelog.coredevice.mgmt import PORT, AsyncMgmt
from corelog.coredevice.requests import DeviceError
from corelog.coredevice.stream import SILENCE, NotSupported
from corelog.coredevice.watch import PATIENCE, watch
from corelog.wire.cursor import Forgotten, Tracker
from corelog.wire.frames import From, Level
from corelog.wire.mgmt import Capability, Identity
from corelog.wire.stream import Item
from corelog.wire.text import TextParser, TextRecord

logger = logging.getLogger(__name__)

# A device that reboots accepts a connection (or its network's gateway does) and then says nothing, or forgets what it
# was asked: attempts are short up to the stream's header, and now and then long enough for one that is slow.
ATTEMPTS = (0.3, 0.3, 0.5, 0.3, 0.5, 1.0, 3.0)
FIRST_RETRY, LONGEST_RETRY = 0.05, 0.25
STEADY = 1.0  # a connection that lived so long counts as a good one
REQUEST_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Device:
    """Which device to listen to. `destination`: only that one of it and its satellites; None: all."""

    address: str
    port: int = PORT
    destination: int | None = None
    silence: float = SILENCE


@dataclass(frozen=True, slots=True)
class Up:
    """Connected. protocol: "stream" or "text"; after: seconds without a connection, None at the first;
    at: host time, seconds since the epoch."""

    protocol: str
    after: float | None
    at: float


@dataclass(frozen=True, slots=True)
class Down:
    """The connection is lost, or (`first`) there is none yet. Said once, however many attempts follow."""

    reason: str
    first: bool
    at: float


@dataclass(frozen=True, slots=True)
class Batch:
    """What the stream gave at once; `arrival`: host time, seconds since the epoch."""

    items: list[Item | Forgotten]
    arrival: float


@dataclass(frozen=True, slots=True)
class Text:
    """Messages of a device that knows only the old protocol. arrival: None if they are old already."""

    records: list[TextRecord]
    arrival: float | None


Event = Up | Down | Batch | Text


class Follower:
    """`async with aclosing(follower.events()) as events: async for event in events: ...`

    tracker: keeps the place; one with places resumes there. start: where to begin without. level: the least grave
    wanted. identified: called with the identity at each connection before the subscription.
    """

    def __init__(
        self,
        device: Device,
        tracker: Tracker,
        *,
        start: From = From.OLDEST,
        level: int = Level.TRACE,
        identified: Callable[[Identity], None] | None = None,
    ) -> None:
        self._device = device
        self.tracker = tracker
        self._start, self._level = start, level
        self._identified = identified
        # a device that closes instead of answering may be rebooting; only one that does it again knows no better
        self._knows_streams = bool(tracker.places)
        self._refusals = 0
        self._attempts = 0
        self._down_since: float | None = None
        self._was_up = False
        self._up_at: float | None = None
        self._restarting: int | None = None

    async def events(self) -> AsyncGenerator[Event, None]:
        """Never ends by itself; the consumer's pace holds back the device's."""
        pause = FIRST_RETRY
        while True:
            self._up_at = None
            reason = "the device closed the connection"
            try:
                async with aclosing(self._session()) as session:
                    async for event in session:
                        yield event
            except OSError as exc:  # ConnectionError, TimeoutError, DeviceError, no route, no such host
                reason = os.strerror(exc.errno).lower() if exc.errno else str(exc) or "no answer"
            logger.debug("connection to %s: %s", self._device.address, reason)
            if self._down_since is None:
                self._down_since = time.monotonic()
                yield Down(reason, not self._was_up, time.time())
            if self._up_at is not None:
                self._attempts = 0
                if time.monotonic() - self._up_at > STEADY:
                    pause = FIRST_RETRY
                    continue  # the first retry at once
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 1.5, LONGEST_RETRY)

    def _up(self, protocol: str) -> Up:
        after = time.monotonic() - self._down_since if self._down_since is not None else None
        self._down_since = None
        self._was_up = True
        self._up_at = time.monotonic()
        logger.info("connected to %s, protocol: %s", self._device.address, protocol)
        return Up(protocol, after, time.time())

    def _connection(self, destination: int = 0) -> AsyncMgmt:
        timeout = ATTEMPTS[self._attempts % len(ATTEMPTS)]
        self._attempts += 1
        return AsyncMgmt(self._device.address, self._device.port, destination, timeout)

    async def _session(self) -> AsyncGenerator[Event, None]:
        async with self._connection() as device:
            has_streams = False
            try:
                await self._identify(device)
                has_streams = True
                origins = () if self._device.destination is None else (self._device.destination,)
                stream = await device.subscribe(
                    self._start, self._level, origins, tracker=self.tracker, silence=PATIENCE
                )
            except TimeoutError:
                raise
            except (DeviceError, ConnectionError) as exc:
                if has_streams or not self._refused(exc):
                    raise
            else:
                self._refusals = 0
                if stream.header is not None and stream.header.boot_id == self._restarting:
                    stream.restarting.set()  # the boot that has said so, once more, before it goes
                yield self._up("stream")
                if self._start == From.NOW:
                    self._start = From.OLDEST  # what comes while there is no connection is wanted
                watching = asyncio.create_task(
                    watch(stream, self._device.address, self._device.port, self._device.silence)
                )
                try:
                    async for items in stream:
                        yield Batch(items, time.time())
                finally:
                    watching.cancel()
                    if stream.restarting.is_set() and stream.header is not None:
                        self._restarting = stream.header.boot_id
                return
        async with self._connection(self._device.destination or 0) as device:
            device.timeout = REQUEST_TIMEOUT
            yield self._up("text")
            async with aclosing(_pull(device)) as texts:
                async for text in texts:
                    yield text

    async def _identify(self, device: AsyncMgmt) -> None:
        identity = await device.identify()
        if not identity.capabilities & Capability.SUBSCRIBE:
            raise NotSupported("the device has no record stream")
        self._knows_streams = True
        if self._identified is not None:
            self._identified(identity)

    def _refused(self, exc: OSError) -> bool:
        """Whether this failure of Identify or Subscribe means that the device knows only the old protocol."""
        self._refusals += 1
        if self._knows_streams:
            return self._refusals > 3
        return self._refusals > 1 or not isinstance(exc, ConnectionError)


async def _pull(device: AsyncMgmt) -> AsyncGenerator[Text, None]:
    parser = TextParser()
    async with aclosing(device.pull_log()) as texts:
        async for text in texts:
            if records := parser.feed(text):
                yield Text(records, time.time())
    if records := parser.flush():
        yield Text(records, time.time())
