"""`aqctl_corelog`: the log of a core device and its satellites, as lines on stderr for the controller manager."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corelog.controllers.corelog import CoreLog
from corelog.controllers.fields import wanted
from corelog.controllers.lines import Chunk, process_line
from corelog.controllers.output import Output, OwnStream, ReaderGone, is_pipe
from corelog.controllers.state import State, StateError, default_path
from corelog.coredevice.follow import Device
from corelog.frontend.common import CommandError, command, destination, port
from corelog.wire.frames import Cursor, Level
from corelog.wire.mgmt import PORT
from sipyco.common_args import (
    bind_address_from_args,
    init_logger_from_args,
    simple_network_args,
    verbosity_args,
)
from sipyco.pc_rpc import Server

logger = logging.getLogger(__name__)

RPC_PORT = 1068
STDERR = 2
LAST_WORDS = 1.0  # seconds to write what is left when asked to end


class Target:
    """The log of a core device. It is not read here: it comes as lines on the controller's stderr."""

    def __init__(self, controller: CoreLog | None) -> None:
        self._controller = controller

    def ping(self) -> bool:
        """Whether the controller lives: it does, if it answers. Whether it hears the device: see `status`."""
        return True

    def status(self) -> dict[str, Any]:
        """Connection, counters and the place in the device's record streams."""
        return {"simulation": True} if self._controller is None else self._controller.status()


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aqctl_corelog",
        description="Log controller: writes the log of a core device to stderr, for ever, as lines that "
        "the controller manager forwards to the master. Device records of every level are written, whatever -v and -q.",
    )
    simple_network_args(parser, RPC_PORT)
    verbosity_args(parser)
    parser.add_argument("--simulation", action="store_true", help="no device: write a message every 2 s")
    parser.add_argument(
        "-s", "--drtio-dest", dest="destination", metavar="DEST", type=destination,
        help="only this DRTIO destination (default: the core device, 0, and all its satellites)",
    )  # fmt: skip
    parser.add_argument("--port-mgmt", type=port, default=PORT, help="management port of the device (%(default)d)")
    parser.add_argument(
        "--state", type=Path, metavar="FILE",
        help="where to keep the place in the log, so that a new controller goes on where a killed one was "
        "(default: a file in $XDG_STATE_HOME/corelog if stderr is a pipe, else none)",
    )  # fmt: skip
    parser.add_argument("--no-state", action="store_true", help="start at the oldest record that the device keeps")
    parser.add_argument("core_addr", metavar="CORE_ADDR", help="address of the core device")
    return parser


def _state_path(args: argparse.Namespace) -> Path | None:
    if args.no_state or args.simulation:
        return None
    if args.state is None and is_pipe(STDERR):
        suffix = args.core_addr if args.destination is None else f"{args.core_addr}-{args.destination}"
        return default_path(suffix, args.port)
    path: Path | None = args.state
    return path


def _number(name: str) -> int | None:
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else None


def _claim(args: argparse.Namespace) -> tuple[State | None, list[Cursor]]:
    """Opens the state and takes over. Raises StateError."""
    path = _state_path(args)
    if path is None:
        return None, []
    state = State.open(path)
    return state, state.claim(_number("CORELOG_RESUME_LINES"), _number("CORELOG_RESUME_PID"))


async def _simulate(address: str, output: Output) -> None:
    while True:
        output.put([Chunk(process_line(Level.INFO, "firmware.simulation", f"hello {address}"), 1)])
        await output.ready()
        await asyncio.sleep(2)


async def _run(args: argparse.Namespace) -> int:
    problem = None
    try:
        state, cursors = _claim(args)
    except StateError as exc:
        if args.state is not None:
            raise CommandError(f"{exc} (give another with --state, or --no-state)") from exc
        state, cursors, problem = None, [], exc
    output = Output(STDERR, state)
    real_stderr, sys.stderr = sys.stderr, OwnStream(output)
    try:
        init_logger_from_args(args)
        if problem is not None:
            logger.warning("%s: a restart of this controller begins at the oldest record again", problem)
        return await _serve(args, output, state, cursors)
    finally:
        if not output.failed.done():
            await output.drain(LAST_WORDS)
        output.close()
        sys.stderr = real_stderr
        if state is not None:
            state.close()


async def _serve(args: argparse.Namespace, output: Output, state: State | None, cursors: list[Cursor]) -> int:
    if args.simulation:
        controller, work = None, _simulate(args.core_addr, output)
    else:
        device = Device(args.core_addr, args.port_mgmt, args.destination)
        controller = CoreLog(device, output, state, cursors, fields=wanted())
        work = controller.run()
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    server = Server(
        {"corelog": Target(controller)}, "log of a core device", builtin_terminate=True, allow_parallel=True
    )
    try:
        await server.start(bind_address_from_args(args), args.port)
    except BaseException:
        work.close()
        raise
    job = asyncio.ensure_future(work)
    ends = [job, asyncio.ensure_future(server.wait_terminate()), asyncio.ensure_future(asked.wait())]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if job.done():
            job.result()  # raises: it ends only by an exception
        return 0
    except ReaderGone:
        return 1  # there is nobody to tell
    finally:
        for task in ends:
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
        await server.stop()


@command("aqctl_corelog")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. Returns 0 when asked to end, 1 when its output has no reader any more."""
    return asyncio.run(_run(get_argparser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
