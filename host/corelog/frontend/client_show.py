"""`corelog client show`: what the master has, live."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from corelog.frontend.client_tables import argument_table, dataset_table, device_table, schedule_table
from corelog.frontend.common import CommandError
from corelog.frontend.live_log import LiveLog
from corelog.frontend.master_link import BROADCAST, KEEPALIVE, NOTIFY, TIMEOUT
from corelog.frontend.text_table import printable
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

RETRY = 1.0
"""Seconds between attempts to reach a master that has gone. Who ends a connection sooner and says nothing is none."""


class Link:
    """What is known of a connection: whether anything `came`, and whether it is `lost`."""

    def __init__(self) -> None:
        self.came = False
        self.lost = asyncio.Event()


Connect = Callable[[Link], Awaitable[Receiver | Subscriber]]
"""Connects, and lets the link know what happens."""


async def show(args: argparse.Namespace, ssl: SimpleSSLConfig | None) -> None:
    """Until Ctrl-C or SIGTERM. CommandError if the master does not answer at first."""
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
    live = LiveLog(args, ssl, log_line)

    async def connect(link: Link) -> Receiver:
        def take(message: Any) -> None:
            link.came = True
            if args.what == "log":
                live.take(message)
            else:
                print(ccb_line(message), flush=True)

        receiver = Receiver(args.what, take, link.lost.set)
        await receiver.connect(args.server, args.port or BROADCAST, ssl)
        live.listen(receiver)
        return receiver

    await follow(connect, live.run)


async def show_table(args: argparse.Namespace, ssl: SimpleSSLConfig | None) -> None:
    """Prints the table, and again whenever it changes; on a terminal in place of the old one."""
    notifier, table = TABLES[args.what]
    changed = asyncio.Event()
    current: Any = None

    def init(struct: Any) -> Any:
        nonlocal current
        current = struct
        return struct

    async def connect(link: Link) -> Subscriber:
        def note(mod: Any) -> None:
            link.came = True
            changed.set()

        subscriber = Subscriber(notifier, init, note, link.lost.set)
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

    await follow(connect, draw, args.once)


async def follow(connect: Connect, work: Callable[[], Awaitable[None]], once: bool = False) -> None:
    """Until Ctrl-C or SIGTERM, or the end of `work`. A master that was there and has gone is waited for, unless `once`;
    CommandError if it does not answer at first.
    """
    signals = SignalHandler()
    signals.setup()
    tasks = [asyncio.ensure_future(wait) for wait in (signals.wait_terminate(), _follow(connect, once), work())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        signals.teardown()


async def _follow(connect: Connect, once: bool) -> None:
    found, link = await _connected(connect)
    while True:
        began = time.monotonic()
        try:
            await link.lost.wait()
        finally:
            await found.close()
        if once or not (link.came or time.monotonic() - began > RETRY):
            raise CommandError("the master ended the connection")
        print("corelog client: the master has gone; trying again", file=sys.stderr)
        found, link = await _connected_again(connect)


async def _connected(connect: Connect) -> tuple[Receiver | Subscriber, Link]:
    link = Link()
    try:
        async with asyncio.timeout(TIMEOUT):
            found = await connect(link)
    except TimeoutError:
        raise CommandError("the master does not answer") from None
    keepalive.set_keepalive(found.writer.get_extra_info("socket"), *KEEPALIVE)
    return found, link


async def _connected_again(connect: Connect) -> tuple[Receiver | Subscriber, Link]:
    while True:
        await asyncio.sleep(RETRY)
        with contextlib.suppress(OSError, CommandError):
            found, link = await _connected(connect)
            link.came = True  # it is known to be a master
            return found, link
