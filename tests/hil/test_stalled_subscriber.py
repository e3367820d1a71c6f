"""A subscriber that does not keep up loses records, and learns exactly which; errors and warnings are kept longer."""

import asyncio
import itertools
import os

import pytest

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.wire.frames import Cursor, From, Level, Loss
from support.readers import CORE, subscribed

pytestmark = [pytest.mark.board, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(1500)]

# Several times what the ring and all buffers between device and reader hold. `make test FULL=1`: of the shortest
# records, minutes on two processors.
COUNT, LENGTH = (100_000, 0) if os.environ.get("FULL") else (4_000, 400)
WARN_EVERY = COUNT // 100


async def test_subscriber_that_stopped_reading_gets_one_exact_loss_per_gap_and_every_warning(board: str) -> None:
    async with subscribed(board, From.NOW, origins=CORE) as reader, AsyncMgmt(board, timeout=600.0) as device:
        await reader.wait_until(lambda r: bool(r.boots))
        reader.reading.clear()
        await device.debug_flood(COUNT, level=Level.DEBUG if await debug_is_logged(device) else Level.INFO,
                                 body_length=LENGTH, warn_every=WARN_EVERY)
        reader.reading.set()
        await reader.wait_for_text(f"flood {COUNT}/{COUNT}", 400.0)  # the stack probes a closed window ever more rarely
        reader.check_law()
        flood = [record for _, record in reader.records if record.body.startswith("flood ")]
        losses = [loss for _, loss in reader.losses]
        assert losses, "the subscriber kept up with everything: the test did not stall it"
        assert len(flood) + sum(loss.count for loss in losses) >= COUNT
        warnings = [record.body.rstrip(".") for record in flood if record.level == Level.WARN]
        assert warnings == [f"flood {i}/{COUNT}" for i in range(WARN_EVERY, COUNT + 1, WARN_EVERY)]
        assert all(loss.exact and loss.retained == 0 for loss in losses)
        # one loss per gap: never two in a row
        pairs = itertools.pairwise(reader.items)
        assert not any(isinstance(a, Loss) and isinstance(b, Loss) for a, b in pairs)


async def debug_is_logged(device: AsyncMgmt) -> bool:
    try:
        return await device.config_read("log_level") in (b"DEBUG", b"TRACE")
    except OSError:
        return False


async def test_loss_says_how_many_errors_and_warnings_were_among_the_lost(board: str) -> None:
    async with subscribed(board, From.NOW, origins=CORE) as reader, AsyncMgmt(board, timeout=600.0) as device:
        await reader.wait_until(lambda r: bool(r.boots))
        reader.reading.clear()
        count = 3_000  # 1.8 MB: several times what the ring and all buffers between device and reader hold
        await device.debug_flood(count, level=Level.WARN, body_length=600)
        reader.reading.set()
        await reader.wait_for_text(f"flood {count}/{count}.", 400.0)
        reader.check_law()
        losses = [loss for _, loss in reader.losses]
        assert losses and all(loss.exact for loss in losses)
        delivered = sum(record.level <= Level.WARN for _, record in reader.records)
        assert delivered + sum(loss.retained for loss in losses) == reader.next_seq - reader.boots[0].start_seq - sum(
            record.level > Level.WARN for _, record in reader.records) - sum(
            loss.count - loss.retained for loss in losses)
        assert sum(loss.retained for loss in losses) > 0


@pytest.mark.parametrize("seq", [0, 1, 2**32 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("same_boot", [True, False])
async def test_any_cursor_old_future_or_absurd_gives_a_lawful_stream(board: str, seq: int, same_boot: bool) -> None:
    async with AsyncMgmt(board) as device:
        boot_id = (await device.identify()).boot_id
        cursor = Cursor(0, boot_id if same_boot else boot_id ^ 0x5A5A, seq)
        async with subscribed(board, From.CURSORS, origins=CORE, cursors=(cursor,)) as reader:
            await reader.wait_until(lambda r: bool(r.boots) and r.boots[-1].boot_id == boot_id)
            header = reader.headers[0]
            assert header.boot_unknown == (not same_boot)
            assert header.cursor_ahead == (same_boot and seq > header.next_seq)
            await device.debug_flood(3)
            await reader.wait_for_text("flood 3/3")
            reader.check_law()


async def test_heartbeat_comes_at_least_every_second_when_idle(board: str) -> None:
    async with subscribed(board, From.NOW, origins=CORE) as reader:
        async with asyncio.timeout(30.0):
            await reader.wait_until(lambda r: len(r.heartbeats) >= 4)
        times = [beat.time for beat in reader.heartbeats]
        assert all(0 < b - a <= 1_100_000 for a, b in itertools.pairwise(times)), times
