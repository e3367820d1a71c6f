"""`corelog client show`: what the master has, live."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from corelog.frontend.client_tables import argument_table, dataset_table, device_table, printable, schedule_table
from corelog.frontend.common import CommandError
from corelog.frontend.master_link import BROADCAST, KEEPALIVE, NOTIFY, TIMEOUT
from corelog.master.log_lines import NAMES
from sipyco import keepalive
from sipyco.broadcast import Receiver
from sipyco.sync_struct import Subscriber
from sipyco.tools import SignalHandler, SimpleSSLConfig

REDRAW_EVERY = 0.1
"""Seconds between two pictures of what changes all the time."""
CLEAR = "\033[2J\033[H"

TABLES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "schedule": ("schedule", schedule_table), "devices": ("devices", device_table),
    "datasets": ("datasets", dataset_table), "interactive-args": ("interactive_args", argument_table),
}
"""What can be shown as a table: the notifier's name, and the table of its structure."""

Connect = Callable[[asyncio.Event], Awaitable[Receiver | Subscriber]]
"""Connects; sets the event when the connection ends."""


async def show(args: argparse.Namespace, ssl: SimpleSSLConfig | None) -> None:
    """Until Ctrl-C or SIGTERM. CommandError if the master does not answer or ends first."""
    if args.what in TABLES:
        await show_table(args, ssl)
    elif args.once:
        raise CommandError(f"show {args.what} has no end: leave out --once")
    else:
        await show_broadcast(args, ssl)


def log_line(message: tuple[int, str, float, str]) -> str:
    """`level source mm/dd HH:MM:SS name:message`."""
    level, source, when, text = message
    return f"{NAMES.get(level, str(level))} {source} {time.strftime('%m/%d %H:%M:%S', time.localtime(when))} {text}"


def ccb_line(message: dict[str, Any]) -> str:
    """`service args: (...) kwargs: {...}`."""
    return printable(f"{message['service']} args: {message['args']!r} kwargs: {message['kwargs']!r}")


async def show_broadcast(args: argparse.Namespace, ssl: SimpleSSLConfig | None) -> None:
    """Prints each message of the channel `log` or `ccb` as it comes."""
    line: Callable[[Any], str] = log_line if args.what == "log" else ccb_line

    async def connect(lost: asyncio.Event) -> Receiver:
        receiver = Receiver(args.what, lambda message: print(line(message), flush=True), lost.set)
        await receiver.connect(args.server, args.port or BROADCAST, ssl)
        return receiver

    await follow(connect)


async def show_table(args: argparse.Namespace, ssl: SimpleSSLConfig | None) -> None:
    """Prints the table, and again whenever it changes; on a terminal in place of the old one."""
    notifier, table = TABLES[args.what]
    changed = asyncio.Event()
    current: Any = None

    def init(struct: Any) -> Any:
        nonlocal current
        current = struct
        return struct

    async def connect(lost: asyncio.Event) -> Subscriber:
        subscriber = Subscriber(notifier, init, lambda mod: changed.set(), lost.set)
        await subscriber.connect(args.server, args.port or NOTIFY, ssl_config=ssl)
        return subscriber

    async def draw() -> None:
        while True:
            await changed.wait()
            changed.clear()
            print((CLEAR if sys.stdout.isatty() and not args.once else "") + table(current), flush=True)
            if args.once:
                return
            await asyncio.sleep(REDRAW_EVERY)

    await follow(connect, draw)


async def follow(connect: Connect, work: Callable[[], Awaitable[None]] | None = None) -> None:
    """Until Ctrl-C or SIGTERM, or the end of `work`. CommandError if the master does not answer or ends first."""
    signals = SignalHandler()
    signals.setup()
    tasks = [asyncio.ensure_future(signals.wait_terminate()), asyncio.ensure_future(_follow(connect))]
    if work is not None:
        tasks.append(asyncio.ensure_future(work()))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        signals.teardown()


async def _follow(connect: Connect) -> None:
    lost = asyncio.Event()
    try:
        async with asyncio.timeout(TIMEOUT):
            link = await connect(lost)
    except TimeoutError:
        raise CommandError("the master does not answer") from None
    keepalive.set_keepalive(link.writer.get_extra_info("socket"), *KEEPALIVE)
    try:
        await lost.wait()
    finally:
        await link.close()
    raise CommandError("the master ended the connection")
