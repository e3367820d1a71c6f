"""Waiting for conditions, and clocks of board and host on one axis."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from corelog.coredevice.session import AsyncSession


async def eventually(condition: Callable[[], Awaitable[bool]], timeout: float, what: str) -> None:
    """Returns when the condition holds; TimeoutError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        await asyncio.sleep(0.01)


async def host_time_of_counter(session: AsyncSession, exchanges: int = 8) -> Callable[[int], float]:
    """Function from an RTIO counter value (mu) to host monotonic seconds, from the quickest of some exchanges."""
    best: tuple[float, float, int, float] | None = None
    for _ in range(exchanges):
        before = time.monotonic()
        hello = await session.hello()
        after = time.monotonic()
        if best is None or after - before < best[0]:
            best = (after - before, (before + after) / 2, hello.counter, hello.unit_fs * 1e-15)
    assert best is not None
    _, middle, counter, unit = best
    return lambda value: middle + (value - counter) * unit
