"""What `corelog client` asks the master to do (all but `show`)."""

from __future__ import annotations

import argparse
import ast
import datetime
import logging
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from corelog.frontend.common import CommandError
from corelog.frontend.master_link import CONTROL, control, token
from corelog.frontend.run import parse_arguments
from corelog.language.units import scale_of
from sipyco import pyon, pyon_v1
from sipyco.packed_exceptions import GenericRemoteException
from sipyco.tools import SimpleSSLConfig

Call = Callable[..., Any]


def date(text: str) -> float:
    """argparse type: Unix time of a date, of a time of today, or of `+SECONDS` from now."""
    now = datetime.datetime.now()
    if text.startswith("+"):
        try:
            return time.time() + float(text[1:])
        except ValueError:
            pass
    for form in ("%H:%M", "%H:%M:%S", "%m/%d %H:%M:%S", "%m/%d %H:%M"):
        try:
            # parsed with the year, as 02/29 is a date in some years only
            parsed = datetime.datetime.strptime(f"{now.year} {text}", f"%Y {form}")
        except ValueError:
            continue
        return (parsed if "%m" in form else parsed.replace(month=now.month, day=now.day)).timestamp()
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: write 14:30, '2030-01-31 14:30', '01/31 14:30:00' "
                                         f"or +90 (seconds from now)") from None


def overrides(text: str) -> dict[str, dict[str, Any]]:
    """`DEVICE:ARG=PYON ...` as device -> argument -> value. Raises CommandError."""
    devices: dict[str, dict[str, Any]] = {}
    for item in text.split():
        device, colon, assignment = item.partition(":")
        if not (device and colon):
            raise CommandError(f"{item!r} is not of the form DEVICE:ARG=PYON")
        devices.setdefault(device, {}).update(parse_arguments([assignment]))
    return devices


def expid(args: argparse.Namespace) -> dict[str, Any]:
    """The description of the run that `submit` asks for. Raises CommandError."""
    description = {"devarg_override": overrides(args.devarg_override),
                   "log_level": logging.WARNING + 10 * args.quiet - 10 * args.verbose,
                   "class_name": args.class_name, "arguments": parse_arguments(args.arguments)}
    if args.content and args.repository:
        raise CommandError("--content sends a file of this machine, -R names one of the repository: choose one")
    if args.revision is not None and not args.repository:
        raise CommandError("-r REV is a revision of the repository: add -R")
    if args.content:
        return {**description, "content": Path(args.file).read_text(encoding="utf-8")}
    if args.repository:
        return {**description, "file": args.file, "repo_rev": args.revision}
    return {**description, "file": args.file}


def dataset_value(text: str) -> Any:
    """A value in PYON of either version. Raises CommandError."""
    try:
        return pyon.decode(text)
    except (ValueError, TypeError):
        pass
    try:
        return pyon_v1.decode(text)
    except (ValueError, TypeError, ArithmeticError):
        raise CommandError(f"{text!r} is not a PYON value (a string needs quotes: '\"{text}\"')") from None


def scaled(value: Any, scale: float | None, unit: str | None) -> Any:
    """The value in base units: numbers and arrays are multiplied. Raises CommandError."""
    if scale is None and unit is not None:
        scale = scale_of(unit)
        if scale is None:
            raise CommandError(f"the unit {unit} is unknown: give its scale")
    is_number = isinstance(value, int | float | complex | np.number | np.ndarray) and not isinstance(value, bool)
    return value * scale if scale is not None and is_number else value


def _set_dataset(args: argparse.Namespace, call: Call) -> None:
    metadata = {key: getattr(args, key) for key in ("unit", "scale", "precision") if getattr(args, key) is not None}
    value = scaled(dataset_value(args.value), args.scale, args.unit)
    call("dataset_db", "set", args.name, value, args.persist, metadata or None)


def _submit(args: argparse.Namespace, call: Call) -> None:
    rid = call("schedule", "submit", args.pipeline, expid(args), args.priority, args.timed, args.flush)
    if rid is None:
        raise CommandError("the master is ending and takes no more runs")
    print(f"RID: {rid}")


def _delete(args: argparse.Namespace, call: Call) -> None:
    call("schedule", "request_termination" if args.gracefully else "delete", args.rid)


def _explain(args: argparse.Namespace, call: Call) -> None:
    said = call("schedule", "explain", args.rid)
    print(said if isinstance(said, str) else "\n".join(map(str, said)))


def _scan_repository(args: argparse.Namespace, call: Call) -> None:
    call("experiment_db", "scan_repository_async" if args.no_wait else "scan_repository", args.revision)


def _list(args: argparse.Namespace, call: Call) -> None:
    names = call("experiment_db", "list_directory", args.directory)
    for name in sorted(names, key=lambda name: (not name.endswith(("/", "\\")), name)):
        print(name.encode(sys.stdout.encoding or "utf-8", "backslashreplace").decode(sys.stdout.encoding or "utf-8"))


ACTIONS: dict[str, Callable[[argparse.Namespace, Call], Any]] = {
    "submit": _submit,
    "delete": _delete,
    "explain": _explain,
    "set-dataset": _set_dataset,
    "del-dataset": lambda args, call: call("dataset_db", "delete", args.name),
    "supply-interactive": lambda args, call: call("interactive_arg_db", "supply", args.rid,
                                                  parse_arguments(args.arguments)),
    "cancel-interactive": lambda args, call: call("interactive_arg_db", "cancel", args.rid),
    "scan-devices": lambda args, call: call("device_db", "scan"),
    "scan-repository": _scan_repository,
    "ls": _list,
    "terminate": lambda args, call: call("master_management", "terminate"),
}


def act(args: argparse.Namespace, ssl: SimpleSSLConfig | None) -> None:
    """Does the action. Raises CommandError, and what the master raises."""
    def call(target: str, method: str, *arguments: Any) -> Any:
        with control(args.server, args.port or CONTROL, target, ssl, token(args.token_file)) as client:
            return getattr(client, method)(*arguments)

    try:
        ACTIONS[args.action](args, call)
    except Exception as error:
        if not hasattr(error, "parent_traceback"):
            raise
        raise CommandError(f"the master refuses: {remote_text(error)}") from error


def remote_text(error: Exception) -> str:
    """What the master says by an exception. The text of a KeyError travels in quotes, one of a class that does not
    exist here with the name of the class."""
    text = str(error.args[0] if error.args else "") or type(error).__name__
    if isinstance(error, GenericRemoteException):
        return re.sub(r"\A[\w.]+: ", "", text)
    if isinstance(error, KeyError):
        try:
            return str(ast.literal_eval(text))
        except (ValueError, SyntaxError):
            return text
    return text
