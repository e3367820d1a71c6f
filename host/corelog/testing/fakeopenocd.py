"""An `openocd` with a board behind it: a model of what `corelog flash` asks of it.

It keeps the flash in a file, as NOR flash is: writing only clears bits, so that a sector not erased before shows. It
refuses what the real one could not do either: flash access without the proxy in the FPGA, commands before `init`, a
board file, command or file that does not exist. `install` makes it callable; `Fault` says what goes wrong.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from enum import StrEnum
from pathlib import Path

SECTOR, SIZE = 0x10000, 16 << 20
BOARDS = ("board/kasli.cfg", "board/kc705.cfg")
_FOLDER, _FAULT = "CORELOG_FAKE_OPENOCD", "CORELOG_FAKE_OPENOCD_FAULT"
_BRACED = r"\{(?P<file>[^{}]*)\}"


class Fault(StrEnum):
    NONE = ""
    NO_CABLE = "no cable"
    WRONG_CHAIN = "wrong chain"
    HANGS = "hangs while it writes"
    WORN = "a bit of the flash does not program"
    EXITS_EARLY = "ends with status 0 while it writes"


def install(root: Path, proxies: tuple[str, ...] = ("bscan_spi_xc7a100t.bit", "bscan_spi_xc7k325t.bit")) -> Path:
    """Makes `root`/bin/openocd and its proxies; what it did is then in `root`, its process in `pid`.

    Returns the folder for PATH."""
    folder = root / "bin"
    folder.mkdir(parents=True)
    program = folder / "openocd"
    program.write_text(f'#!/bin/sh\n{_FOLDER}="{root}" exec "{sys.executable}" -m {__name__} "$@"\n')
    program.chmod(0o755)
    share = root / "share" / "bscan-spi-bitstreams"
    share.mkdir(parents=True)
    for proxy in proxies:
        (share / proxy).write_bytes(b"proxy " + proxy.encode())
    return folder


def environment(folder: Path, fault: Fault = Fault.NONE) -> dict[str, str]:
    """The environment of a process that shall find it."""
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", _FAULT: fault}


def flash(root: Path) -> bytes:
    """Content of the flash."""
    file = root / "flash"
    return file.read_bytes() if file.exists() else b"\xff" * SIZE


def report(root: Path) -> dict[str, object]:
    """Of the last call: `board`, `loaded` (what the FPGA holds), `started`, `commands`."""
    result: dict[str, object] = json.loads((root / "report").read_text())
    return result


class Failed(Exception):
    """A command fails, and OpenOCD with it."""


def split(script: str) -> list[str]:
    """Commands of a Tcl script, cut at `;` and line ends outside of braces and brackets."""
    found, depth, start = [], 0, 0
    for pos, sign in enumerate(script):
        depth += (sign in "{[") - (sign in "}]")
        if sign in ";\n" and depth == 0:
            found.append(script[start:pos].strip())
            start = pos + 1
    if depth:
        raise Failed("missing close-brace")
    return [text for text in [*found, script[start:].strip()] if text]


class Board:
    """The state of OpenOCD, adapter, FPGA and flash during one call."""

    def __init__(self, root: Path, fault: Fault) -> None:
        self.root, self.fault = root, fault
        self.flash = bytearray(flash(root))
        self.board, self.loaded, self.commands = "", "", list[str]()
        self.initialised = self.bank = self.probed = self.started = False

    def save(self) -> None:
        (self.root / "flash").write_bytes(self.flash)
        state = {"board": self.board, "loaded": self.loaded, "started": self.started, "commands": self.commands}
        (self.root / "report").write_text(json.dumps(state))

    def run(self, text: str) -> None:
        self.commands.append(text)
        for pattern, name in _COMMANDS:
            if match := re.fullmatch(pattern, text, re.DOTALL):
                getattr(self, "_" + name)(*match.groups())
                return
        raise Failed(f'invalid command name "{text.split()[0]}"')

    def _need(self, condition: bool, text: str) -> None:
        if not condition:
            raise Failed(text)

    def _echo(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def _source(self, file: str) -> None:
        self._need(file in BOARDS, f"Can't find {file}")
        self.board = file

    def _target(self) -> None:
        self._need(bool(self.board) and not self.initialised, "target create: no tap xc7.tap, or after init")

    def _bank(self) -> None:
        self._target()
        self.bank = True

    def _setting(self) -> None:
        self._need(not self.initialised, "the command must be used before init")

    def _init(self, pattern: str, then: str) -> None:
        self._need(self.fault != Fault.NO_CABLE, "unable to open ftdi device")
        said = "Trying to use configured scan chain anyway..." if self.fault == Fault.WRONG_CHAIN else ""
        self.initialised = True
        if said and re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), said):
            for command in split(then):
                self.run(command)

    def _xadc(self) -> None:
        self._need(self.initialised, "xadc_report before init")
        self._echo("TEMP 41.20 C")

    def _load(self, file: str) -> None:
        self._need(self.initialised, "pld load before init")
        self._need(Path(file).is_file(), f"couldn't open {file}")
        self.loaded, self.probed = file, False

    def _probe(self) -> None:
        self._need(self.bank and self.loaded.startswith("bscan_spi_"), "no flash answers: is the proxy loaded?")
        self.probed = True

    def _access(self) -> None:
        self._need(self.probed, "flash bank not probed")

    def _erase(self, first: str, last: str) -> None:
        self._access()
        begin, end = int(first) * SECTOR, SIZE if last == "last" else (int(last) + 1) * SECTOR
        self._need(0 <= begin < end <= SIZE, "no such sector")
        self.flash[begin:end] = b"\xff" * (end - begin)

    def _content(self, file: str, offset: str) -> tuple[bytes, int]:
        self._access()
        data, start = Path(file).read_bytes(), int(offset, 16)
        self._need(start + len(data) <= SIZE, "beyond the end of the flash")
        return data, start

    def _write(self, file: str, offset: str) -> None:
        data, start = self._content(file, offset)
        if self.fault == Fault.HANGS:
            time.sleep(600)
        if self.fault == Fault.EXITS_EARLY:
            self.save()
            raise SystemExit(0)
        old = self.flash[start : start + len(data)]
        # as numbers, since a byte at a time takes a second
        both = int.from_bytes(old, "little") & int.from_bytes(data, "little")
        if self.fault == Fault.WORN:
            both ^= 1 << 9
        self.flash[start : start + len(data)] = both.to_bytes(len(data), "little")
        self._echo(f"wrote {len(data)} bytes from file {file} to flash bank 0 at offset {start:#010x}")

    def _verify(self, file: str, offset: str) -> None:
        data, start = self._content(file, offset)
        match = self.flash[start : start + len(data)] == data
        self._echo(f"contents {'match' if match else 'differ'}")
        self._need(match, "")

    def _start(self) -> None:
        self._need(self.initialised, "xc7_program before init")
        self.started, self.loaded, self.probed = True, "", False

    def _error(self, text: str) -> None:
        raise Failed(text)

    def _exit(self) -> None:
        self.save()
        raise SystemExit(0)


_COMMANDS = [
    (rf"echo {_BRACED}", "echo"),
    (r"source \[find ([^\]]+)\]", "source"),
    (r"target create xc7\.spi0\.proxy testee -chain-position xc7\.tap", "target"),
    (r"flash bank spi0 jtagspi 0 0 0 0 xc7\.spi0\.proxy 0x2", "bank"),
    (r"(?:gdb|tcl|telnet)_port disabled|adapter (?:serial|speed) \S+", "setting"),
    (r"if \{\[string match \{([^{}]*)\} \[capture init\]\]\} \{(.*)\}", "init"),
    (r"xadc_report xc7\.tap", "xadc"),
    (rf"pld load 0 {_BRACED}", "load"),
    (r"flash probe spi0", "probe"),
    (r"flash erase_sector spi0 (\d+) (\d+|last)", "erase"),
    (rf"flash write_bank spi0 {_BRACED} (0x[0-9a-f]+)", "write"),
    (rf"flash verify_bank spi0 {_BRACED} (0x[0-9a-f]+)", "verify"),
    (r"xc7_program xc7\.tap", "start"),
    (rf"error {_BRACED}", "error"),
    (r"exit", "exit"),
]


def main() -> int:
    """Runs the script of `-c`, the one argument there may be."""
    board = Board(Path(os.environ[_FOLDER]), Fault(os.environ.get(_FAULT, "")))
    (board.root / "pid").write_text(str(os.getpid()))
    print("Open On-Chip Debugger (fake)", file=sys.stderr)
    if sys.argv[1:2] != ["-c"] or len(sys.argv) != 3:
        print("Error: only -c SCRIPT is known", file=sys.stderr)
        return 1
    try:
        for command in split(sys.argv[2]):
            board.run(command)
    except Failed as exc:
        board.save()
        if str(exc):
            print(f"Error: {str(exc).removeprefix('Error: ')}", file=sys.stderr)
        return 1
    print("Error: the script does not end with exit: a server would run on for ever", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
