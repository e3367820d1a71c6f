"""What a satellite's record costs on its way: cycles at each board that it passes, bytes on the links.

    .venv/bin/python tests/bench/bench_tree.py        # 1 to 2 minutes
"""

import asyncio
import re
from collections.abc import Callable

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.wire.frames import From
from corelog.wire.stream import frames
from corelog_gateware.simulator.board import Board

# What the boards of a chain measure, and which: the satellite at the end, the one that passes its frames on, the core
# device.
DELIVER, *_ = MEASURED = {
    "deliver a record upstream (batch)": 2,
    "pass a frame on upstream": 1,
    "relay a record of a satellite (with TCP)": 0,
}
FIGURES = {
    "satellite: a record upstream": "cycles",
    "repeater: a frame passed on": "cycles",
    "repeater: a record passed on": "cycles",
    "core device: a record relayed (with TCP)": "cycles",
    "aux bytes per record, a link": "bytes",
}
COUNT = 3000    # records of a flood: it lasts longer than the measurements
SAMPLES = 4     # of each measurement
PATIENCE = 600.0
FRAME = 1024    # bytes of an aux frame of a flood: they are full


class Log:
    """What the log of all boards told so far."""

    def __init__(self) -> None:
        self.measured: dict[tuple[int, str], float] = {}
        self.booted: set[int] = set()
        self.flood = 0  # last record of satellite 2's flood

    async def read(self, address: str) -> None:
        async with AsyncMgmt(address) as reader:
            async for batch in await reader.subscribe(From.OLDEST, silence=120.0):
                for item in frames(batch):
                    body = getattr(item, "body", "")
                    if found := re.match(r"(.+): median (\d+) worst (\d+) cycles", body):
                        self.measured[item.origin, found[1]] = float(found[2])
                    elif found := re.match(r"flood (\d+)/", body):
                        self.flood = int(found[1])
                    elif found := re.match(r"\[DEST#(\d)\] destination is up", body):
                        self.booted.add(int(found[1]))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


async def aux_bytes(board: Board) -> int:
    """Upstream over the second satellite's link."""
    links = await board.control.links()
    return int(next(link["aux"] for link in links if (link["link"], link["direction"]) == (2, "up")))


async def measure() -> dict[str, float]:
    """Two satellites in a chain: what the second one floods the first passes on to the core device."""
    async with Board(satellites=2, chain=True, free_run=True) as board:
        assert board.address is not None
        log = Log()
        reading = asyncio.create_task(log.read(board.address))
        await until(lambda: log.booted >= {1, 2})
        bytes_before = await aux_bytes(board)
        async with AsyncMgmt(board.address, destination=2, timeout=PATIENCE) as satellite:
            for name, destination in MEASURED.items():
                print(f"  {name} ...", flush=True)
                log.flood = COUNT
                if name != DELIVER:
                    log.flood, bytes_before = 0, await aux_bytes(board)
                    await satellite.debug_flood(COUNT)
                async with AsyncMgmt(board.address, destination=destination, timeout=PATIENCE) as device:
                    await device.debug_bench(SAMPLES)
                await until(lambda key=(destination, name): key in log.measured and log.flood == COUNT)
            per_record = (await aux_bytes(board) - bytes_before) / COUNT
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    deliver, pass_on, relay = (log.measured[destination, name] for name, destination in MEASURED.items())
    return dict(zip(FIGURES, (deliver, pass_on, pass_on * per_record / FRAME, relay, per_record), strict=True))


if __name__ == "__main__":
    for name, value in asyncio.run(measure()).items():
        print(f"{name}: {value:.0f} {FIGURES[name]}")
