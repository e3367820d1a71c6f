"""What the tests of the whole system start: a board, or a board with master, controller manager and controller.

The board comes from the simulator, or in `make hil` from a labgrid environment; the tests see a Bench either way.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from corelog.lab.addresses import free_address
from corelog.lab.system import System
from support.bench import Bench, database, simulated_bench
from support.trees import THREADS, all_up

if TYPE_CHECKING:
    from support.lab import Lab

FLASH_FIRST = "test_flashed_board.py"
# Modules of minutes begin first, so that no processor is left with one of them at the end.
LONGEST_FIRST = ["test_stalled_subscriber.py", "test_satellites_flood.py", "test_satellites_law.py",
                 "test_flash_memory.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hil-results", type=Path, metavar="FILE", help="where `make hil` writes its results")


def in_lab(config: pytest.Config) -> bool:
    return getattr(config.option, "lg_env", None) is not None


def pytest_configure(config: pytest.Config) -> None:
    if in_lab(config) and config.option.hil_results is not None:
        from support.hil_results import Results

        config.pluginmanager.register(Results(config.option.lg_env, config.option.hil_results), "hil-results")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a lab: first the flashing, and nothing of what only the simulator can do. Else: the longest first."""
    if not in_lab(config):
        place = {name: n for n, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: place.get(item.path.name, len(place)))
        return
    items.sort(key=lambda item: item.path.name != FLASH_FIRST)
    for item in items:
        marker = item.get_closest_marker("simulated")
        if marker is not None:
            item.add_marker(pytest.mark.skip(reason=f"simulator only: {marker.args[0]}"))


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> "Lab | None":
    """The benches of the environment of `make hil`; None without one."""
    if not in_lab(request.config):
        return None
    from support.lab import Lab

    return Lab(request.getfixturevalue("env"))


@contextlib.asynccontextmanager
async def bench_of(request: pytest.FixtureRequest, *, satellites: int = 0, chain: bool | None = None,
                   at_least: int | None = None, free_run: bool = True) -> AsyncIterator[Bench]:
    """A bench with so many satellites, fresh from power-on, all its boards up; in a lab, `at_least` some will do.

    chain: each satellite behind the one before, or none so; None: either.
    """
    lab: Lab | None = request.getfixturevalue("lab")
    if lab is None:
        shape = {"satellites": satellites, "chain": bool(chain), "arguments": THREADS if satellites else ()}
        async with simulated_bench(**shape, free_run=free_run) as bench:
            await all_up(bench)
            yield bench
        return
    async with lab.bench(satellites, chain, at_least) as bench:
        if (results := request.config.pluginmanager.getplugin("hil-results")) is not None:
            await results.record(bench)
        yield bench


@contextlib.asynccontextmanager
async def system_of(bench: Bench, directory: Path, more: str = "") -> AsyncIterator[System]:
    """Master, controller manager and log controller for a bench; the channels have their names."""
    address = free_address()
    system = System(directory, database(bench, address, more), address=address, board_address=bench.address)
    async with system:
        await system.name_channels()
        yield system


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """A core device alone; simulated it runs as fast as it can."""
    async with bench_of(request) as bench:
        yield bench


@pytest.fixture(scope="module")
def board(bench: Bench) -> str:
    """Address of a core device alone."""
    return str(bench.address)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def timed_bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """A core device alone, in real time."""
    async with bench_of(request, free_run=False) as bench:
        yield bench


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(timed_bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Core device in real time, master, controller manager and log controller; the channels have their names."""
    async with system_of(timed_bench, tmp_path_factory.mktemp("system")) as whole:
        yield whole
