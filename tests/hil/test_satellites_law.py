"""Delivered + declared lost = produced, for each boot of each board of a tree, whatever happens to links and boards."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from conftest import bench_of

from corelog.wire.frames import Boot, From, Record
from support.bench import Bench, SimulatedBench
from support.readers import Reader, subscribed
from support.trees import PATIENCE, all_up, destinations, device_time, flood, links, management

pytestmark = [pytest.mark.board, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(1200)]

LONG = 600              # bytes of a body: some hundred such records fill a ring
CUT = 5_000_000         # us that a link is cut

# A LogData with a heartbeat or a clock, and a LogAck (docs/drtio.md): the aux frames when nothing happens.
IDLE_FRAME, ACK_FRAME = 72, 16
IDLE = 3                # heartbeats of each board
# us that a record may take while a satellite floods: the core device's own; of a satellite behind that one (it has
# its turn after the frames that wait already, and the question for the time goes the same way).
LATE = {0: 1_000_000, 2: 3_000_000}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tree(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with bench_of(request, satellites=2, chain=request.param == "chain") as bench:
        yield bench


chain = pytest.mark.parametrize("tree", ["chain"], indirect=True, scope="module")
star = pytest.mark.parametrize("tree", ["star"], indirect=True, scope="module")


@pytest.mark.simulated("it counts what passes over the links")
@chain
async def test_idle_boards_send_nothing_but_heartbeats(tree: SimulatedBench) -> None:
    async with subscribed(str(tree.address), From.NOW) as reader:
        await reader.wait_until_all_came(destinations(tree))

        def beats() -> dict[int, int]:
            return {origin: sum(beat.origin == origin for beat in reader.heartbeats) for origin in (1, 2)}

        async def more(count: int) -> int:
            """Waits for so many heartbeats of the last satellite; gives the number of records and the like."""
            wanted = beats()[2] + count
            await reader.wait_until(lambda _: beats()[2] >= wanted, PATIENCE)
            return len(reader.items)

        items = await more(2)
        before, counted = await links(tree), beats()
        assert await more(IDLE) == items, reader.items[items:]
        after, passed = await links(tree), {origin: number - counted[origin] for origin, number in beats().items()}
    for (number, direction), link in after.items():
        # Over the first link goes what both satellites say.
        behind = passed[2] if number == 2 else passed[1] + passed[2]
        sent = link["aux"] - before[number, direction]["aux"]
        print(f"link {number} {direction}: {sent} bytes in aux frames for {behind} heartbeats")
        frame = IDLE_FRAME if direction == "up" else ACK_FRAME
        assert (behind - 3) * frame <= sent <= (behind + 3) * frame


@chain
async def test_a_satellite_that_floods_does_not_hold_up_the_records_of_the_others(tree: Bench) -> None:
    many, few, interval = 800, 60, 10_000
    flooding, others = 1, (0, 2)  # what the second satellite has to say comes through the first
    late: dict[int, int] = {}
    came: dict[int, int] = {}
    async with subscribed(str(tree.address), From.NOW) as reader:
        await reader.wait_until_all_came(destinations(tree))
        await flood(tree, flooding, many, body_length=200)

        async def paced(origin: int) -> None:
            await flood(tree, origin, few, interval=interval)
            last = await reader.wait_for_text(f"flood {few}/{few}", PATIENCE, origin)
            came[origin] = len(reader.flood(flooding))
            late[origin] = await device_time(tree, origin) - last.time

        await asyncio.gather(*(paced(origin) for origin in others))
        for origin in others:
            print(f"origin {origin}'s last record was here {late[origin] / 1e3:.0f} ms after it was written, after "
                  f"{came[origin]} records of the flood")
            assert reader.flood(origin) == list(range(1, few + 1))
            assert reader.lost(origin) == 0
            assert late[origin] < LATE[origin]
            assert came[origin] < many, "the flood was over before"
        await reader.wait_for_text(f"flood {many}/{many}", PATIENCE, flooding)
        await reader.wait_until_all_came(destinations(tree))
        reader.check_law()
        reader.check_flood(flooding, many)


def told_in_order(reader: Reader, texts: list[str]) -> None:
    """The core device's records have these texts, each after the one before."""
    bodies = [item.body for item in reader.items if isinstance(item, Record) and item.origin == 0]
    at = 0
    for text in texts:
        assert any(text in body for body in bodies[at:]), f"no {text!r} in its place: {bodies}"
        at = next(n for n, body in enumerate(bodies[at:], at) if text in body) + 1


