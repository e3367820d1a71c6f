"""What the board said before a panic or a reboot is streamed after it, marked as of the previous boot."""

import pytest

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.wire.frames import Cursor, From, Level
from support.conditions import eventually
from support.readers import CORE, subscribed

pytestmark = [pytest.mark.board, pytest.mark.asyncio(loop_scope="module")]


async def boot_id(address: str) -> int | None:
    try:
        async with AsyncMgmt(address, timeout=2.0) as device:
            return (await device.identify()).boot_id
    except OSError:
        return None


async def booted_again(address: str, before: int | None) -> None:
    async def changed() -> bool:
        return await boot_id(address) not in (None, before)
    await eventually(changed, 30.0, "a new boot of the board")


async def test_next_boot_streams_the_panic_text_and_the_records_before_it(board: str) -> None:
    before = await boot_id(board)
    async with AsyncMgmt(board, timeout=30.0) as device:
        await device.debug_flood(25, level=Level.INFO)
        await device.debug_panic()
    await booted_again(board, before)
    async with subscribed(board, From.OLDEST, origins=CORE) as reader:
        await reader.wait_for_text("ARTIQ runtime starting")
        await reader.wait_until(lambda r: len(r.boots) == 2)
        previous, current = reader.boots
        assert previous.previous and previous.panicked and previous.boot_id == before
        assert not current.previous and current.boot_id != before
        last_words = [record for boot, record in reader.records if boot == before]
        assert [r.body for r in last_words if r.body.startswith("flood ")] == [f"flood {i}/25" for i in range(1, 26)]
        assert last_words[-1].level == Level.ERROR and "panic" in last_words[-1].body
        assert last_words[-1].seq == previous.next_seq - 1
        reader.check_law()


async def test_old_protocol_reader_gets_the_previous_boot_first_and_marked(board: str) -> None:
    before = await boot_id(board)
    async with AsyncMgmt(board, timeout=30.0) as device:
        await device.debug_flood(2)
        await device.reboot()
    await booted_again(board, before)
    text = b""
    async with AsyncMgmt(board) as device:
        async for piece in device.pull_log():
            text += piece
            if text.count(b"software ident") >= 2:
                break
    assert text.index(b"[previous boot] flood 2/2") < text.rindex(b"ARTIQ runtime starting")


async def test_cursor_of_the_boot_before_a_reboot_resumes_exactly_there(board: str) -> None:
    before = await boot_id(board)
    async with subscribed(board, From.NOW, origins=CORE) as reader, AsyncMgmt(board, timeout=30.0) as device:
        await device.debug_flood(10)
        await reader.wait_for_text("flood 7/10")
        resume = next(record.seq for _, record in reader.records if record.body == "flood 7/10")
    async with AsyncMgmt(board, timeout=30.0) as device:
        await device.reboot()
    await booted_again(board, before)
    async with subscribed(board, From.CURSORS, origins=CORE, cursors=(Cursor(0, before or 0, resume),)) as reader:
        await reader.wait_for_text("ARTIQ runtime starting")
        assert not reader.headers[0].boot_unknown
        bodies = [record.body for boot, record in reader.records if boot == before]
        assert bodies[:4] == ["flood 7/10", "flood 8/10", "flood 9/10", "flood 10/10"]
        assert any("restarting" in body for body in bodies)
        reader.check_law()
