"""Floods on all boards of a tree at once, over links that corrupt symbols: delivered + declared lost = produced."""

import asyncio
import os

import pytest

from corelog.wire.frames import From
from support.readers import subscribed
from support.trees import PATIENCE, destinations, device_time, flood, links, seeded

pytestmark = [pytest.mark.board, pytest.mark.simulated("symbols on the links are corrupted"), pytest.mark.timeout(1500)]

CORRUPTED = 1e-4


# `make test FULL=1`: 20,000 records a board in the chain, which takes ten minutes on two processors.
SIZES = {"chain": 20_000, "star": 2_000} if os.environ.get("FULL") else {"chain": 1_000, "star": 300}


# The star is done with fewer: what differs is who shares a link.
@pytest.mark.parametrize(("shape", "count"), SIZES.items())
async def test_floods_of_all_boards_with_one_symbol_in_10000_corrupted_on_every_link(shape: str, count: int) -> None:
    async with seeded(shape) as tree, subscribed(str(tree.address), From.NOW) as reader:
        await reader.wait_until_all_came(destinations(tree))
        before = await links(tree)
        await tree.control.command(f"link all corrupt {CORRUPTED}")
        began = await device_time(tree)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(flood(tree, origin, count) for origin in reversed(destinations(tree))))
        for origin in destinations(tree):
            await reader.wait_for_text(f"flood {count}/{count}", PATIENCE, origin)
        took = await device_time(tree) - began
        await tree.control.command("link all corrupt 0")
        await reader.wait_until_all_came(destinations(tree))
        after = await links(tree)

        reader.check_law()
        for origin in destinations(tree):
            reader.check_flood(origin, count)
            print(f"origin {origin}: {len(reader.flood(origin))} of {count} delivered, {reader.lost(origin)} lost")
        assert reader.flood(0) == list(range(1, count + 1)), "the core device's own records pass over no link"
        assert reader.lost(0) == 0
        assert all(after[key]["corrupted"] > before[key]["corrupted"] for key in after)
        up = after[1, "up"]["aux"] - before[1, "up"]["aux"]
        records = sum(len(reader.flood(origin)) for origin in ((1, 2) if tree.chain else (1,)))
        print(f"{took / 1e6:.1f} s of the board's time, {up / records:.0f} aux bytes a record on the first link")
