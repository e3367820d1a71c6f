"""Readers of the old and the new protocol together: nothing stolen, nothing twice, each at its own pace."""

import asyncio
import contextlib

import pytest

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.wire.frames import From, Level
from support.readers import CORE, subscribed

pytestmark = [pytest.mark.board, pytest.mark.asyncio(loop_scope="module")]

COUNT = 400


class PullReader:
    """A PullLog client of the old protocol."""

    def __init__(self) -> None:
        self.text = b""
        self.sizes: list[int] = []
        self.changed = asyncio.Event()

    async def read(self, address: str) -> None:
        async with AsyncMgmt(address) as device:
            async for text in device.pull_log():
                self.sizes.append(len(text))
                self.text += text
                self.changed.set()

    async def wait_for(self, line: bytes, timeout: float = 60.0) -> None:
        async with asyncio.timeout(timeout):
            while line not in self.text:
                self.changed.clear()
                await self.changed.wait()


@contextlib.asynccontextmanager
async def pulling(address: str, count: int):
    readers = [PullReader() for _ in range(count)]
    tasks = [asyncio.create_task(reader.read(address)) for reader in readers]
    try:
        yield readers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_three_pulllog_clients_and_two_subscribers_each_get_every_record_once_in_order(board: str) -> None:
    async with (pulling(board, 3) as pullers, subscribed(board, From.NOW, origins=CORE) as one,
                subscribed(board, From.NOW, origins=CORE) as two, AsyncMgmt(board, timeout=120.0) as device):
        for puller in pullers:
            await puller.wait_for(b"software ident")  # they start at the oldest kept record
        await device.debug_flood(COUNT, level=Level.INFO)
        last = f"flood {COUNT}/{COUNT}"
        for subscriber in (one, two):
            await subscriber.wait_for_text(last)
            subscriber.check_law()
            bodies = [record.body for _, record in subscriber.records if record.body.startswith("flood ")]
            assert bodies == [f"flood {i}/{COUNT}" for i in range(1, COUNT + 1)]
        for puller in pullers:
            await puller.wait_for(last.encode())
            assert 0 not in puller.sizes, "an empty record"
            lines = [line for line in puller.text.decode().splitlines() if "): flood " in line]
            assert [line.split("): ")[1] for line in lines] == [f"flood {i}/{COUNT}" for i in range(1, COUNT + 1)]


async def test_clearing_the_log_takes_nothing_from_a_connected_pulllog_client(board: str) -> None:
    async with pulling(board, 1) as (puller,), AsyncMgmt(board, timeout=60.0) as device:
        await puller.wait_for(b"software ident")
        await device.debug_flood(50)
        await device.clear_log()
        await device.debug_flood(3)
        await puller.wait_for(b"flood 3/3")
        assert puller.text.count(b"): flood ") >= 53
        text = await device.get_log()
        assert "flood 50/50" not in text and "flood 3/3" in text


async def test_repeating_a_subscribe_with_the_same_cursor_gives_the_same_records(board: str) -> None:
    async with AsyncMgmt(board, timeout=60.0) as device:
        await device.debug_flood(40)
        next_seq = (await _header(board)).next_seq
        bodies = []
        for _ in range(2):
            async with subscribed(board, From.OLDEST, origins=CORE) as reader:
                await reader.wait_until(lambda r: r.next_seq is not None and r.next_seq >= next_seq)
                bodies.append([record.body for _, record in reader.records][-40:])
        assert bodies[0] == bodies[1]


async def _header(address: str):
    async with subscribed(address, From.NOW, origins=CORE) as reader:
        await reader.wait_until(lambda r: bool(r.headers))
        return reader.headers[0]
