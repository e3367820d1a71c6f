"""Compiling the board program with the profile of its own run, which makes it faster by two fifths."""

import contextlib
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
# What the training did not reach is compiled for speed all the same. Without that, the compiler takes most of the
# model's one large function for code that is never executed.
USE = ("-fprofile-use", "-fprofile-partial-training")


def versions() -> list[str]:
    """What decides the result besides :func:`model.versions`. The firmware does not: any serves for training."""
    return [*RECORD, *USE, str(TRAINING_CYCLES)]


def compile_trained(directory: Path, result: Path, firmware: Path, say: Callable[[str], object]) -> None:
    """As :func:`model.compile_board` of ``directory``, with the profile of running ``firmware``."""
    instrumented = directory / "instrumented"
    say("compiling board, to be measured")
    model.compile_board(directory, instrumented, False, model.HotFlags(RECORD))
    say("measuring board")
    train(instrumented, firmware, directory / "log")
    say("compiling board")
    model.compile_board(directory, result, False, model.HotFlags(USE, keep_others=True))


def talk(address: str) -> None:
    """Requests to the board, so that the network's share of its work is in the profile; the answers do not matter."""
    for _ in range(3):
        with socket.create_connection((address, 1380), timeout=10) as connection:
            connection.sendall(b"ARTIQ management\n\x01\x00")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


def train(program: Path, firmware: Path, log: Path) -> None:
    address = free_address()
    command = [str(program), "--firmware", str(firmware), "--address", address, "--free-run"]
    command += ["--cycles", str(TRAINING_CYCLES), "--seed", "1"]
    with log.open("ab") as file, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file) as board:
        assert board.stdout is not None
        if board.stdout.readline():
            with contextlib.suppress(OSError):  # the board ends when its cycles are used up, maybe in mid-sentence
                talk(address)
        status = board.wait()
    if status != 0:
        raise BuildError(f"measuring the board failed (exit status {status}), see {log}")
