"""``corelog board``: the simulated core device, real gateware and real firmware, on a loopback address."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from corelog.frontend.common import EXIT_OK, CommandError, command

if TYPE_CHECKING:
    from corelog_gateware.simulator.build import Built


MAX_SATELLITES = 8
# Options that the board program has as well.
VALUES = ("storage", "uart", "board_id", "seed", "trace_marks", "cycles", "vcd", "vcd_start", "vcd_cycles",
          "satellites", "link_corrupt", "link_drop", "control", "threads")
FLAGS = ("free_run", "print_speed", "verbose", "chain")


def loopback_address(text: str) -> str:
    try:
        address = IPv4Address(text)
    except AddressValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IPv4 address") from None
    if not address.is_loopback:
        raise argparse.ArgumentTypeError(f"{text} is not a loopback address such as 127.0.0.1 or 127.0.0.2")
    return str(address)


def board_id(text: str) -> str:
    try:
        value = int(text, 16)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a hexadecimal number") from None
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError(f"{text} does not fit into 64 bits")
    return f"{value:016x}"


def satellites(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_SATELLITES:
        raise argparse.ArgumentTypeError(f"a tree has 1 to {MAX_SATELLITES} satellites, not {text}")
    return int(text)


def rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2^64-1")
    return value


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog board",
        description="Run the simulated core device: its gateware cycle by cycle, with its firmware, at 2 MHz in real "
        "time. Builds what it needs on first use. One line on standard output says when the firmware is up.",
    )
    parser.add_argument(
        "--address",
        type=loopback_address,
        default="127.0.0.1",
        help="loopback address on which ports 1380 (management) and 1381 (session) lead to the board; another board "
        "needs another one (default: %(default)s)",
    )
    parser.add_argument("--storage", metavar="FILE", help="keep the configuration here (default: forget it at the end)")
    parser.add_argument("--uart", metavar="FILE", help="write what the UART sends here")
    parser.add_argument("--free-run", action="store_true", help="as fast as possible, not in real time")
    parser.add_argument("--firmware", type=Path, metavar="ELF", help="use this firmware instead of compiling ours")
    parser.add_argument(
        "--board-id", type=board_id, metavar="HEX", help="64-bit identity (default: derived from the address)"
    )
    parser.add_argument(
        "--seed", type=count, metavar="N", help="seed of the board's random numbers (default: random ones)"
    )
    parser.add_argument("--build-only", action="store_true", help="build what is missing, then end")
    parser.add_argument(
        "--die-with-parent", action="store_true", help="end when the process that started this one does"
    )
    verbosity = parser.add_mutually_exclusive_group()
    verbosity.add_argument("-v", "--verbose", action="store_true", help="say more: resets, frames dropped, ...")
    verbosity.add_argument("-q", "--quiet", action="store_true", help="do not show the progress of the build")

    group = parser.add_argument_group("several boards")
    group.add_argument(
        "--satellites",
        type=satellites,
        metavar="N",
        help="a tree: the core device with N satellites, each with firmware of its own; of the files given here "
        "(--storage, --uart, --trace-marks, --vcd), satellite n gets the name with .n at its end",
    )
    group.add_argument(
        "--chain",
        action="store_true",
        help="each satellite behind the one before (default: a star of up to 3, satellite n on port n - 1 of the core "
        "device); routes them so unless the configuration has a routing_table",
    )
    group.add_argument(
        "--satellite-firmware", type=Path, metavar="ELF", help="use this firmware instead of compiling the satellites'"
    )
    group.add_argument(
        "--link-corrupt", type=rate, metavar="RATE", help="share of the symbols on every link that arrive wrong"
    )
    group.add_argument(
        "--link-drop", type=rate, metavar="RATE", help="share of the words of two symbols that do not arrive"
    )
    group.add_argument(
        "--control",
        metavar="PATH",
        help="take commands, a line each, on this Unix socket: boards; board N reset|off|on; links; "
        "link N|all [up|down] cut|restore|corrupt RATE|drop RATE. Link n is the one between satellite n and the board "
        "before it. Each is answered by a line, 'ok ...' or 'error: ...'",
    )
    group.add_argument(
        "--threads", type=count, metavar="N", help="threads that run the boards (default: one for each processor)"
    )

    group = parser.add_argument_group("measuring and looking inside")
    group.add_argument(
        "--trace-marks", metavar="FILE", help="write cycle stamps of marks, errors, frames, resets here"
    )
    group.add_argument("--cycles", type=count, metavar="N", help="end after N cycles")
    group.add_argument("--print-speed", action="store_true", help="print cycles per second at the end")
    group.add_argument("--vcd", metavar="FILE", help="write the waveforms of all signals here (slow, large)")
    group.add_argument("--vcd-start", type=count, metavar="N", help="first cycle of the waveform file (default: 0)")
    group.add_argument(
        "--vcd-cycles", type=count, metavar="N", help="cycles in the waveform file at most (default: 500000)"
    )
    return parser


def program_line(args: argparse.Namespace, built: "Built", parent: int) -> list[str]:
    """Command line of the board program for the front end's arguments."""
    line = [*built.command(), "--address", args.address]
    for option in VALUES:
        value = getattr(args, option)
        if value is not None:
            line += [f"--{option.replace('_', '-')}", str(value)]
    for option in FLAGS:
        if getattr(args, option):
            line.append(f"--{option.replace('_', '-')}")
    if args.die_with_parent:
        line += ["--parent", str(parent)]
    return line


@command("corelog board")
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 at the end (also by SIGTERM or Ctrl-C), 1 with one line that says why it did not work."""
    # Who the parent is must be known before the build, during which it may end.
    parent = os.getppid()
    args = get_argparser().parse_args(argv)
    if args.satellites is None:
        for option in ("chain", "satellite_firmware", "link_corrupt", "link_drop"):
            if getattr(args, option):
                raise CommandError(f"--{option.replace('_', '-')} means nothing without --satellites")
    try:
        # Imported late: the host programs work without the simulator's packages.
        from corelog_gateware.simulator.build import build
        from corelog_gateware.simulator.paths import BuildError
    except ImportError as error:
        raise CommandError(f"the simulated board is not installed ({error}): run scripts/setup") from error
    # A build that is told to end leaves nothing running; the board program has a handler of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_OK))
    try:
        built = build(
            trace=args.vcd is not None,
            firmware=args.firmware,
            out=silent if args.quiet else None,
            tree=args.satellites is not None,
            satellite_firmware=args.satellite_firmware,
        )
    except BuildError as error:
        raise CommandError(str(error)) from error
    if args.build_only:
        return EXIT_OK
    sys.stdout.flush()
    sys.stderr.flush()
    # The board program takes this process over, with its signals and its exit status.
    line = program_line(args, built, parent)
    os.execv(line[0], line)


def silent(line: str) -> None:
    del line


if __name__ == "__main__":
    sys.exit(main())
