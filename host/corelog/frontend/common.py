"""What every command of ours shares: one line for an error, a meaningful exit status, a traceback only on request."""

from __future__ import annotations

import argparse
import functools
import os
import re
import select
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Protocol

# Supervisors wait for exactly these lines.
MASTER_READY = "ARTIQ master is now ready."
CTLMGR_READY = "ARTIQ controller manager is now running."

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

Main = Callable[[Sequence[str] | None], int | None]


class Program(Protocol):
    """A `main` ready to be an entry point."""

    def __call__(self, argv: Sequence[str] | None = None) -> int: ...


class CommandError(Exception):
    """Something the user can act on: `str()` is one line that says what is wrong and what to do.

    `status` is the exit status of the program.
    """

    def __init__(self, message: str, status: int = EXIT_FAILURE) -> None:
        super().__init__(message)
        self.status = status


def wants_traceback(argv: Sequence[str]) -> bool:
    """Whether -v (any number of times) or --verbose is among the arguments."""
    return any(a == "--verbose" or re.fullmatch(r"-v+", a) for a in argv)


def describe(exc: BaseException) -> str:
    """One line about an exception, without a traceback."""
    if isinstance(exc, CommandError):
        text = str(exc)
    elif isinstance(exc, TimeoutError) and not str(exc):
        text = "timed out"
    elif isinstance(exc, OSError):
        # str(OSError(errno, text, filename)) is "[Errno 2] text: 'file'"; the number helps nobody
        text = f"{exc.strerror}: {exc.filename}" if exc.strerror and exc.filename else exc.strerror or str(exc)
        text = text or type(exc).__name__
    else:
        text = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
    return " ".join(text.split("\n"))


def command(prog: str) -> Callable[[Main], Program]:
    """Decorator for `main(argv=None)`: turns every exception into `PROG: error: ...` on stderr and an exit status.

    The traceback is shown first if -v is among the arguments. Ctrl-C gives 130, a closed stdout (`| head`) 0.
    """

    def decorate(main: Main) -> Program:
        @functools.wraps(main)
        def wrapper(argv: Sequence[str] | None = None) -> int:
            args = list(sys.argv[1:] if argv is None else argv)
            try:
                return main(args) or EXIT_OK
            except KeyboardInterrupt:
                return EXIT_INTERRUPTED
            except BrokenPipeError as exc:
                if exc.filename is None and not _stdout_works():
                    return EXIT_OK
                return _report(prog, exc, args)
            except Exception as exc:  # noqa: BLE001 - the outermost frame of a program
                return _report(prog, exc, args)

        return wrapper

    return decorate


def _stdout_works() -> bool:
    try:
        sys.stdout.flush()
        if not _reader_left(sys.stdout.fileno()):
            return True
    except (BrokenPipeError, ValueError):
        pass
    # the interpreter would try to flush it again at exit, and complain
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    return False


def _reader_left(descriptor: int) -> bool:
    """Whether nobody reads this pipe any more. A print that failed has emptied the buffer: flushing tells nothing."""
    if sys.platform == "win32":
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def _report(prog: str, exc: Exception, args: Sequence[str]) -> int:
    if wants_traceback(args):
        traceback.print_exception(exc)
    expected = isinstance(exc, CommandError | OSError | EOFError)
    hint = "" if expected or wants_traceback(args) else " (-v shows where)"
    print(f"{prog}: error: {describe(exc)}{hint}", file=sys.stderr)
    return exc.status if isinstance(exc, CommandError) else EXIT_FAILURE


def seconds(text: str) -> float:
    """argparse type: a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


def destination(text: str) -> int:
    """argparse type: a DRTIO destination, 0 (the core device itself) to 255."""
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value <= 255:
        raise argparse.ArgumentTypeError(f"{text!r} is not a DRTIO destination (0 to 255)")
    return value


def port(text: str) -> int:
    """argparse type: a TCP port, 0 to 65535 (0 lets the system choose)."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a TCP port (0 to 65535)")
    return value
