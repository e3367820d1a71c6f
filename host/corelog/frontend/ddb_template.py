"""`corelog ddb-template FILE`: the device database that belongs to a system description; as `artiq_ddb_template`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from corelog.boards.database import database
from corelog.boards.description import Description, DescriptionError, load
from corelog.frontend.common import CommandError, command


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog ddb-template",
        description="Makes a device database with the core device, its log controller and all RTIO channels of the "
        "boards in the system descriptions (JSON).",
    )
    parser.add_argument("--version", action="version", version=f"corelog {version('corelog')}")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="show where an error came from")
    parser.add_argument("primary_description", metavar="DESCRIPTION", help="of the core device, standalone or master")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="default: standard output")
    parser.add_argument("-s", "--satellite", metavar=("DESTINATION", "DESCRIPTION"), nargs=2, action="append",
                        default=[], help="add a satellite and its DRTIO destination, 1 to 255")  # fmt: skip
    parser.add_argument("--artiq", action="store_true",
                        help="with ARTIQ's own drivers, and with its proxies for moninj and analyzer")  # fmt: skip
    return parser


def _satellites(pairs: Sequence[Sequence[str]]) -> dict[int, Description]:
    found: dict[int, Description] = {}
    for text, file in pairs:
        try:
            destination = int(text, 0)
        except ValueError:
            raise CommandError(f"{text!r} is not a DRTIO destination (1 to 255)", status=2) from None
        if destination in found:
            raise CommandError(f"destination {destination} is given twice", status=2)
        found[destination] = load(file)
    return found


@command("corelog ddb-template")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: 0 when done, 1 on an error (one line; nothing is written then), 2 for wrong usage."""
    args = get_argparser().parse_args(argv)
    try:
        text = database(load(args.primary_description), _satellites(args.satellite), args.artiq)
    except DescriptionError as exc:
        raise CommandError(str(exc)) from exc
    if args.output is None:
        sys.stdout.write(text)
    else:
        args.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
