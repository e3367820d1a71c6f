"""Notices early that the device behind a silent record stream has booted again, or is gone.

A device that resets says no farewell: its end of the connection is just forgotten, and the other end may wait for ever
(through a gateway or a simulated board's network not even keepalive probes tell). So when the heartbeats stay away, or
the device has said that it restarts, it is asked over a connection of its own which boot it is in.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import chain, cycle

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.coredevice.stream import Subscription

SUSPICION = 1.1  # seconds without a byte; heartbeats come every second
PATIENCE = 10.0  # seconds without a byte from a device that answers otherwise: the stream is dead, or the device slow
# seconds for an answer: short ones, so that a device that comes back is not met by an attempt that began too early
ATTEMPTS = (0.15, 0.15, 0.15, 0.3, 0.15, 0.15, 0.6)
PAUSE = 0.05
RESTART = 2.0  # seconds in which a device that has said it restarts is asked again and again


async def watch(stream: Subscription, host: str, port: int, silence: float) -> None:
    """Runs beside the reading of the stream and makes it fail: with ConnectionError as soon as the device is known to
    have booted again, with TimeoutError after `silence` seconds without a byte, if the device does not answer either.
    """
    loop = asyncio.get_running_loop()
    attempts = chain.from_iterable(cycle([ATTEMPTS]))
    restart_until: float | None = None
    while True:
        if stream.restarting.is_set() and restart_until is None:
            restart_until = loop.time() + RESTART
        expected = restart_until is not None and loop.time() < restart_until
        quiet = loop.time() - stream.last_read
        if quiet < SUSPICION and not expected:
            await _set_within(stream.restarting if restart_until is None else None, SUSPICION - quiet)
            continue
        boot_id = await _boot_id(host, port, next(attempts))
        quiet = loop.time() - stream.last_read
        if boot_id is not None and stream.header is not None and boot_id != stream.header.boot_id:
            stream.fail(ConnectionResetError("the device has booted again"))
            return
        if quiet >= (silence if boot_id is None else PATIENCE):
            stream.fail(TimeoutError(f"nothing from the device for {quiet:.1f} s"))
            return
        await asyncio.sleep(PAUSE if boot_id is None or expected else SUSPICION)


async def _set_within(event: asyncio.Event | None, seconds: float) -> None:
    if event is None:
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _boot_id(host: str, port: int, timeout: float) -> int | None:
    """Present boot of the device; None if it does not answer in time."""
    with contextlib.suppress(OSError):
        async with AsyncMgmt(host, port, timeout=timeout) as device:
            return (await device.identify()).boot_id
    return None
