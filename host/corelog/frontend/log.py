"""`corelog log`: follows the log of a core device, without a master."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing

from corelog.coredevice.follow import Batch, Device, Down, Event, Follower, Text, Up
from corelog.coredevice.mgmt import AsyncMgmt
from corelog.coredevice.order import Order, in_order
from corelog.coredevice.timeaxis import TimeAxis
from corelog.coredevice.view import View
from corelog.frontend.common import CommandError, command, destination, seconds
from corelog.frontend.mgmt import add_device_arguments, device_address
from corelog.wire.cursor import Tracker
from corelog.wire.frames import Boot, From, Heartbeat, Level
from corelog.wire.stream import Records
from corelog.wire.text import parse


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog log",
        description="Follow the log of a core device and its satellites, in the order of time: host time, core device "
        "time in seconds, level, `dest N` of a satellite, target, message. A satellite that is not synchronised has "
        "its (own time). Reconnects by itself; what is missing is said. Ctrl-C ends it.",
    )
    parser.add_argument("address", metavar="CORE_ADDR", nargs="?", help="address of the core device; as -D")
    add_device_arguments(parser)
    parser.add_argument("-v", "--verbose", action="count", default=0, help="show where an error came from")
    parser.add_argument("-s", "--drtio-dest", "--origin", dest="destination", metavar="DEST", type=destination,
                        help="only this DRTIO destination (default: the core device, 0, and satellites)")  # fmt: skip
    parser.add_argument("--level", default="TRACE", choices=[level.name for level in Level], type=str.upper,
                        help="the least grave level to show (%(default)s)")  # fmt: skip
    parser.add_argument("--since", default="oldest", choices=["oldest", "now"], help="where to begin (%(default)s)")
    parser.add_argument("--no-follow", action="store_true", help="show what there is and end")
    parser.add_argument("--timeout", type=seconds, default=10.0,
                        help="with --no-follow: seconds without an answer after which to give up (%(default)g)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--utc", action="store_true", help="host time in UTC, not local")
    parser.add_argument("--color", default="auto", choices=["auto", "always", "never"])
    return parser


class _Caught:
    """Knows when everything that was there at the beginning has come."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._target: dict[int, tuple[int, int]] = {}  # origin -> boot id, next seq then
        self._quiet = False

    def up(self, batch: Batch) -> bool:
        """Whether the batch was the last one to wait for."""
        for item in batch.items:
            if isinstance(item, Boot) and not item.previous:
                self._target[item.origin] = item.boot_id, item.next_seq
            elif isinstance(item, Records):
                self._quiet = False
            elif isinstance(item, Heartbeat):
                if self._quiet:
                    return True  # records below the wanted level do not come: two heartbeats with nothing between
                self._quiet = True
        places = self._tracker.places
        return bool(self._target) and all(
            o in places and places[o].boot_id == boot and places[o].seq >= seq
            for o, (boot, seq) in self._target.items()
        )


def _follower(args: argparse.Namespace, address: str) -> Follower:
    start = From.NOW if args.since == "now" else From.OLDEST
    device = Device(address, args.port, args.destination)
    return Follower(device, Tracker(), start=start, level=Level[args.level])


async def _follow(args: argparse.Namespace, address: str, view: View, axis: TimeAxis) -> int:
    async with aclosing(in_order(_follower(args, address).events(), axis)) as events:
        async for event in events:
            _show(view, event, args.level)
    return 0


async def _show_once(args: argparse.Namespace, address: str, view: View, axis: TimeAxis) -> int:
    follower = _follower(args, address)
    order = Order(axis, hold=None)
    caught = _Caught(follower.tracker)
    reason = "no answer"
    try:
        async with asyncio.timeout(args.timeout) as limit, aclosing(follower.events()) as events:
            async for event in events:
                if isinstance(event, Batch):
                    limit.reschedule(asyncio.get_running_loop().time() + args.timeout)
                    order.feed(event.items, event.arrival)
                    if caught.up(event):
                        _show(view, Batch(order.flush(), event.arrival), args.level)
                        return 0
                elif isinstance(event, Down):
                    reason = event.reason
                    if not event.first:
                        raise CommandError(f"{address}: {reason}")
                elif isinstance(event, Up) and event.protocol == "text":
                    break  # that stream takes the records away from other readers, and never ends
    except TimeoutError:
        raise CommandError(f"{address}: {reason}") from None
    async with AsyncMgmt(address, args.port, args.destination or 0, args.timeout) as old:
        text = await old.get_log()
    _show(view, Text(parse(text.encode()), None), args.level)
    return 0


def _show(view: View, event: Event, level: str) -> None:
    if isinstance(event, Text):  # devices of the old protocol do not select by level
        event = Text([r for r in event.records if r.level <= Level[level]], event.arrival)
    text = "\n".join(view.lines(event))
    if text:
        print(text, flush=True)


@command("corelog log")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: 0 after --no-follow, 130 after Ctrl-C, 1 on an error."""
    args = get_argparser().parse_args(argv)
    address = args.address or device_address(args)
    colour = args.color == "always" or (args.color == "auto" and sys.stdout.isatty() and not args.json)
    axis = TimeAxis()
    view = View(axis, utc=args.utc, colour=colour, as_json=args.json)
    return asyncio.run((_show_once if args.no_follow else _follow)(args, address, view, axis))


if __name__ == "__main__":
    sys.exit(main())
