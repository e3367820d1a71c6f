"""Compiling the board program with the profile of its own run, which makes it faster by two fifths."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from corelog.lab.addresses import free_address

from . import model
from .paths import BuildError

# Enough to boot and to serve connections for a while, with the instrumented program's two thirds of the speed.
TRAINING_CYCLES = 6_000_000
RECORD = ("-fprofile-generate", "-fprofile-update=single")
# What the training did not reach is compiled for speed all the same. Without that, the compiler takes most of the
# model's one large function for code that is never executed.
USE = ("-fprofile-use", "-fprofile-partial-training")


def versions() -> list[str]:
    """What decides the result besides :func:`model.versions`. The firmware does not: any serves for training."""
    return [*RECORD, *USE, str(TRAINING_CYCLES)]


def compile_trained(
    parts: Sequence[model.Part], result: Path, options: Sequence[str], say: Callable[[str], object]
) -> None:
    """As :func:`model.compile_board` of ``parts``, with the profile of a run with ``options``."""
    directory = parts[0].directory
    instrumented = directory / "instrumented"
    say("compiling board, to be measured")
    model.compile_board(parts, instrumented, False, model.HotFlags(RECORD))
    say("measuring board")
    train(instrumented, options, directory / "log")
    say("compiling board")
    model.compile_board(parts, result, False, model.HotFlags(USE, keep_others=True))


def talk(address: str) -> None:
    """Ask for the log again and again until the board has run its cycles and is gone: a busy CPU and a busy network are
    what the profile must be good for, as an idle board is fast anyway. The answers do not matter."""
    deadline = time.monotonic() + 300
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline:
            with socket.create_connection((address, 1380), timeout=10) as connection:
                connection.sendall(b"ARTIQ management\n\0" + 20 * b"\1")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass


def train(program: Path, options: Sequence[str], log: Path) -> None:
    address = free_address()
    command = [str(program), *options, "--address", address, "--free-run"]
    # Counters are not shared between threads.
    command += ["--cycles", str(TRAINING_CYCLES), "--seed", "1", "--threads", "1"]
    with log.open("ab") as file, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file) as board:
        assert board.stdout is not None
        if board.stdout.readline():
            talk(address)
        status = board.wait()
    if status != 0:
        raise BuildError(f"measuring the board failed (exit status {status}), see {log}")
