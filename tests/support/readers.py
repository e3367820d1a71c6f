"""Readers of a device's log that remember what came, so that tests can hold it against the law."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

from corelog.wire.frames import Boot, Cursor, From, Header, Heartbeat, Level, Loss, Record, encode_subscribe
from corelog.wire.mgmt import PORT, greeting
from corelog.wire.stream import Item, Parser, Records


class Reader:
    """One subscriber: keeps records, losses and boots in the order in which they came."""

    def __init__(self) -> None:
        self.items: list[Record | Loss | Boot] = []
        self.boots: list[Boot] = []
        self.records: list[tuple[int, Record]] = []  # boot id, record
        self.losses: list[tuple[int, Loss]] = []
        self.next_seq: int | None = None
        self.reading = asyncio.Event()
        self.reading.set()
        self.headers: list[Header] = []
        self.heartbeats: list[Heartbeat] = []
        self._boot_id = 0
        self._changed = asyncio.Event()

    def take(self, items: list[Item]) -> None:
        for item in items:
            if isinstance(item, Records):
                for record in item:
                    assert not record.damaged and not record.undecodable, record
                    self.items.append(record)
                    self.records.append((self._boot_id, record))
                    self.next_seq = record.seq + 1
            elif isinstance(item, Loss):
                self.items.append(item)
                self.losses.append((self._boot_id, item))
                self.next_seq = item.seq + item.count
            elif isinstance(item, Boot):
                self.items.append(item)
                self.boots.append(item)
                self._boot_id = item.boot_id
                self.next_seq = item.start_seq
            elif isinstance(item, Header):
                self.headers.append(item)
            else:
                self.heartbeats.append(item)
        self._changed.set()

    async def wait_until(self, condition: Callable[["Reader"], bool], timeout: float = 60.0) -> None:
        async with asyncio.timeout(timeout):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def wait_for_text(self, text: str, timeout: float = 60.0) -> Record:
        await self.wait_until(lambda r: any(text in record.body for _, record in r.records), timeout)
        return next(record for _, record in self.records if text in record.body)

    def check_law(self) -> None:
        """Every number of every boot exactly once, delivered or declared lost, in order."""
        expected: int | None = None
        for item in self.items:
            if isinstance(item, Boot):
                expected = item.start_seq
            else:
                assert item.seq == expected, f"{item} where number {expected} was due"
                expected = item.seq + (item.count if isinstance(item, Loss) else 1)


RECEIVE_BUFFER = 8192  # small, so that a reader that stops is felt by the device and not by the host's buffers


@contextlib.asynccontextmanager
async def subscribed(address: str, start: From = From.OLDEST, *, level: int = Level.TRACE,
                     cursors: tuple[Cursor, ...] = (), silence: float = 10.0) -> AsyncIterator[Reader]:
    """A subscriber that reads in the background until the block ends; clear `reader.reading` to stop its reading."""
    reader = Reader()
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setblocking(False)
        async with asyncio.timeout(10.0):
            await loop.sock_connect(sock, (address, PORT))
            await loop.sock_sendall(sock, greeting(0) + encode_subscribe(start, level, cursors=cursors))
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

        task = asyncio.create_task(read())
        try:
            yield reader
            assert not task.done(), f"the stream ended: {task}"
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
