"""`corelog mgmt`: log, configuration, reboot, flash and debugging of a core device."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from corelog.coredevice.mgmt import TIMEOUT, Mgmt
from corelog.coredevice.requests import NO_DEBUG, DeviceError
from corelog.device_db import DeviceDBError, core_address, load
from corelog.frontend import mgmt_flash
from corelog.frontend.common import CommandError, command, destination, port, seconds
from corelog.wire.frames import Level
from corelog.wire.mgmt import PORT, Capability

# a device at 2 MHz takes about a millisecond for a record
SECONDS_PER_RECORD = 0.02
UNREACHABLE_WITHIN = 1.5  # seconds in which the core device says that a satellite cannot be reached


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """-D, --device-db, --port: which core device."""
    parser.add_argument("--device-db", default="device_db.py", metavar="FILE",
                        help="device database (%(default)s); its entry `core` gives the address")  # fmt: skip
    parser.add_argument("-D", "--device", metavar="ADDR", help="address of the core device; no database is read then")
    parser.add_argument("--port", type=port, default=PORT, help="management port (%(default)d)")


def device_address(args: argparse.Namespace) -> str:
    """The address that the arguments ask for. Raises CommandError."""
    if args.device:
        return str(args.device)
    try:
        return core_address(load(args.device_db))
    except DeviceDBError as exc:
        raise CommandError(f"{exc}; or give the address with -D") from exc


def _count(text: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 4294967295")
    return value


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="corelog mgmt", description="Core device management.")
    parser.add_argument("--version", action="version", version=f"corelog {version('corelog')}")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="show where an error came from")
    parser.add_argument("-q", "--quiet", action="count", default=0, help="accepted for compatibility")
    add_device_arguments(parser)
    parser.add_argument("-s", "--drtio-dest", dest="destination", metavar="DEST", type=destination, default=0,
                        help="DRTIO destination: 0 (default) is the core device, others are satellites")  # fmt: skip
    parser.add_argument("--timeout", type=seconds, default=TIMEOUT, help="seconds for each request (%(default)g)")
    tools = parser.add_subparsers(dest="tool", metavar="TOOL", required=True)
    _log(tools.add_parser("log", help="read or clear the log"))
    _config(tools.add_parser("config", help="read and change the configuration store"))
    tools.add_parser("reboot", help="reboot").set_defaults(run=lambda device, args: device.reboot())
    mgmt_flash.add_arguments(tools.add_parser("flash", help="write gateware, bootloader and firmware, and reboot"))
    tools.add_parser("identify", help="show identity, boot, uptime and capabilities").set_defaults(run=_identify)
    _debug(tools.add_parser("debug", help="debugging of the device"))
    return parser


def _log(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=lambda device, args: sys.stdout.write(device.get_log()))
    clear = parser.add_subparsers(metavar="ACTION").add_parser("clear", help="empty the log")
    clear.set_defaults(run=lambda device, args: device.clear_log())


def _config(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    read = actions.add_parser("read", help="show values, or write them to files")
    read.add_argument("keys", metavar="KEY", nargs="*", help="as -s")
    read.add_argument("-s", "--string", metavar="KEY", action="append", default=[], help="show the value as text")
    read.add_argument("-f", "--file", metavar=("KEY", "FILE"), nargs=2, action="append", default=[],
                      help="write the value to a file")  # fmt: skip
    read.set_defaults(run=_config_read)
    write = actions.add_parser("write", help="set values")
    write.add_argument("-s", "--string", metavar=("KEY", "STRING"), nargs=2, action="append", default=[],
                       help="set to a text")  # fmt: skip
    write.add_argument("-f", "--file", metavar=("KEY", "FILE"), nargs=2, action="append", default=[],
                       help="set to the contents of a file")  # fmt: skip
    write.set_defaults(run=_config_write)
    remove = actions.add_parser("remove", help="remove keys")
    remove.add_argument("keys", metavar="KEY", nargs="+")
    remove.set_defaults(run=lambda device, args: [device.config_remove(key) for key in args.keys])
    erase = actions.add_parser("erase", help="remove everything")
    erase.set_defaults(run=lambda device, args: device.config_erase())


def _config_read(device: Mgmt, args: argparse.Namespace) -> None:
    strings = [*args.keys, *args.string]
    if not strings and not args.file:
        raise CommandError("say which keys: config read KEY ..., or -f KEY FILE", status=2)
    for key in strings:
        value = _read_key(device, key)
        try:
            print(value.decode())
        except UnicodeDecodeError:
            raise CommandError(f"the value of {key} is not text; read it into a file with -f {key} FILE") from None
    for key, name in args.file:
        Path(name).write_bytes(_read_key(device, key))


class _NoValue(CommandError):
    """A key could not be read."""


def _read_key(device: Mgmt, key: str) -> bytes:
    try:
        return device.config_read(key)
    except DeviceError as exc:
        raise _NoValue(f"{key}: {exc}") from exc


def _config_write(device: Mgmt, args: argparse.Namespace) -> None:
    if not args.string and not args.file:
        raise CommandError("say what to write: config write -s KEY STRING, or -f KEY FILE", status=2)
    # all files are read before anything is changed
    values = [(key, text.encode()) for key, text in args.string]
    values += [(key, Path(name).read_bytes()) for key, name in args.file]
    for key, value in values:
        device.config_write(key, value)


def _identify(device: Mgmt, args: argparse.Namespace) -> None:
    i = device.identify()
    names = [c.name.lower() for c in Capability if i.capabilities & c and c.name]
    print(f"board id:     {i.board_id:016x}")
    print(f"boot id:      {i.boot_id:016x}")
    print(f"uptime:       {i.uptime / 1e6:.6f} s")
    print(f"capabilities: {', '.join(names) or 'none'}")
    print(f"gateware:     {i.gateware}")
    print(f"firmware:     {i.firmware}")


def _debug(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    allocator = actions.add_parser("allocator", help="show the allocator's state on the device's UART")
    allocator.set_defaults(run=lambda device, args: _allocator(device))
    flood = actions.add_parser("flood", help="have the device write many records")
    flood.add_argument("count", type=_count, metavar="COUNT")
    flood.add_argument("--level", default="INFO", choices=[level.name for level in Level], type=str.upper)
    flood.add_argument("--body-length", type=_count, default=0, metavar="BYTES", help="pad the texts to this length")
    flood.add_argument("--warn-every", type=_count, default=0, metavar="N", help="every Nth is a warning (0: none)")
    flood.add_argument("--interval", type=_count, default=0, metavar="US", help="microseconds between two (0: none)")
    flood.set_defaults(run=_flood)
    actions.add_parser("panic", help="have the firmware panic").set_defaults(run=lambda device, args: _panic(device))
    bench = actions.add_parser("bench", help="have the device measure its logging, into its log")
    bench.add_argument("count", type=_count, metavar="COUNT", nargs="?", default=1000)
    bench.set_defaults(run=_bench)


def _flood(device: Mgmt, args: argparse.Namespace) -> None:
    if args.body_length > 0xFFFF:
        raise CommandError("--body-length is at most 65535", status=2)
    device.timeout += args.count * (SECONDS_PER_RECORD + args.interval / 1e6)
    device.debug_flood(args.count, Level[args.level], args.body_length, args.warn_every, args.interval)


def _panic(device: Mgmt) -> None:
    device.debug_panic()
    device.wait_refusal(NO_DEBUG)


def _allocator(device: Mgmt) -> None:
    device.debug_allocator()
    if device.destination:  # passed on by the core device, which says when it cannot
        device.wait_refusal("Device did not show its allocator's state.", UNREACHABLE_WITHIN)


def _bench(device: Mgmt, args: argparse.Namespace) -> None:
    device.timeout += args.count * SECONDS_PER_RECORD
    device.debug_bench(args.count)


@command("corelog mgmt")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: 0 when done, 1 on an error (one line), 2 for wrong usage."""
    args = get_argparser().parse_args(argv)
    address = device_address(args)
    try:
        with Mgmt(address, args.port, args.destination, args.timeout) as device:
            args.run(device, args)
    except ConnectionRefusedError:
        raise CommandError(f"nothing answers at {address} port {args.port}: is the device up?") from None
    except (DeviceError, _NoValue) as exc:
        if not args.destination:
            raise
        # the device's answer is the same whatever the reason: only its log tells
        text = f"destination {args.destination}: {str(exc).rstrip('.')}. If it is not known or cannot be reached: "
        raise CommandError(f"{text}`corelog log {address}` says which, `corelog route FILE show` its route") from exc
    return 0


if __name__ == "__main__":
    sys.exit(main())
