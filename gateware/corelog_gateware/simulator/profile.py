"""Compiling the board program with the profile of its own run: a quarter faster than without."""

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from . import model
from .addresses import free_address
from .paths import BuildError

# Enough to boot and to serve connections for a while, with the instrumented program's two thirds of the speed.
TRAINING_CYCLES = 4_000_000
RECORD = ("-fprofile-generate", "-fprofile-update=single")
USE = ("-fprofile-use", "-Wno-missing-profile")


def versions() -> list[str]:
    """What decides the result besides :func:`model.versions`. The firmware does not: any serves for training."""
    return [*RECORD, *USE, str(TRAINING_CYCLES)]


def compile_trained(directory: Path, result: Path, firmware: Path, say: Callable[[str], object]) -> None:
    """As :func:`model.compile_board` of ``directory``, with the profile of running ``firmware``."""
    instrumented = directory / "instrumented"
    say("compiling board, to be measured")
    model.compile_board(directory, instrumented, False, RECORD)
    say("measuring board")
    train(instrumented, firmware, directory / "log")
    say("compiling board")
    model.compile_board(directory, result, False, USE)


def train(program: Path, firmware: Path, log: Path) -> None:
    address = free_address()
    command = [str(program), "--firmware", str(firmware), "--address", address, "--free-run"]
    command += ["--cycles", str(TRAINING_CYCLES), "--seed", "1"]
    with log.open("ab") as file, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file) as board:
        assert board.stdout is not None
        # A session with the firmware, so that the network's share of the work is in the profile too.
        if board.stdout.readline():
            with socket.create_connection((address, 1380), timeout=10) as connection:
                connection.sendall(b"ARTIQ management\n")
        status = board.wait()
    if status != 0:
        raise BuildError(f"measuring the board failed (exit status {status}), see {log}")
