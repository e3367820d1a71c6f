"""Readers of a device's log that remember what came, so that tests can hold it against the law."""

import asyncio
import contextlib
import itertools
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence

from corelog.wire.frames import Boot, Clock, Cursor, From, Header, Heartbeat, Level, Loss, Record, encode_subscribe
from corelog.wire.mgmt import PORT, greeting
from corelog.wire.stream import Item, Parser, Records


class Reader:
    """One subscriber: keeps the records, losses and boots of all origins in the order in which they came."""

    def __init__(self) -> None:
        self.items: list[Record | Loss | Boot] = []
        self.boots: list[Boot] = []
        self.records: list[tuple[int, Record]] = []  # boot id, record
        self.losses: list[tuple[int, Loss]] = []
        self.places: dict[int, tuple[int, int]] = {}  # origin: boot id, next number
        self.reading = asyncio.Event()
        self.reading.set()
        self.headers: list[Header] = []
        self.heartbeats: list[Heartbeat] = []
        self.clocks: list[Clock] = []
        self.end: str | None = None  # how the stream ended, if it did
        self._changed = asyncio.Event()

    def take(self, items: list[Item]) -> None:
        for item in items:
            if isinstance(item, Records):
                for record in item:
                    assert not record.damaged and not record.undecodable, record
                    boot_id, _ = self.places[record.origin]
                    self.items.append(record)
                    self.records.append((boot_id, record))
                    self.places[record.origin] = boot_id, record.seq + 1
            elif isinstance(item, Loss):
                boot_id, _ = self.places[item.origin]
                self.items.append(item)
                self.losses.append((boot_id, item))
                self.places[item.origin] = boot_id, item.seq + item.count
            elif isinstance(item, Boot):
                self.items.append(item)
                self.boots.append(item)
                self.places[item.origin] = item.boot_id, item.start_seq
            elif isinstance(item, Header):
                self.headers.append(item)
            elif isinstance(item, Clock):
                self.clocks.append(item)
            else:
                self.heartbeats.append(item)
        self._changed.set()

    @property
    def next_seq(self) -> int | None:
        """Number of the core device's next record."""
        return self.places[0][1] if 0 in self.places else None

    async def wait_until(self, condition: Callable[["Reader"], bool], timeout: float = 60.0) -> None:
        async with asyncio.timeout(timeout):
            while not condition(self):
                assert self.end is None, f"the stream ended: {self.end}"
                self._changed.clear()
                await self._changed.wait()

    def ended(self, how: str) -> None:
        self.end = how
        self._changed.set()

    async def wait_for_text(self, text: str, timeout: float = 60.0, origin: int | None = None,
                            start: int = 0) -> Record:
        """The first record from number `start` of `records` on that has the text (and is of the origin)."""
        seen = start

        def found() -> Record | None:
            nonlocal seen
            for _, record in self.records[seen:]:
                if text in record.body and origin in (None, record.origin):
                    return record
                seen += 1
            return None

        try:
            await self.wait_until(lambda _: found() is not None, timeout)
        except TimeoutError:
            last = [f"{record.origin}: {record.body}" for _, record in self.records[-8:]]
            raise TimeoutError(f"no {text!r} within {timeout:g} s; the last records: {last}") from None
        return self.records[seen][1]

    async def wait_until_all_came(self, origins: Sequence[int], timeout: float = 60.0) -> None:
        """Returns when of each origin everything has come that it told of after now."""
        start = len(self.heartbeats)

        def came(reader: "Reader") -> bool:
            told = {beat.origin: beat.next_seq for beat in reader.heartbeats[start:]}
            return all(origin in told and reader.places[origin][1] >= told[origin] for origin in origins)

        try:
            await self.wait_until(came, timeout)
        except TimeoutError:
            told = {beat.origin: beat.next_seq for beat in self.heartbeats[start:]}
            raise TimeoutError(f"not all came within {timeout:g} s: {self.places}, told: {told}") from None

    def of(self, origin: int) -> list[Record | Loss | Boot]:
        return [item for item in self.items if item.origin == origin]

    def flood(self, origin: int = 0) -> list[int]:
        """Numbers of the records of Debug floods of an origin, in the order in which they came."""
        found = (re.match(r"flood (\d+)/", record.body) for _, record in self.records if record.origin == origin)
        return [int(match[1]) for match in found if match]

    def lost(self, origin: int) -> int:
        """How many records of an origin were declared lost."""
        return sum(loss.count for _, loss in self.losses if loss.origin == origin)

    def check_flood(self, origin: int, count: int) -> None:
        """Every number of a Debug flood once, in order, but for those among the lost; the last one is kept."""
        numbers = self.flood(origin)
        assert all(before < after for before, after in itertools.pairwise(numbers))
        assert numbers[0] >= 1 and numbers[-1] == count
        assert len(numbers) + self.lost(origin) >= count

    def check_law(self) -> None:
        """Every number of every boot of every origin exactly once, delivered or declared lost, in order; a boot that
        another one followed does not come back."""
        place: dict[int, tuple[int, int]] = {}
        ended: set[tuple[int, int]] = set()
        for item in self.items:
            boot_id, expected = place.get(item.origin, (None, None))
            if isinstance(item, Boot):
                assert (item.origin, item.boot_id) not in ended, f"{item} was ended by another boot"
                if item.boot_id == boot_id:
                    assert item.start_seq == expected, f"{item} where number {expected} was due"
                elif boot_id is not None:
                    ended.add((item.origin, boot_id))
                place[item.origin] = item.boot_id, item.start_seq
            else:
                assert item.seq == expected, f"{item} where number {expected} was due"
                assert boot_id is not None and expected is not None
                place[item.origin] = boot_id, expected + (item.count if isinstance(item, Loss) else 1)


CORE = (0,)  # origins of a core device alone, whatever is behind it
RECEIVE_BUFFER = 8192  # small, so that a reader that stops is felt by the device and not by the host's buffers


@contextlib.asynccontextmanager
async def subscribed(address: str, start: From = From.OLDEST, *, level: int = Level.TRACE,
                     origins: Sequence[int] = (), cursors: tuple[Cursor, ...] = (),
                     silence: float = 60.0) -> AsyncIterator[Reader]:
    """A subscriber that reads in the background until the block ends; clear `reader.reading` to stop its reading."""
    reader = Reader()
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setblocking(False)
        async with asyncio.timeout(10.0):
            await loop.sock_connect(sock, (address, PORT))
            await loop.sock_sendall(sock, greeting(0) + encode_subscribe(start, level, origins, cursors))
            assert await loop.sock_recv(sock, 1) == b"e"

        async def read() -> None:
            parser = Parser()
            while True:
                await reader.reading.wait()
                async with asyncio.timeout(silence):
                    data = await loop.sock_recv(sock, 1 << 16)
                if not data:
                    return
                reader.take(parser.feed(data))

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                reader.ended(repr(task.exception() or "closed by the device"))

        task = asyncio.create_task(read())
        task.add_done_callback(ended)
        try:
            yield reader
            assert reader.end is None, f"the stream ended: {reader.end}"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
