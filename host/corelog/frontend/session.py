"""`corelog session`: master, controller manager and dashboard, started in order and ended together."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import importlib.util
import queue
import shutil
import sys
import threading
from collections.abc import Awaitable, Sequence
from typing import Any

from corelog.frontend.common import CTLMGR_READY, MASTER_READY, CommandError, command, seconds
from corelog.lab.program import Program, ProgramError
from sipyco.tools import SignalHandler

END_WITHIN = {"dashboard": 10.0, "ctlmgr": 90.0, "master": 30.0}
"""Seconds that each has to end before it is killed. The controller manager ends its controllers first."""


class Output:
    """Standard output, written by a thread: a terminal that stands still or is gone stops none of the programs."""

    def __init__(self, lines: int = 10_000) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(lines)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def line(self, name: str, text: str) -> None:
        """What does not fit is counted, and said as soon as something fits again."""
        try:
            if self._lost:
                self._lines.put_nowait(f"<session> {self._lost} lines are missing here: they could not be written\n")
                self._lost = 0
            self._lines.put_nowait(f"<{name}> {text}\n")
        except queue.Full:
            self._lost += 1

    def _run(self) -> None:
        while (text := self._lines.get()) is not None:
            try:
                sys.stdout.write(text)
                if self._lines.empty():
                    sys.stdout.flush()
            except (OSError, ValueError):  # the terminal is gone, and nobody there to be told
                pass

    def close(self, deadline: float = 3.0) -> None:
        try:
            self._lines.put(None, timeout=deadline)
        except queue.Full:
            return
        self._thread.join(deadline)


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog session", description="Starts the master, the controller manager and, if there is one, the "
        "dashboard, each when the one before is ready. All end when the dashboard is closed, when one of them dies, on "
        "Ctrl-C and with the terminal.")
    parser.add_argument("--version", action="version", version=f"corelog {importlib.metadata.version('corelog')}")
    for option, program in (("m", "master"), ("c", "ctlmgr"), ("d", "dashboard")):
        parser.add_argument(f"-{option}", dest=program, metavar="ARG", action="append", default=[],
                            help=f"an argument for the {program}, for example -{option}=-v; may be repeated")
    parser.add_argument("--ssl", nargs=3, metavar=("CERT", "KEY", "PEER"),
                        help="use TLS between them, all with these files; PEER holds at least CERT itself")
    parser.add_argument("--no-dashboard", action="store_true", help="even if there is one")
    parser.add_argument("--ready-within", type=seconds, default=60.0, metavar="S",
                        help="seconds that each program has to become ready (default: %(default)g)")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="show where an error arose")
    return parser


def dashboard_command() -> list[str] | None:
    """Ours, or else ARTIQ's."""
    if importlib.util.find_spec("corelog.frontend.dashboard") is not None:
        return [sys.executable, "-m", "corelog.frontend.dashboard"]
    found = shutil.which("artiq_dashboard")
    return None if found is None else [found]


def programs(args: argparse.Namespace, output: Output) -> list[Program]:
    """In the order of their start. Raises CommandError."""
    common = ["--ssl", *args.ssl] if args.ssl else []

    def program(name: str, argv: list[str], ready: str | None) -> Program:
        return Program(name, [*argv, *common, *getattr(args, name)], ready=ready, on_line=output.line)

    found = [program("master", [sys.executable, "-m", "corelog.frontend.master"], MASTER_READY),
             program("ctlmgr", [sys.executable, "-m", "corelog.frontend.ctlmgr"], CTLMGR_READY)]
    dashboard = None if args.no_dashboard else dashboard_command()
    if dashboard is not None:
        found.append(program("dashboard", dashboard, None))
    elif args.dashboard:
        raise CommandError("there is no dashboard to give -d arguments to: install one, or leave -d out")
    return found


async def run(args: argparse.Namespace) -> None:
    """Until one of the programs has ended, or a signal came. Raises CommandError if one failed."""
    output = Output()
    session = Session(programs(args, output), output)
    signals = SignalHandler()
    signals.setup()
    try:
        ended = await _first(session.run(args.ready_within), signals.wait_terminate())
        # Whoever asks a second time does not want to wait.
        stopping = asyncio.ensure_future(session.stop())
        await _first(asyncio.shield(stopping), signals.wait_terminate())
        if not stopping.done():
            session.kill()
        await stopping
        if ended is not None:
            raise CommandError(ended)
    finally:
        session.kill()
        signals.teardown()
        await asyncio.to_thread(output.close)


async def _first(work: Awaitable[str | None], signal: Awaitable[None]) -> str | None:
    """Waits for either. What `work` returned or None; a work that goes on is cancelled."""
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(work), asyncio.ensure_future(signal)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)  # the signal's terminal may be gone
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0] if isinstance(results[0], str) else None


class Session:
    """The programs, in the order of their start."""

    def __init__(self, programs: Sequence[Program], output: Output):
        self._programs = programs
        self._output = output

    async def run(self, ready_within: float) -> str | None:
        """Starts them and returns when one has ended: what is wrong with that, None if it was the dashboard."""
        for program in self._programs:
            try:
                await program.start(ready_within)
            except ProgramError as error:
                return str(error)
        self._output.line("session", f"{' and '.join(program.name for program in self._programs)} are running")
        ends = {asyncio.ensure_future(program.process.wait()): program
                for program in self._programs if program.process is not None}
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        program, status = ends[next(iter(done))], next(iter(done)).result()
        if program.name == "dashboard" and status == 0:
            self._output.line("session", "the dashboard was closed")
            return None
        return f"{program.name} ended (status {status}): {program.last_line()}"

    async def stop(self) -> None:
        """Ends them, the last one first."""
        for program in reversed(self._programs):
            if program.running:
                self._output.line("session", f"ending the {program.name}")
                try:
                    await program.stop(END_WITHIN[program.name])
                except ProgramError as error:
                    self._output.line("session", str(error))

    def kill(self) -> None:
        """Ends them at once, with what they have started."""
        for program in self._programs:
            program.kill()


@command("corelog session")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; status 1 if a program could not be started or died."""
    asyncio.run(run(get_argparser().parse_args(argv)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
