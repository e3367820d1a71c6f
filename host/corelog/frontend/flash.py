"""`corelog flash`: writes a board's flash over JTAG, with OpenOCD; as `artiq_flash`."""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from corelog.flash import files, openocd
from corelog.flash.images import Image, ImageError, check
from corelog.flash.layout import FIRMWARE, GATEWARE, SECTOR, STORAGE, TARGETS, LayoutError, Target, find
from corelog.flash.openocd import OpenOCDError
from corelog.flash.script import FILES, LOAD_FILE, Command, CommandsError, lines, parse, steps
from corelog.frontend.common import CommandError, command
from corelog.frontend.text_table import table

_COMMANDS = """\
commands, done in this order (default: write start):
  write[=REGION,...]  check, erase what is needed, write, and verify (default: gateware,bootloader,firmware)
  erase[=REGION,...]  erase regions (default: the whole flash, with all configuration)
  load                load DIR's bitstream into the FPGA; it is gone at the next power cycle
  start               have the FPGA configure itself from the flash
regions: gateware, bootloader, storage (the configuration; the file is given with -f), firmware

If the board is reachable by network, corelog mgmt flash does the same without a cable.
"""


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog flash",
        description="Writes a board's flash over JTAG, with OpenOCD.",
        epilog=_COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"corelog {version('corelog')}")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="show what OpenOCD says")
    parser.add_argument("-q", "--quiet", action="count", default=0, help="show no progress")
    parser.add_argument("-n", "--dry-run", action="store_true",
                        help="check the files, show what goes where and the OpenOCD script; run nothing")  # fmt: skip
    parser.add_argument("-H", "--host", metavar="HOST", help="run OpenOCD on this machine, over SSH")
    parser.add_argument("-J", "--jump", metavar="JUMP", help="reach HOST through this machine")
    parser.add_argument("-t", "--target", default="kasli", metavar="TARGET",
                        help=f"the board: {', '.join(TARGETS)} (default: %(default)s)")  # fmt: skip
    parser.add_argument("-I", "--preinit-command", metavar="OPENOCD_CMD", action="append", default=[],
                        help="OpenOCD command to run first, to choose one of several boards for instance")  # fmt: skip
    parser.add_argument("-f", "--storage", metavar="STORAGE_IMG", type=Path, help="storage image (corelog mkfs)")
    parser.add_argument("-d", "--dir", metavar="DIR", type=Path, help="where the binaries are")
    parser.add_argument("--srcbuild", action="store_true", help="DIR is a build tree (gateware/, software/)")
    parser.add_argument("--mixed", action="store_true",
                        help="allow gateware and firmware that were not made for each other")  # fmt: skip
    parser.add_argument("commands", metavar="COMMAND", nargs="*", help="see below")
    return parser


def _images(args: argparse.Namespace, target: Target, commands: Sequence[Command]) -> dict[str, Image]:
    """The image of each region that is written, checked."""
    regions = {region for command in commands if command.verb == "write" for region in command.regions}
    images = {}
    if STORAGE in regions:
        if args.storage is None:
            raise CommandError("write=storage needs -f STORAGE_IMG", status=2)
        images[STORAGE] = check(STORAGE, args.storage.read_bytes(), str(args.storage), target)
    if components := [region for region in files.COMPONENTS if region in regions]:
        if args.dir is None:
            raise CommandError("write needs -d DIR, where the binaries are", status=2)
        images |= {image.region: image for image in
                   files.read(args.dir, components, target, args.srcbuild, args.mixed)}  # fmt: skip
    return images


def _load_file(args: argparse.Namespace, target: Target) -> bytes:
    if args.dir is None:
        raise CommandError("load needs -d DIR, where the binaries are", status=2)
    file = files.find(args.dir, GATEWARE, args.srcbuild)
    if file.suffix != ".bit":
        raise CommandError(f"load needs top.bit: OpenOCD loads no bitstream without its header, as {file} is")
    data = file.read_bytes()
    check(GATEWARE, data, str(file), target)
    return data


def _table(target: Target, images: Sequence[Image]) -> str:
    """What goes where: a line for each region that is written."""
    rows = []
    for image in sorted(images, key=lambda image: target.region(image.region).start):
        region, size = target.region(image.region), len(image.data)
        sectors = f"{region.start // SECTOR}-{(region.start + size - 1) // SECTOR}"
        rows.append([f"{image.region:10}", f"{region.start:#08x}", sectors, f"{size:>8}", f"{region.size:>8}",
                     f"{zlib.crc32(image.data):08x}"])  # fmt: skip
    return table(["region", "address", "sectors", f"{'bytes':>8}", f"{'room':>8}", "CRC-32"], rows)


def _warn_of_halves(commands: Sequence[Command]) -> None:
    """Gateware and firmware work only together, and which one the flash holds is not known here."""
    written = {region for command in commands if command.verb == "write" for region in command.regions}
    for one, other in ((GATEWARE, FIRMWARE), (FIRMWARE, GATEWARE)):
        if one in written and other not in written:
            print(f"corelog flash: warning: {one} without {other}: the board does not start unless the flash holds the "
                  f"{other} of the same build", file=sys.stderr, flush=True)  # fmt: skip


def _flash(args: argparse.Namespace) -> None:
    target = find(args.target)
    commands = parse(args.commands)
    images = _images(args, target, commands)
    content = {FILES[region]: image.data for region, image in images.items()}
    if any(command.verb == "load" for command in commands):
        content[LOAD_FILE] = _load_file(args, target)
    job = steps(target, commands, images, args.preinit_command)
    _warn_of_halves(commands)
    if args.dry_run:
        # Beside the script, not in it.
        if images:
            print(_table(target, list(images.values())), file=sys.stderr, flush=True)
        print("\n".join(lines(job)))
        return
    if args.host is None:
        openocd.require()
    if any(command.verb in ("write", "erase") for command in commands):
        content[target.proxy] = openocd.find_proxy(target.proxy).read_bytes()
    begin = time.monotonic()

    def progress(number: int, title: str) -> None:
        if not args.quiet:
            print(f"[{number}/{len(job)}, {time.monotonic() - begin:.0f} s] {title}", flush=True)

    def output(line: str) -> None:
        if args.verbose:
            print(f"openocd: {line}", file=sys.stderr, flush=True)

    openocd.run(job, content, progress, output, args.host, args.jump)


@command("corelog flash")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: 0 when all is written and verified, 1 on an error (one line), 2 for wrong usage."""
    args = get_argparser().parse_args(argv)
    try:
        _flash(args)
    except (CommandsError, LayoutError) as exc:
        raise CommandError(str(exc), status=2) from exc
    except (ImageError, OpenOCDError) as exc:
        raise CommandError(str(exc)) from exc
    return 0


if __name__ == "__main__":
    sys.exit(main())
