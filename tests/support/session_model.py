"""A naive core device: interprets the bytes of session programs as docs/wire.md describes them, event by event.

Written from the document alone, for comparison; it shares nothing with corelog.wire or the firmware.
"""

import struct
from dataclasses import dataclass, field

LAYOUT = {1: "<I", 2: "<I", 3: "<Q", 4: "<q", 5: "<II", 6: "<Iq", 7: "<Iq", 8: "<", 9: "<"}
MASK = (1 << 64) - 1


@dataclass
class ModelDevice:
    """`inputs`: (channel, timestamp, data) of the events that wait to be read, in order of time."""

    counter: int = 1000
    tick: int = 10
    """By how much the counter advances with each operation."""
    cursor: int = 5000
    inputs: list[tuple[int, int, int]] = field(default_factory=list)
    events: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(timestamp, channel, address, data) in order of submission."""
    programs: int = 0

    def play(self, data: bytes) -> list[int]:
        """The results of the program."""
        self.programs += 1
        results, at = [], 0
        while at < len(data):
            code = data[at]
            fields = struct.unpack_from(LAYOUT[code], data, at + 1)
            at += 1 + struct.calcsize(LAYOUT[code])
            self.counter += self.tick
            results += self._operation(code, *fields)
        return results

    def _operation(self, code: int, *f: int) -> list[int]:
        if code == 1:
            self.cursor = self.counter + f[0]
            return [self.cursor]
        if code == 2:
            self.cursor = max(self.cursor, self.counter + f[0])
            return [self.cursor]
        if code == 3:
            self.cursor = f[0]
        elif code == 4:
            self.cursor = (self.cursor + f[0]) & MASK
        elif code == 5:
            self.events.append((self.cursor, f[0] >> 8, f[0] & 0xFF, f[1]))
        elif code in (6, 7):
            until = self.cursor + f[1]
            here = [e for e in self.inputs if e[0] == f[0] and e[1] <= until]
            taken = here if code == 7 else here[:1]
            self.inputs = [e for e in self.inputs if e not in taken]
            if code == 7:
                return [len(taken)]
            return [taken[0][1], taken[0][2]] if taken else [MASK, 0]
        elif code == 8:
            return [self.cursor]
        elif code == 9:
            return [self.counter]
        return []
