"""A subscription to a core device's record stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from corelog.coredevice.requests import DeviceError
from corelog.wire.cursor import Forgotten, Tracker
from corelog.wire.errors import ProtocolError
from corelog.wire.frames import Header
from corelog.wire.stream import Item, Parser, Records, SubscribeRefused

READ_SIZE = 1 << 18
SILENCE = 3.0  # a heartbeat comes every second


# what firmware, ours and upstream's, logs last before it reboots on request
LAST_WORD = b"restarting"


class NotSupported(DeviceError):
    """The device speaks only the old protocol."""


class Subscription:
    """Async iterator of batches (lists of items, as they came in), checked and counted by `tracker`.

    Ends when the device closes the connection. Raises TimeoutError after `silence` seconds without a byte, and
    DeviceError when the stream breaks its rules. The first batch begins with `header`. `AsyncMgmt.subscribe`
    makes one. `restarting` is set once the device has said that it is about to reboot.
    """

    def __init__(self, reader: asyncio.StreamReader, tracker: Tracker, silence: float = SILENCE) -> None:
        self._reader = reader
        self._parser = Parser()
        self._silence = silence
        self._pending: list[Item] = []
        self.tracker = tracker
        self.header: Header | None = None
        self.last_read = asyncio.get_running_loop().time()
        self.restarting = asyncio.Event()

    async def start(self) -> Header:
        """Waits for the header. Raises NotSupported if the device refuses or closes instead."""
        while self.header is None:
            try:
                batch = await self._read()
            except SubscribeRefused as exc:
                raise NotSupported(str(exc)) from exc
            if batch is None:
                raise NotSupported("the device closed the connection instead of answering Subscribe")
            if batch:
                first = batch[0]
                if not isinstance(first, Header):
                    raise DeviceError("the record stream does not begin with a header")
                self.header = first
                self._pending = batch
        return self.header

    def fail(self, exc: OSError) -> None:
        """Makes the reading of the stream raise `exc`: somebody knows that nothing more will come."""
        self._reader.set_exception(exc)

    async def _read(self) -> list[Item] | None:
        async with asyncio.timeout(self._silence):
            data = await self._reader.read(READ_SIZE)
        self.last_read = asyncio.get_running_loop().time()
        return self._parser.feed(data) if data else None

    def __aiter__(self) -> AsyncIterator[list[Item | Forgotten]]:
        return self._batches()

    async def _batches(self) -> AsyncIterator[list[Item | Forgotten]]:
        try:
            if self._pending:
                batch, self._pending = self._pending, []
                yield self.tracker.feed(batch)
            while (items := await self._read()) is not None:
                if items:
                    checked = self.tracker.feed(items)
                    if _last_body(checked) == LAST_WORD:
                        self.restarting.set()
                    yield checked
        except ProtocolError as exc:
            raise DeviceError(f"record stream: {exc}") from exc
        except TimeoutError as exc:
            raise TimeoutError(str(exc) or f"nothing from the device for {self._silence:g} s") from None


def _last_body(items: list[Item | Forgotten]) -> bytes | None:
    """Text of the last record of the core device itself."""
    for item in reversed(items):
        if isinstance(item, Records) and item.only_origin() == 0:
            return item.last_body()
    return None
