"""`corelog demo`: the whole system on the simulated board, to watch and to try things on."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from corelog.frontend.common import CommandError, command
from corelog.lab.addresses import address_is_free
from corelog.lab.program import ProgramError
from corelog.lab.system import LogEntry, System

SEEN_WITHIN = 60.0
LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
COLOURS = {30: "\033[33m", 40: "\033[1;31m", 50: "\033[1;31m"}


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog demo",
        description="Starts the simulated board, master, controller manager and log controller, plays an experiment "
                    "that makes two RTIO events collide after its call has returned, and shows the master's log.")
    parser.add_argument("--once", action="store_true",
                        help=f"end when the collision was seen in the log; status 1 if it was not within "
                             f"{SEEN_WITHIN:g} s of readiness")
    parser.add_argument("--address", default="127.0.0.1",
                        help="loopback address of all programs (default: %(default)s)")
    parser.add_argument("-v", "--verbose", action="store_true", help="show where an error arose")
    parser.add_argument("--directory", type=Path, default=Path("build/run"),
                        help="where the programs keep their files (default: %(default)s)")
    return parser


def examples() -> Path:
    """The folder of the examples that come with the sources."""
    return Path(str(resources.files("corelog"))).parents[1] / "examples"


def say(text: str) -> None:
    print(f"-- {text}", flush=True)


def show(entry: LogEntry) -> None:
    name = LEVELS.get(entry.level, str(entry.level))
    when = time.strftime("%H:%M:%S", time.localtime(entry.time)) + f".{int(entry.time * 1000) % 1000:03d}"
    line = f"{when} {name:<8} {entry.source}: {entry.text}"
    if sys.stdout.isatty() and entry.level in COLOURS:
        line = f"{COLOURS[entry.level]}{line}\033[0m"
    print(line, flush=True)


def show_progress(program: str, line: str) -> None:
    """The board's building steps; what the other programs say arrives through the master's log."""
    if program == "board":
        print(f"   {program}: {line}", flush=True)


def is_collision(entry: LogEntry) -> bool:
    return (entry.level == 40 and entry.source == "controller(core_log)"
            and "RTIO collision involving channel 0x0004:ttl4" in entry.text)


async def demonstrate(args: argparse.Namespace) -> None:
    if not address_is_free(args.address):
        raise ProgramError(f"a port that the demo needs is in use on {args.address}: end the other set-up, or choose "
                           f"another address, for example --address 127.0.0.2")
    database = (examples() / "device_db.py").read_text().replace("127.0.0.1", args.address)
    system = System(args.directory.absolute(), database, address=args.address,
                    on_line=show_progress, on_entry=show)
    say("starting the simulated board (real gateware and firmware in Verilator; the first start builds it)")
    await system.start()
    try:
        await system.name_channels()
        ready = time.monotonic()
        say("all parts are up; playing examples/collision.py")
        first = len(system.tap.entries)
        await system.run(str(examples() / "collision.py"))
        say(f"the experiment's call has returned after {time.monotonic() - ready:.1f} s; "
            f"its last events are still to come")
        try:
            seen = await system.tap.wait_for(is_collision, SEEN_WITHIN - (time.monotonic() - ready), first)
        except TimeoutError:
            raise ProgramError(f"no RTIO collision arrived in the master's log within {SEEN_WITHIN:g} s of readiness; "
                               f"the last entry was: {system.tap.entries[-1:]}") from None
        say(f"the collision reached the master's log: {seen.text}")
        if args.once:
            return
        say("the log goes on; Ctrl-C ends everything. In another terminal, try:")
        say(f"  .venv/bin/corelog run --device-db {system.device_db_path} examples/busy.py")
        say(f"  .venv/bin/corelog log -D {args.address}")
        say(f"  .venv/bin/corelog mgmt -D {args.address} reboot")
        programs = [p for p in (system.board, system.master, system.ctlmgr) if p is not None]
        ends = {asyncio.create_task(p.process.wait()): p for p in programs if p.process is not None}
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        ended = ends[done.pop()]
        raise ProgramError(f"{ended.name} ended: {ended.last_line()}")
    finally:
        await system.stop()


async def until_signalled(args: argparse.Namespace) -> int:
    """Runs the demonstration; SIGINT and SIGTERM end it, and all its programs, with status 0 (1 with --once)."""
    task = asyncio.create_task(demonstrate(args))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        say("ended")
        return 1 if args.once else 0
    return 0


@command("corelog demo")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; status 0 when the collision was seen (--once) or the user ended it."""
    args = get_argparser().parse_args(argv)
    try:
        return asyncio.run(until_signalled(args))
    except ProgramError as error:
        raise CommandError(str(error)) from error
