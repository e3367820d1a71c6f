"""Plays cycles into a Migen module compiled with Verilator, and shows what it did in each of them.

    with Player(top, inputs={"stb": top.stb}, outputs={"data": top.data}, name="x") as player:
        shown = player.play([{"stb": 1}, {}])     # inputs keep their value until changed
        assert shown[1]["data"] == 5

Outputs are sampled with the cycle's inputs applied, before the clock's edge. Names are up to 32 each way, of 32 bits.
"""

import struct
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from migen import Module, Signal

from support import verilated

PORTS = 32
DRIVER = Path(__file__).with_suffix(".cpp")
_ROW = struct.Struct(f"={PORTS}I")


class Player:
    """A running program with `top` in it, after reset. Inputs are 0 until set."""

    def __init__(self, top: Module, inputs: Mapping[str, Signal], outputs: Mapping[str, Signal], name: str) -> None:
        if max(len(inputs), len(outputs)) > PORTS:
            raise ValueError(f"at most {PORTS} inputs and outputs")
        self._inputs = {field: place for place, field in enumerate(inputs)}
        self._outputs = list(outputs)
        self._row = [0] * PORTS
        ports = [Signal(32, name_override=f"{way}{n}") for way in ("in", "out") for n in range(PORTS)]
        for port, signal in zip(ports[:PORTS], inputs.values(), strict=False):
            top.comb += signal.eq(port)
        for port, signal in zip(ports[PORTS:], outputs.values(), strict=False):
            top.comb += port.eq(signal)
        program = verilated.build(top, ports, DRIVER, name)
        self._process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def play(self, changes: Iterable[Mapping[str, int]], idle: int = 0) -> list[dict[str, int]]:
        """One cycle for each of `changes`, and `idle` more after them, of which nothing is shown."""
        rows = []
        for change in changes:
            for field, value in change.items():
                self._row[self._inputs[field]] = value
            rows.append(_ROW.pack(*self._row))
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(struct.pack("=II", len(rows) + idle, len(rows)) + b"".join(rows))
        stdin.flush()
        size = len(rows) * _ROW.size
        shown = stdout.read(size)
        if len(shown) != size:
            raise RuntimeError(f"the program ended with {self._process.wait()}")
        return [dict(zip(self._outputs, row, strict=False)) for row in _ROW.iter_unpack(shown)]

    def __enter__(self) -> "Player":
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
