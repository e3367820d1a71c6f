"""`corelog route FILE ...`: makes, shows and checks a DRTIO routing table; as `artiq_route`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from corelog.coredevice.routing import SIZE, RoutingError, RoutingTable
from corelog.frontend.common import EXIT_FAILURE, EXIT_OK, CommandError, command


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog route",
        description="DRTIO routing table: for each destination the hops on the way there; hop n is downstream port "
        "n - 1 of the board reached, 0 its RTIO core, where the way ends. To load it into the core device: "
        "corelog mgmt config write -f routing_table FILE; corelog mgmt reboot",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show where an error came from")
    parser.add_argument("file", metavar="FILE", type=Path)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("init", help="make a table without routes")
    actions.add_parser("show", help="show the routes")
    route = actions.add_parser("set", help="set the way to a destination (without hops: remove it)")
    route.add_argument("destination", metavar="DESTINATION", type=_number)
    route.add_argument("hops", metavar="HOP", type=_number, nargs="*")
    actions.add_parser("check", help="say what is wrong with the routes; status 1 if anything is")
    return parser


def _load(file: Path) -> RoutingTable:
    try:
        if (size := file.stat().st_size) != SIZE:
            raise CommandError(f"{file}: a routing table has {SIZE} bytes, this has {size}")
    except FileNotFoundError:
        raise CommandError(f"{file} does not exist: make it with corelog route {file} init") from None
    return RoutingTable(file.read_bytes())


@command("corelog route")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: 0 when done, 1 on an error or where `check` found something, 2 for wrong usage."""
    args = get_argparser().parse_args(argv)
    if args.action == "init":
        args.file.write_bytes(RoutingTable().encode())
        return EXIT_OK
    table = _load(args.file)
    if args.action == "show":
        if text := str(table):
            print(text)
    elif args.action == "set":
        try:
            table.set(args.destination, args.hops)
        except RoutingError as exc:
            raise CommandError(str(exc)) from exc
        args.file.write_bytes(table.encode())
    elif problems := table.problems():
        print("\n".join(problems))
        return EXIT_FAILURE
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
