"""`corelog mgmt flash`: writes gateware, bootloader and firmware through the network, and sees the device back."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from corelog.coredevice.mgmt import Mgmt
from corelog.coredevice.requests import DeviceError
from corelog.flash import layout
from corelog.flash.files import read_all
from corelog.flash.images import ImageError, firmware_file
from corelog.flash.layout import LayoutError, Target
from corelog.frontend.common import CommandError, seconds
from corelog.wire.mgmt import Identity

_RETRY = 0.5
_ANSWER = 2.0  # seconds for an answer while the device may be rebooting
_SECONDS, _BYTES_PER_SECOND = 60, 20_000  # a device erases and writes before it answers


def _target(text: str) -> Target:
    try:
        return layout.find(text)
    except LayoutError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", type=Path,
                        help="directory with top.bit, bootloader.bin and runtime.fbi or satman.fbi, all three; "
                             "or with boot.bin; or a file of that name")  # fmt: skip
    parser.add_argument("--srcbuild", action="store_true", help="PATH is a build tree (gateware/, software/)")
    parser.add_argument("-t", "--target", metavar="TARGET", type=_target,
                        help=f"refuse what is not for this board: {', '.join(layout.TARGETS)}")  # fmt: skip
    parser.add_argument("--change-role", action="store_true",
                        help="allow a core device to become a satellite, or the other way round")  # fmt: skip
    parser.add_argument("--mixed", action="store_true",
                        help="allow gateware and firmware that were not made for each other")  # fmt: skip
    parser.add_argument("--wait", metavar="SECONDS", type=seconds, default=120.0,
                        help="how long the device may take to come back (%(default)g)")  # fmt: skip
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the device to come back")
    parser.set_defaults(run=run)


def run(device: Mgmt, args: argparse.Namespace) -> None:
    try:
        components, fields = read_all(args.path, args.target, args.srcbuild, args.mixed)
    except (ImageError, LayoutError) as exc:
        raise CommandError(str(exc)) from exc
    role, expected = firmware_file(components[-1]), "satman.fbi" if args.destination else "runtime.fbi"
    if role not in ("", expected) and not args.change_role:
        board = f"destination {args.destination} is a satellite" if args.destination else "this is the core device"
        raise CommandError(f"{board}, and the firmware is a {role}: --change-role if that is meant")
    if fields:
        for name, value in fields.items():
            print(f"{name}: {value}")
        print(f"Bitstream payload length: {len(components[0])} bytes", flush=True)
    before = _identity(device)
    length = sum(map(len, components))
    device.timeout = max(device.timeout, _SECONDS + length / _BYTES_PER_SECOND)
    device.flash(components, _Progress())
    _say("the device has taken the image and restarts")
    if args.no_wait:
        return
    if before is None:
        _say("it does not know Identify: whether it comes back is not checked")
        return
    after = _wait(device, before, args.wait)
    print(f"gateware: {after.gateware}\nfirmware: {after.firmware}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _Progress:
    """Says each tenth that is sent."""

    def __init__(self) -> None:
        self.tenth = -1

    def __call__(self, sent: int, total: int) -> None:
        if (tenth := sent * 10 // total) > self.tenth:
            self.tenth = tenth
            _say(f"sent {tenth * 10} % of {total} bytes" + (": the device checks and writes" if sent == total else ""))


def _identity(device: Mgmt) -> Identity | None:
    """None for a device that does not know the request: it refuses, or closes the connection."""
    try:
        return device.identify()
    except (DeviceError, ConnectionError):
        return None


def _wait(device: Mgmt, before: Identity, patience: float) -> Identity:
    """The identity after the restart. Raises CommandError."""
    ends = time.monotonic() + patience
    device.timeout = _ANSWER
    seen = "does not answer"
    while time.monotonic() < ends:
        try:
            after = device.identify()
        except OSError:
            device.close()
        else:
            if after.boot_id != before.boot_id:
                return after
            seen = "has not restarted"
        time.sleep(min(_RETRY, max(0.0, ends - time.monotonic())))
    raise CommandError(f"the device took the image, but {seen} after {patience:g} s: its UART tells more")
