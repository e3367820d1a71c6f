"""`corelog rtiomap FILE`: writes the channel names of a device database as the core device's `device_map`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from corelog import device_db
from corelog.coredevice import device_map
from corelog.frontend.common import CommandError, command


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog rtiomap",
        description="Writes the names of the RTIO channels of a device database to FILE, in the form of the core "
                    "device's configuration key device_map. Then: corelog mgmt config write -f device_map FILE")
    parser.add_argument("--device-db", default="device_db.py", metavar="DB", help="default: %(default)s")
    parser.add_argument("--show", action="store_true", help="also print the channels and their names")
    parser.add_argument("-v", "--verbose", action="store_true", help="show where an error arose")
    parser.add_argument("file", metavar="FILE")
    return parser


@command("corelog rtiomap")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    args = get_argparser().parse_args(argv)
    try:
        names = device_map.channel_names(device_db.load(args.device_db))
    except device_db.DeviceDBError as error:
        raise CommandError(str(error)) from error
    Path(args.file).write_bytes(device_map.encode(names))
    if args.show:
        for channel, name in names.items():
            print(f"{channel} -> {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
