"""Management requests for satellites, in a chain of three: answered by the right board, or with Error in time."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from conftest import bench_of

from corelog.coredevice.requests import DeviceError
from corelog.wire.frames import Boot, From, Level
from support.bench import Bench
from support.conditions import eventually
from support.readers import subscribed
from support.trees import all_up, destinations, device_time, identify, management

pytestmark = [pytest.mark.board, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

NOWHERE = 9  # a destination without a route


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tree(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """In the simulator a chain of three; in a lab of at least two."""
    async with bench_of(request, satellites=3, chain=True, at_least=2) as bench:
        yield bench


@contextlib.contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(DeviceError, match=r"Device failed|Device does not know"):
        yield


async def test_a_chain_boots_and_each_board_reports_with_its_destination(tree: Bench) -> None:
    programs = ["ARTIQ runtime starting", *["ARTIQ satellite manager starting"] * tree.satellites]
    async with subscribed(str(tree.address), From.OLDEST) as reader:
        for origin, program in enumerate(programs):
            await reader.wait_for_text(program, origin=origin)
        for origin in destinations(tree)[1:]:
            await reader.wait_for_text(f"rank: {origin}", origin=origin)
            await reader.wait_for_text(f"[DEST#{origin}] destination is up", origin=0)
        await reader.wait_until(lambda r: {clock.origin for clock in r.clocks} == set(destinations(tree)))
        await reader.wait_until_all_came(destinations(tree))
        reader.check_law()
        assert not reader.losses


async def test_each_destination_identifies_itself(tree: Bench) -> None:
    found = [await identify(tree.address, destination) for destination in destinations(tree)]
    assert all(found)
    assert len({identity.board_id for identity in found if identity}) == len(destinations(tree))
    assert ["satellite" in identity.gateware.partition(";")[2] for identity in found if identity] == [
        False, *[True] * tree.satellites]
    assert all("satman" in identity.firmware for identity in found[1:] if identity)


async def test_configuration_of_a_satellite_is_written_read_and_removed_there_alone(tree: Bench) -> None:
    long = bytes(range(256)) * 8  # several frames
    async with management(tree, tree.satellites) as device, management(tree, tree.satellites - 1) as other:
        await device.config_write("some_key", long)
        await device.config_write("other_key", b"")
        assert await device.config_read("some_key") == long
        with refused():
            await other.config_read("some_key")
        await device.config_remove("some_key")
        with refused():
            await device.config_read("some_key")


async def test_a_level_written_to_a_satellite_takes_effect_there(tree: Bench) -> None:
    async with subscribed(str(tree.address), From.NOW) as reader, management(tree, 2) as device:
        await device.config_write("log_level", b"WARN")
        await device.debug_flood(40, level=Level.INFO, warn_every=10)
        await reader.wait_for_text("flood 40/40", origin=2)
        assert reader.flood(2) == [10, 20, 30, 40]
        await device.config_remove("log_level")
        start = len(reader.records)
        await device.debug_flood(5, level=Level.INFO)
        await reader.wait_for_text("flood 5/5", origin=2, start=start)
        assert reader.flood(2)[4:] == [1, 2, 3, 4, 5]
        with refused():
            await device.config_write("log_level", b"LOUD")
        reader.check_law()


async def test_a_destination_without_a_route_is_answered_with_error_at_once(tree: Bench) -> None:
    async with subscribed(str(tree.address), From.NOW) as reader, management(tree, NOWHERE) as device:
        before = await device_time(tree)
        with refused():
            await device.identify()
        with refused():
            await device.config_read("ip")
        with refused():
            await device.config_write("ip", b"value")
        with pytest.raises(DeviceError):
            await device.get_log()
        took = await device_time(tree) - before
        await reader.wait_for_text(f"[DEST#{NOWHERE}] request failed: there is no way to it in the routing table")
    print(f"four refused requests and two connections: {took / 1e3:.0f} ms")
    assert took < 400_000


async def test_a_destination_whose_link_is_down_answers_within_a_second_and_the_log_says_which(tree: Bench) -> None:
    last = tree.satellites
    if last not in tree.links:
        pytest.skip(f"the environment has nothing that cuts link {last}")
    async with subscribed(str(tree.address), From.NOW) as reader:
        await tree.cut(last)
        before = await device_time(tree)
        async with management(tree, last) as device:
            with refused():
                await device.identify()
        took = await device_time(tree) - before
        print(f"link cut: answered after {took / 1e3:.0f} ms")
        assert took < 1_000_000
        await reader.wait_for_text(f"[DEST#{last}] request failed")
        await reader.wait_for_text(f"[DEST#{last}] destination is down", origin=0)
        before = await device_time(tree)
        async with management(tree, last) as device:
            with refused():
                await device.config_read("log_level")
            assert "ARTIQ satellite manager starting" in await device.get_log()
        took = await device_time(tree) - before
        print(f"known to be down: refused and log given after {took / 1e3:.0f} ms")
        assert took < 1_000_000
        assert (await identify(tree.address, last - 1)) is not None, "the board before the cut"
        await tree.restore(last)
        await reader.wait_for_text(f"[DEST#{last}] destination is up", origin=0)
        await all_up(tree)
        reader.check_law()


async def test_two_pulllog_clients_of_a_satellite_get_every_record_of_it_and_of_nobody_else(tree: Bench) -> None:
    texts = [b"", b""]

    async def pull(number: int) -> None:
        async with management(tree, tree.satellites) as device:
            async for text in device.pull_log():
                texts[number] += text
                if b"flood 60/60" in texts[number]:
                    return

    pulling = [asyncio.create_task(pull(number)) for number in range(2)]

    async def began() -> bool:
        return all(b"satellite manager" in text for text in texts)

    await eventually(began, 60.0, "the beginning of the log")
    async with management(tree, tree.satellites - 1) as other:
        await other.debug_flood(20)
    async with management(tree, tree.satellites) as device:
        await device.debug_flood(60)
    async with asyncio.timeout(60.0):
        await asyncio.gather(*pulling)
    for text in texts:
        floods = re.findall(rb"flood (\d+)/(60|20)", text)
        assert floods == [(b"%d" % i, b"60") for i in range(1, 61)]
        assert text.count(b"ARTIQ satellite manager starting") == 1


async def test_a_cleared_log_of_a_satellite_is_empty_but_subscribers_have_it(tree: Bench) -> None:
    async with management(tree, 1) as device:
        assert "ARTIQ satellite manager starting" in await device.get_log()
        await device.clear_log()
        assert "ARTIQ satellite manager starting" not in await device.get_log()
    async with subscribed(str(tree.address), From.OLDEST, origins=[1]) as reader:
        await reader.wait_for_text("ARTIQ satellite manager starting")
        await reader.wait_until_all_came([1])
        assert {item.origin for item in reader.items} == {1}


async def test_a_satellite_reboots_on_request_and_its_log_goes_on_over_both_boots(tree: Bench) -> None:
    last = tree.satellites
    before = await identify(tree.address, last)
    async with subscribed(str(tree.address), From.NOW) as reader:
        async with management(tree, last) as device:
            await device.reboot()
        await reader.wait_for_text("ARTIQ satellite manager starting", origin=last)
        await all_up(tree, [last])
        await reader.wait_until_all_came(destinations(tree))
        reader.check_law()
        after = await identify(tree.address, last)
        assert before and after and (after.board_id, after.boot_id) != (before.board_id, before.boot_id)
        boots = [boot.boot_id for boot in reader.boots if boot.origin == last]
        assert boots == [before.boot_id, after.boot_id]
        words = [record for boot, record in reader.records if boot == before.boot_id]
        assert words[-1].body == "restarting"
        assert not [loss for _, loss in reader.losses]


async def test_last_words_of_a_satellites_panic_arrive_and_are_marked_as_of_the_previous_boot(tree: Bench) -> None:
    before = await identify(tree.address, 2)
    assert before is not None
    async with subscribed(str(tree.address), From.NOW) as reader:
        async with management(tree, 2) as device:
            await device.debug_flood(25)
            await reader.wait_for_text("flood 25/25", origin=2)
            await device.debug_panic()
        await reader.wait_for_text("ARTIQ satellite manager starting", origin=2)
        await all_up(tree)
        await reader.wait_until_all_came(destinations(tree))
        reader.check_law()
        words = [record for boot, record in reader.records if boot == before.boot_id]
        assert words[-1].level == Level.ERROR and "panic" in words[-1].body
        assert not reader.losses
    async with subscribed(str(tree.address), From.OLDEST, origins=[2]) as later:
        await later.wait_for_text("ARTIQ satellite manager starting", start=1)
        await later.wait_until_all_came([2])
        later.check_law()
        [previous] = [boot for boot in later.boots if boot.boot_id == before.boot_id]
        assert previous.previous and previous.panicked
        assert isinstance(later.items[-1], Boot) or later.places[2][0] != before.boot_id
        words = [record for boot, record in later.records if boot == before.boot_id]
        assert "panic" in words[-1].body and words[-1].seq == previous.next_seq - 1
