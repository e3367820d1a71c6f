"""CRC-32 of aux frames (IEEE 802.3), a byte at a time.

crc    the register (32 bits), INITIAL before the first byte; the CRC is its complement, least significant byte first
mixed  the byte to add, xor crc[:8]: a signal of its own (8 bits)

Both functions give expressions.
"""

from functools import reduce
from operator import xor

from migen import Mux, Signal
from migen.fhdl.structure import _Operator

INITIAL = 0xffffffff
# What the register holds after a frame whose last four bytes are its CRC.
_RESIDUE = 0xdebb20e3


def _shifted(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xedb88320 if value & 1 else 0)
    return value


def crc32_next(crc: Signal, mixed: Signal) -> _Operator:
    """The register after the byte. Meant to stand in a branch of If: simulated only when there is a byte."""
    return reduce(xor, [Mux(mixed[bit], _shifted(1 << bit), 0) for bit in range(8)], crc[8:])


def crc32_complete(crc: Signal, mixed: Signal) -> _Operator:
    """With this byte the register becomes the residue. Only one value of (crc[8:], mixed) does that."""
    last = next(byte for byte in range(256) if _shifted(byte) >> 24 == _RESIDUE >> 24)
    return (mixed == last) & (crc[8:] == _RESIDUE ^ _shifted(last))