@chain
async def test_a_link_cut_during_a_flood_and_restored_after_5_s_loses_nothing_in_silence(tree: Bench) -> None:
    count = 600
    if 1 not in tree.links or tree.restarts:
        pytest.skip("the environment has nothing that cuts link 1 and leaves the satellites their power")
    async with subscribed(str(tree.address), From.NOW) as reader:
        await reader.wait_until_all_came(destinations(tree))
        for origin in (2, 1):
            await flood(tree, origin, count, body_length=LONG)
        await reader.wait_until(lambda r: len(r.flood(2)) > 20, PATIENCE)
        await tree.cut(1)
        end = await device_time(tree) + CUT
        await reader.wait_until(lambda r: any(b.origin == 0 and b.time >= end for b in r.heartbeats), PATIENCE)
        await tree.restore(1)
        for origin in (1, 2):
            await reader.wait_for_text(f"flood {count}/{count}", PATIENCE, origin)
            print(f"origin {origin}: {reader.lost(origin)} of {count} lost")
        await all_up(tree)
        await reader.wait_until_all_came(destinations(tree))
        reader.check_law()
        for origin in (1, 2):
            reader.check_flood(origin, count)
            assert len([boot for boot in reader.boots if boot.origin == origin]) == 1
            told_in_order(reader, ["[LINK#0] link is down", f"[DEST#{origin}] destination is down",
                                   "[LINK#0] link initialization completed", f"[DEST#{origin}] destination is up"])


@pytest.mark.simulated("satellites are reset and switched off one by one")
@star
async def test_satellites_rebooted_in_turn_during_floods_lose_nothing_in_silence(tree: SimulatedBench) -> None:
    count = 400
    async with subscribed(str(tree.address), From.NOW) as reader:
        await reader.wait_until_all_came(destinations(tree))
        ids = {origin: reader.places[origin][0] for origin in (1, 2)}
        story = []
        for origin, how in ((1, "request"), (2, "reset"), (1, "power")):
            start = len(reader.records)
            await flood(tree, origin, count, body_length=LONG)
            await reader.wait_for_text("flood 20/", PATIENCE, origin, start)
            if how == "request":
                async with management(tree, origin) as device:
                    await device.reboot()
            elif how == "reset":
                await tree.control.command(f"board {origin} reset")
            else:
                await tree.control.command(f"board {origin} off")
                await reader.wait_for_text(f"[DEST#{origin}] destination is down", PATIENCE, 0, start)
                await tree.control.command(f"board {origin} on")
            booted = await reader.wait_for_text("ARTIQ satellite manager starting", PATIENCE, origin, start)
            assert booted.seq == 0 and reader.places[origin][0] != ids[origin]
            await all_up(tree)
            await reader.wait_until_all_came(destinations(tree))
            reader.check_law()
            if how == "request":
                last = [record.body for boot, record in reader.records if boot == ids[origin]][-1]
                assert last == "restarting", "memory survives: also the last record comes"
            ids[origin] = reader.places[origin][0]
            story += [f"[DEST#{origin}] destination is down", f"[DEST#{origin}] destination is up"]
            told_in_order(reader, story)
        boots = [item.origin for item in reader.items if isinstance(item, Boot)][3:]
        assert boots == [1, 2, 1], "each new boot stands in its place"
