"""A core device's record in the master's log store: from where and when the device wrote it, exactly."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from corelog.lab.system import System
from sipyco.pc_rpc import AsyncioClient

EXAMPLE = Path(__file__).parents[2] / "examples" / "collision.py"
MESSAGE = "RTIO collision involving channel 0x0004:ttl4"

pytestmark = [pytest.mark.board, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


async def stored(system: System, **selection: Any) -> list[dict[str, Any]]:
    """The records that meet the selection, once there are any: a moment after they are broadcast."""
    client = AsyncioClient()
    await client.connect_rpc(system.address, 3251, "log_store")
    try:
        start = 0
        async with asyncio.timeout(20):
            while True:
                page = await client.read(start, 5000, 5.0, **selection)
                if page["records"]:
                    found: list[dict[str, Any]] = page["records"]
                    return found
                start = page["next"]
    finally:
        await client.close_rpc()


async def test_collision_in_the_store_has_origin_seq_and_device_time_that_corelog_log_shows(system: System) -> None:
    await system.run(str(EXAMPLE))
    entry = await system.tap.wait_for(lambda e: f":{MESSAGE}" in e.text, 20.0)
    log = await system.command("log", "--device-db", str(system.device_db_path), "--no-follow", "--json")
    rows = [json.loads(line) for line in log.lines if line.startswith("{")]
    shown = [row for row in rows if row["type"] == "record" and entry.text.endswith(f":{row['message']}")]
    kept = await stored(system, since=entry.time, level=40, contains=MESSAGE, origin=0)
    assert len(kept) == 1 and kept[0]["source"] == "controller(core_log)"
    assert len(shown) == 1, shown
    same = ("origin", "seq", "boot_id", "device_us", "core_us", "uncertainty_ns", "message")
    assert {key: kept[0].get(key) for key in same} == {key: shown[0][key] for key in same}
    assert f"{kept[0]['name']}:{kept[0]['message']}" == entry.text
    assert 0 <= kept[0]["time"] - kept[0]["host_time"] < 10  # written before it came; a busy simulator is slow
