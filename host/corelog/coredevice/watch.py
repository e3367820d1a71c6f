"""Notices early that the device behind a silent record stream has booted again, or is gone.

A device that resets says no farewell: its end of the connection is just forgotten, and the other end may wait for ever
(through a gateway or a simulated board's network not even keepalive probes tell). So when the heartbeats stay away the
device is asked over a connection of its own which boot it is in.
"""

from __future__ import annotations

import asyncio
import contextlib

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.coredevice.stream import Subscription

SUSPICION = 1.1  # seconds without a byte; heartbeats come every second
PATIENCE = 10.0  # seconds without a byte from a device that answers otherwise: the stream is dead, or the device slow
ATTEMPT = 0.3
PAUSE = 0.1


async def watch(stream: Subscription, host: str, port: int, silence: float) -> None:
    """Runs beside the reading of the stream and makes it fail: with ConnectionError as soon as the device is known to
    have booted again, with TimeoutError after `silence` seconds without a byte, if the device does not answer either.
    """
    loop = asyncio.get_running_loop()
    while True:
        quiet = loop.time() - stream.last_read
        if quiet < SUSPICION:
            await asyncio.sleep(SUSPICION - quiet)
            continue
        boot_id = await _boot_id(host, port)
        quiet = loop.time() - stream.last_read
        if quiet < SUSPICION:
            continue
        if boot_id is not None and stream.header is not None and boot_id != stream.header.boot_id:
            stream.fail(ConnectionResetError("the device has booted again"))
            return
        if quiet >= (silence if boot_id is None else PATIENCE):
            stream.fail(TimeoutError(f"nothing from the device for {quiet:.1f} s"))
            return
        await asyncio.sleep(PAUSE if boot_id is None else SUSPICION)


async def _boot_id(host: str, port: int) -> int | None:
    """Present boot of the device; None if it does not answer soon."""
    with contextlib.suppress(OSError):
        async with AsyncMgmt(host, port, timeout=ATTEMPT) as device:
            return (await device.identify()).boot_id
    return None
