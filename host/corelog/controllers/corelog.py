"""The log controller: a core device's records, from its management socket to process lines, for ever.

Whatever happens to the device, the network or the reader of the lines: every record that the device still holds is
written once, in order, and what is missing is said in its place.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from typing import Any

from corelog.controllers.lines import OWN_NAME, Chunk, LineMaker, logger_name, process_line, text_message
from corelog.controllers.output import Output
from corelog.controllers.state import State, as_dicts
from corelog.coredevice.mgmt import PORT, AsyncMgmt
from corelog.coredevice.requests import DeviceError
from corelog.coredevice.stream import SILENCE, NotSupported
from corelog.wire.cursor import Tracker
from corelog.wire.frames import Cursor, Level
from corelog.wire.mgmt import Capability, Identity
from corelog.wire.text import TextParser

logger = logging.getLogger(__name__)

# A device that reboots accepts a connection (or its network's gateway does) and then says nothing: attempts are short,
# and now and then long enough for one that is slow.
ATTEMPTS = (0.3, 0.3, 0.5, 0.3, 0.5, 1.0, 3.0)
FIRST_RETRY, LONGEST_RETRY = 0.05, 0.25
REQUEST_TIMEOUT = 5.0
# one that closes instead of answering may be rebooting; only one that does it again knows no better
REFUSALS = 2


@dataclass(frozen=True, slots=True)
class Device:
    """Which device to listen to. `destination` 0: itself and all its satellites; else only that satellite."""

    address: str
    port: int = PORT
    destination: int = 0
    silence: float = SILENCE


class CoreLog:
    """`await run()` ends only when the output's reader is gone, or cancelled. `ping`, `status` are for RPC."""

    def __init__(self, device: Device, output: Output, state: State | None = None, cursors: tuple[Cursor, ...] = ()):
        self._device = device
        self._output = output
        self._state = state
        self._tracker = Tracker()
        self._tracker.restore(cursors)
        self._maker = LineMaker(cursors)
        self._knows_streams = bool(cursors)
        self._refusals = 0
        self._protocol: str | None = None
        self._connections = 0
        self._attempts = 0
        self._texts = 0
        self._progress = False
        self._down_since: float | None = None

    def ping(self) -> bool:
        """Whether the controller lives (it does, if it answers). Whether it hears the device: see `status`."""
        return True

    def status(self) -> dict[str, Any]:
        """Counters since the start of the controller, and its place in the streams."""
        return {
            "address": self._device.address,
            "connected": self._protocol is not None,
            "protocol": self._protocol,
            "connections": self._connections,
            "records": self._maker.records,
            "lost": self._maker.lost,
            "duplicates": self._tracker.duplicates,
            "text_messages": self._texts,
            "lines_written": self._output.lines,
            "bytes_waiting": self._output.size,
            "own_messages_dropped": self._output.dropped,
            "cursors": as_dicts(self._tracker.cursors()),
        }

    async def run(self) -> None:
        """Raises ReaderGone."""
        pause = FIRST_RETRY
        while True:
            self._progress = False
            try:
                await self._session()
                reason = "the device closed the connection"
            except OSError as exc:  # ConnectionError, TimeoutError, DeviceError, no route, no such host
                reason = str(exc) or "no answer"
            finally:
                self._protocol = None
            self._down(reason)
            if self._progress:
                pause = FIRST_RETRY
                self._attempts = 0
                continue  # the first retry at once
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 1.5, LONGEST_RETRY)

    def _say(self, level: Level, text: str) -> None:
        self._output.put([Chunk(process_line(level, OWN_NAME, text.replace("\n", " ")), 1)])

    def _down(self, reason: str) -> None:
        """Says once that there is no connection."""
        logger.debug("connection to %s: %s", self._device.address, reason)
        if self._down_since is None or self._progress:
            self._down_since = time.monotonic()
            lost = f"connection to {self._device.address} lost" if self._connections else "no connection to " + (
                self._device.address + " yet")  # fmt: skip
            self._say(Level.WARN, f"{lost} ({reason}); trying again")

    def _up(self, protocol: str) -> None:
        self._protocol = protocol
        self._connections += 1
        self._progress = True
        if self._down_since is not None:
            gap = time.monotonic() - self._down_since
            self._down_since = None
            self._say(Level.INFO, f"connected to {self._device.address} after {gap:.1f} s")
        logger.info("connected to %s, %s", self._device.address, protocol)

    def _connection(self, destination: int = 0) -> AsyncMgmt:
        timeout = ATTEMPTS[self._attempts % len(ATTEMPTS)]
        self._attempts += 1
        return AsyncMgmt(self._device.address, self._device.port, destination, timeout)

    async def _session(self) -> None:
        async with self._connection() as device:
            device.timeout = REQUEST_TIMEOUT
            try:
                identity = await device.identify()
                if not identity.capabilities & Capability.SUBSCRIBE:
                    raise NotSupported("no record stream")
                self._refusals = 0
                self._same_board(identity)
                await self._stream(device)
                return
            except TimeoutError:
                raise
            except (NotSupported, DeviceError, ConnectionError) as exc:
                if self._protocol is not None or not self._refused(exc):
                    raise
        async with self._connection(self._device.destination) as device:
            await self._pull(device)

    def _refused(self, exc: OSError) -> bool:
        """Whether this failure of Identify or Subscribe means that the device knows only the old protocol."""
        self._refusals += 1
        if isinstance(exc, ConnectionError) or self._knows_streams:
            return self._refusals >= (REFUSALS if not self._knows_streams else REFUSALS + 1)
        return True

    def _same_board(self, identity: Identity) -> None:
        """Cursors of another board mean nothing on this one."""
        self._knows_streams = True
        state = self._state
        if state is None or state.board_id == identity.board_id:
            return
        if self._tracker.places and state.board_id:
            self._say(Level.WARN, f"this is another board ({identity.board_id:016x}, not {state.board_id:016x}): "
                                  "its log is read from its beginning")  # fmt: skip
            self._tracker.places.clear()
            self._maker.forget()
        state.forget(identity.board_id)

    async def _stream(self, device: AsyncMgmt) -> None:
        origins = (self._device.destination,) if self._device.destination else ()
        stream = await device.subscribe(
            level=Level.TRACE, origins=origins, tracker=self._tracker, silence=self._device.silence
        )
        self._up("stream")
        output, maker = self._output, self._maker
        async for items in stream:
            output.put(maker.feed(items))
            await output.ready()

    async def _pull(self, device: AsyncMgmt) -> None:
        device.timeout = REQUEST_TIMEOUT
        parser = TextParser()
        texts = device.pull_log()
        self._up("text")
        try:
            async for text in texts:
                self._put_text(parser, text)
                await self._output.ready()
        finally:
            self._put_text(parser, None)

    def _put_text(self, parser: TextParser, text: bytes | None) -> None:
        for record in parser.flush() if text is None else parser.feed(text):
            self._texts += 1
            message = text_message(record)
            line = process_line(record.level, logger_name(record.target), message)
            self._output.put([Chunk(line, message.count("\n") + 1)])
