"""`corelog mkfs OUTPUT`: makes an image of the configuration store, to be flashed; as `artiq_mkfs`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from corelog.flash import store
from corelog.frontend.common import CommandError, command


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog mkfs",
        description="Makes an image of a core device's configuration store. To flash it: corelog flash -f OUTPUT "
        "write=storage start",
    )
    parser.add_argument("--version", action="version", version=f"corelog {version('corelog')}")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="show where an error came from")
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="the image")
    parser.add_argument("-s", "--string", metavar=("KEY", "STRING"), nargs=2, action="append", default=[],
                        help="add a record: a text")  # fmt: skip
    parser.add_argument("-f", "--file", metavar=("KEY", "FILE"), nargs=2, action="append", default=[],
                        help="add a record: the contents of a file")  # fmt: skip
    return parser


@command("corelog mkfs")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: 0 when done, 1 on an error (one line; nothing is written then), 2 for wrong usage."""
    args = get_argparser().parse_args(argv)
    records = [(key, os.fsencode(text)) for key, text in args.string]
    records += [(key, Path(name).read_bytes()) for key, name in args.file]
    try:
        image = store.encode(records)
    except store.StoreError as exc:
        raise CommandError(str(exc)) from exc
    args.output.write_bytes(image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
