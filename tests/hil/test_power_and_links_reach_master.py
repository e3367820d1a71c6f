"""What happens to the boards from outside stands in the master's log: the plug is pulled, a link to satellites cut."""

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from conftest import bench_of, system_of

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.coredevice.requests import DeviceError
from corelog.lab.system import LogEntry, System
from support.bench import Bench
from support.trees import all_up, identify, management

pytestmark = [pytest.mark.board, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

PATIENCE = 60.0


def says(text: str, source: str = "runtime") -> Callable[[LogEntry], bool]:
    return lambda e: text in e.text and e.text.startswith(f"firmware.{source}") and "[previous boot]" not in e.text


async def test_board_whose_plug_was_pulled_reports_its_next_boot_to_the_master(
        system: System, timed_bench: Bench) -> None:
    if not timed_bench.has_power:
        pytest.skip("the environment has no power supply")
    before = await identify(timed_bench.address, 0)
    async with AsyncMgmt(system.board_address, timeout=30.0) as device:
        await device.config_write("kept", b"through a power cut")
    first = len(system.tap.entries)
    await timed_bench.power_cycle()
    await system.tap.wait_for(says("ARTIQ runtime starting"), PATIENCE, first)
    after = await identify(timed_bench.address, 0)
    assert before is not None and after is not None
    assert after.board_id == before.board_id and after.boot_id != before.boot_id
    await system.tap.wait_for(says(f"boot {after.boot_id:016x}"), PATIENCE, first)
    async with AsyncMgmt(system.board_address, timeout=30.0) as device:
        assert await device.config_read("kept") == b"through a power cut"
        await device.config_remove("kept")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tree(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with bench_of(request, satellites=1, at_least=1, free_run=False) as bench:
        yield bench


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tree_system(tree: Bench, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    async with system_of(tree, tmp_path_factory.mktemp("tree")) as system:
        yield system


async def test_cut_link_and_its_return_are_in_the_masters_log(tree: Bench, tree_system: System) -> None:
    if 1 not in tree.links:
        pytest.skip("the environment has nothing that cuts link 1")
    first = len(tree_system.tap.entries)
    await tree.cut(1)
    for text in ("[LINK#0] link is down", "[DEST#1] destination is down"):
        await tree_system.tap.wait_for(says(text), PATIENCE, first)
    async with management(tree, 1) as device:
        with pytest.raises(DeviceError):
            await device.identify()
    await all_up(tree, [0])
    await tree.restore(1)
    for text in ("[LINK#0] link initialization completed", "[DEST#1] destination is up"):
        await tree_system.tap.wait_for(says(text), PATIENCE, first)
    await all_up(tree)
