"""`corelog client show log` with options: the records that the master has stored, from any point on, none left out."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from corelog.coredevice.view import printable
from corelog.frontend.client_show import log_line
from corelog.frontend.common import CommandError, destination
from corelog.frontend.master_link import CONTROL, control, token
from corelog.master.log_lines import LEVELS, NAMES
from sipyco.tools import SimpleSSLConfig

PAGE = 2000
WAIT = 10.0
"""Seconds for which the master keeps a request that has no answer yet."""
RETRY = 1.0
"""Seconds between attempts to reach a master that has gone while it was followed."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options; with none of them the log is shown live, as it is broadcast."""
    group = parser.add_argument_group("stored log (with any of these; all records that meet all of them)")
    group.add_argument("--since", type=moment, metavar="TIME",
                       help="from then on: 10m, 2h, 3d (ago), 14:30, 2030-01-31, '2030-01-31 14:30:00', Unix time")
    group.add_argument("--until", type=moment, metavar="TIME", help="up to then")
    group.add_argument("--level", type=level, help="at least this level: trace, debug, info, warning, error, critical")
    group.add_argument("--grep", type=pattern, metavar="REGEX", help="those whose source, name or text it is found in")
    group.add_argument("--rid", type=int, help="those of this run, and errors of the core device during it")
    group.add_argument("--origin", type=destination, metavar="DEST",
                       help="those of the core device (0) or of the satellite with this DRTIO destination")
    group.add_argument("--number", type=numbers, metavar="FIRST[-LAST]", help="by number, as notices of loss name them")
    group.add_argument("--follow", action="store_true",
                       help="go on with what comes, until Ctrl-C; begins now if there is neither --since nor --number")
    group.add_argument("--device-time", action="store_true",
                       help="show when a core device wrote a record, also in seconds of its own clock, and not when it "
                            "came; a time of arrival is marked ~")
    group.add_argument("--json", action="store_true", help="one JSON object per record, with all its fields")


def wanted(args: argparse.Namespace) -> bool:
    """Whether an option asks for the stored log."""
    return any(value not in (None, False) for value in (args.since, args.until, args.level, args.grep, args.rid,
                                                        args.origin, args.number, args.follow, args.device_time,
                                                        args.json))


def show_stored(args: argparse.Namespace, ssl: SimpleSSLConfig | None) -> None:
    """Asks the master's control port. With --follow it goes on where it was when the master is there again.
    CommandError if something else than the log was to be shown."""
    if args.what != "log":
        raise CommandError(f"show {args.what} does not have the options of show log")
    place = Place(args)
    try:
        while True:
            try:
                with control(args.server, args.port or CONTROL, "log_store", ssl, token(args.token_file)) as store:
                    place.gone = False
                    show(args, store, place)
                    return
            except (OSError, EOFError):
                if not args.follow or place.next is None:
                    raise
                if not place.gone:
                    print("corelog client: the master has gone; trying again", file=sys.stderr)
                place.gone = True
            time.sleep(RETRY)
    except OutputClosed:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  the interpreter flushes it at its end
    except KeyboardInterrupt:
        if not args.follow:
            raise


class OutputClosed(Exception):
    """Whoever read the output has ended (`| head`); not to be taken for the master's end."""


class Place:
    """How far the reading has come: `next` is the number of the next record, None for what comes from now on."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.next: int | None = None if args.follow and args.since is None else 0
        self.last: int | None = None
        if args.number is not None:
            self.next, self.last = args.number
        self.gone = False


def show(args: argparse.Namespace, store: Any, place: Place) -> None:
    """Prints what is asked for. `store`: the master's RPC target `log_store`."""
    line = json_line if args.json else device_line if args.device_time else text_line
    for record in records(args, store, place):
        if args.grep is None or args.grep.search(search_text(record)):
            try:
                print(line(record), flush=args.follow)
            except BrokenPipeError:
                raise OutputClosed from None


def records(args: argparse.Namespace, store: Any, place: Place) -> Iterator[dict[str, Any]]:
    """What the master selects, page by page. CommandError if it no longer keeps a number asked for."""
    if place.next is None:
        place.next = store.status()["next"]
    elif args.number is not None and place.next < (kept := store.status()["first"]):
        raise CommandError(f"the master no longer keeps records before number {kept}")
    asked = {"since": args.since, "until": args.until, "level": args.level, "rid": args.rid, "origin": args.origin}
    selection = {name: value for name, value in asked.items() if value is not None}
    last = place.last
    while last is None or place.next <= last:
        size = PAGE if last is None else min(PAGE, last - place.next + 1)
        page = store.read(place.next, size, WAIT if args.follow else 0.0, **selection)
        for record in page["records"]:
            if last is None or record["number"] <= last:
                yield record
        place.next = page["next"]
        if page["end"] and not args.follow:
            return


def text_line(record: dict[str, Any]) -> str:
    """As the live log is shown."""
    return printable(log_line((record["level"], record["source"], record["time"],
                               f"{record['name']}:{record['message']}")))


def device_line(record: dict[str, Any]) -> str:
    """With device time: that of the core device, of a satellite not tied to it its own."""
    device_us = record.get("core_us", record.get("device_us"))
    seconds = f"{device_us / 1e6:14.6f}" if device_us is not None else " " * 14
    when = _clock(record["time"]) + "~" if (host := record.get("host_time")) is None else _clock(host) + " "
    return printable(f"{NAMES.get(record['level'], record['level'])} {record['source']} {when}{seconds} "
                     f"{record['name']}:{record['message']}")


def _clock(when: float) -> str:
    try:
        return f"{datetime.fromtimestamp(when):%m/%d %H:%M:%S.%f}"
    except (ValueError, OverflowError, OSError):  # a device that gives absurd times
        return f"{when:.6f}"


def json_line(record: dict[str, Any]) -> str:
    """All fields."""
    return json.dumps(record, ensure_ascii=False)


def search_text(record: dict[str, Any]) -> str:
    """What --grep looks at."""
    return f"{record['source']} {record['name']}:{record['message']}"


def moment(text: str, now: float | None = None) -> float:
    """argparse type: a time, as Unix time."""
    now = time.time() if now is None else now
    if match := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhdw])", text):
        return now - float(match[1]) * _UNITS[match[2]]
    if re.fullmatch(r"[0-9]{9,11}(\.[0-9]+)?", text):
        return float(text)
    try:
        if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?", text):
            text = f"{datetime.fromtimestamp(now):%Y-%m-%d} {text.zfill(5) if text.count(':') == 1 else text.zfill(8)}"
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: try 10m, 14:30 or '2030-01-31 14:30'") from None


def level(text: str) -> int:
    """argparse type: the name of a level, or its number."""
    name = text.upper()
    if name in LEVELS or name == "WARN":
        return LEVELS[name if name != "WARN" else "WARNING"]
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no level: {', '.join(LEVELS).lower()}") from None


def pattern(text: str) -> re.Pattern[str]:
    """argparse type: a regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def numbers(text: str) -> tuple[int, int | None]:
    """argparse type: FIRST, or FIRST-LAST."""
    match = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a range like 100-200")
    return int(match[1]), int(match[2]) if match[2] else None
