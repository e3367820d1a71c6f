"""`corelog client`: talks to the master."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import pprint
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from corelog.frontend.common import CommandError, command, port
from sipyco import common_args, keepalive
from sipyco.broadcast import Receiver
from sipyco.pc_rpc import Client
from sipyco.sync_struct import Subscriber
from sipyco.tools import SignalHandler, SimpleSSLConfig

CONTROL, NOTIFY, BROADCAST = 3251, 3250, 1067
TIMEOUT = 30.0
KEEPALIVE = (10, 5, 3)
"""A master whose machine is gone is noticed: seconds of silence, seconds between probes, unanswered probes."""
LEVELS = {50: "CRITICAL", 40: "ERROR", 30: "WARNING", 20: "INFO", 10: "DEBUG", 5: "TRACE"}


def default_server() -> str:
    """`::1`, or 127.0.0.1 on a machine without IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return "127.0.0.1"
    return "::1"


def get_argparser() -> argparse.ArgumentParser:
    # Options are understood before and after the action; the actions' copies have no default that could hide the first.
    def options(parser: argparse.ArgumentParser, *, default: bool) -> None:
        def suppressed(value: Any) -> Any:
            return value if default else argparse.SUPPRESS
        parser.add_argument("-s", "--server", default=suppressed(default_server()), metavar="HOST",
                            help="the master (default: ::1)")
        parser.add_argument("--port", type=port, default=suppressed(None),
                            help=f"default: {CONTROL}, for show {NOTIFY}, for show log {BROADCAST}")
        parser.add_argument("--ssl", nargs=3, metavar=("CERT", "KEY", "PEER"), default=suppressed(None), help="use TLS")
        parser.add_argument("-v", "--verbose", action="count", default=suppressed(0),
                            help="show where an error arose")
        parser.add_argument("-q", "--quiet", action="count", default=suppressed(0), help="decrease logging level")

    parser = argparse.ArgumentParser(prog="corelog client", description="Talks to the master.")
    options(parser, default=True)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="show what the master has, live, until Ctrl-C")
    show.add_argument("what", choices=["log", "devices"])
    show.add_argument("--follow", action="store_true", default=True, help="go on showing what comes (always)")
    options(show, default=False)
    for name, text in [("scan-devices", "let the master read its device database again"),
                       ("terminate", "end the master")]:
        options(actions.add_parser(name, help=text), default=False)
    return parser


def log_line(message: tuple[int, str, float, str]) -> str:
    """`level source mm/dd HH:MM:SS name:message`."""
    level, source, when, text = message
    return f"{LEVELS.get(level, str(level))} {source} {time.strftime('%m/%d %H:%M:%S', time.localtime(when))} {text}"


def device_table(devices: dict[str, Any]) -> str:
    """Names and descriptions, sorted."""
    width = max(map(len, ["Name", *devices]))
    rows = [f"{'Name':{width}}  Description"]
    for name, entry in sorted(devices.items()):
        first, *more = pprint.pformat(entry, width=max(40, 100 - width)).split("\n")
        rows += [f"{name:{width}}  {first}", *(f"{'':{width}}  {line}" for line in more)]
    return "\n".join(rows)


Connect = Callable[[asyncio.Event], Awaitable[Receiver | Subscriber]]
"""Connects; sets the event when the connection ends."""


async def follow(connect: Connect) -> None:
    """Until Ctrl-C or SIGTERM. CommandError if the master does not answer or ends first."""
    signals = SignalHandler()
    signals.setup()
    ends = asyncio.ensure_future(signals.wait_terminate())
    following = asyncio.ensure_future(_follow(connect))
    try:
        await asyncio.wait([ends, following], return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
    finally:
        ends.cancel()
        following.cancel()
        await asyncio.gather(ends, following, return_exceptions=True)
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


async def show_log(args: argparse.Namespace, ssl: SimpleSSLConfig | None) -> None:
    """Prints each record as it comes."""
    async def connect(lost: asyncio.Event) -> Receiver:
        receiver = Receiver("log", lambda message: print(log_line(message), flush=True), lost.set)
        await receiver.connect(args.server, args.port or BROADCAST, ssl)
        return receiver

    await follow(connect)


async def show_devices(args: argparse.Namespace, ssl: SimpleSSLConfig | None) -> None:
    """Prints the device database, and again whenever it changes."""
    devices: dict[str, Any] = {}

    def init(struct: dict[str, Any]) -> dict[str, Any]:
        nonlocal devices
        devices = struct
        return struct

    def show(_mod: dict[str, Any]) -> None:
        clear = "\033[2J\033[H" if sys.stdout.isatty() else ""
        print(clear + device_table(devices), flush=True)

    async def connect(lost: asyncio.Event) -> Subscriber:
        subscriber = Subscriber("devices", init, show, lost.set)
        await subscriber.connect(args.server, args.port or NOTIFY, ssl_config=ssl)
        return subscriber

    await follow(connect)


def call(args: argparse.Namespace, ssl: SimpleSSLConfig | None, target: str, method: str) -> None:
    """Calls a method of the master's control port."""
    with contextlib.closing(_Connection(Client(args.server, args.port or CONTROL, target, TIMEOUT, ssl))) as connection:
        getattr(connection.client, method)()


class _Connection:
    def __init__(self, client: Client):
        self.client = client

    def close(self) -> None:
        self.client.close_rpc()


@command("corelog client")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    args = get_argparser().parse_args(argv)
    common_args.init_logger_from_args(args)
    ssl = SimpleSSLConfig(*args.ssl) if args.ssl else None
    try:
        if args.action == "show":
            asyncio.run((show_log if args.what == "log" else show_devices)(args, ssl))
        elif args.action == "scan-devices":
            call(args, ssl, "device_db", "scan")
        else:
            call(args, ssl, "master_management", "terminate")
    except ConnectionRefusedError as error:
        raise CommandError(f"no master answers at {args.server}: is it running? (corelog master)") from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
