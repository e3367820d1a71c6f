"""`corelog SUBCOMMAND ...`: one command for all programs. Only the module of the wanted one is imported."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Sequence

from corelog.frontend.common import EXIT_OK, EXIT_USAGE, command

# subcommand (module of corelog.frontend, with _ for -) -> one line of help
SUBCOMMANDS = {
    "demo": "the whole system on the simulated board, to watch and try",
    "board": "run the simulated board: real gateware and firmware in Verilator",
    "run": "run one experiment without a master",
    "master": "experiment master",
    "session": "start master, controller manager and dashboard, and end them together",
    "client": "talk to the master: submit, show the schedule, log, datasets, ...",
    "ctlmgr": "controller manager: runs the controllers of the device database",
    "doctor": "check a set-up and say what to do",
    "token": "make and remove the tokens of those who may use the master from other machines",
    "log": "follow a core device's log without a master",
    "mgmt": "core device management: log, config, reboot, flash, ...",
    "flash": "write a board's flash over JTAG, with OpenOCD",
    "mkfs": "make a flash image of the configuration store",
    "ddb-template": "make the device database of a board from its system description",
    "route": "make and check the DRTIO routing table",
    "rtiomap": "write the channel names of a device database as a device_map",
}


def _module(name: str) -> str:
    return f"corelog.frontend.{name.replace('-', '_')}"


def available() -> dict[str, str]:
    """The subcommands whose module is installed."""
    return {n: h for n, h in SUBCOMMANDS.items() if importlib.util.find_spec(_module(n)) is not None}


def usage() -> str:
    rows = available()
    width = max(map(len, rows), default=0)
    lines = ["usage: corelog SUBCOMMAND ...", "       corelog SUBCOMMAND --help", "       corelog --version", ""]
    return "\n".join(lines + [f"  {name:{width}}  {text}" for name, text in rows.items()])


@command("corelog")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status: that of the subcommand, or 2 for wrong usage."""
    args = list(argv or [])
    if args and args[0] == "help":
        args = [*args[1:2], "--help"]
    if not args or args[0] in ("-h", "--help"):
        print(usage(), file=sys.stdout if args else sys.stderr)
        return EXIT_OK if args else EXIT_USAGE
    if args[0] == "--version":
        print(f"corelog {importlib.metadata.version('corelog')}")
        return EXIT_OK
    name = args[0]
    if name not in available():
        known = ", ".join(available())
        print(f"corelog: error: {name!r} is no subcommand; there are: {known}", file=sys.stderr)
        return EXIT_USAGE
    module = importlib.import_module(_module(name))
    return int(module.main(args[1:]) or EXIT_OK)


if __name__ == "__main__":
    sys.exit(main())
