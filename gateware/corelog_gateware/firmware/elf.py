"""A program as the bootloader wants it: the bytes of its ELF file as they lie in memory."""

import struct
from dataclasses import dataclass

_IDENT = b"\x7fELF\x01\x01\x01"  # 32 bits, little endian
_RISCV = 0xF3
_LOAD = 1


class ElfError(Exception):
    """Not an ELF file that can be loaded; ``str()`` is one line."""


@dataclass(frozen=True)
class Program:
    """``data`` begins at address ``start``; the processor begins at ``entry``."""

    start: int
    entry: int
    data: bytes


def load(elf: bytes) -> Program:
    """The loadable segments of a 32-bit RISC-V program, with zeros between them. Raises ElfError."""
    try:
        if not elf.startswith(_IDENT) or struct.unpack_from("<H", elf, 18)[0] != _RISCV:
            raise ElfError("is no ELF file of a 32-bit RISC-V program")
        entry, table = struct.unpack_from("<II", elf, 24)
        size, count = struct.unpack_from("<HH", elf, 42)
        segments = []
        for n in range(count):
            kind, offset, _virtual, address, length = struct.unpack_from("<IIIII", elf, table + n * size)
            if kind == _LOAD and length:
                if offset + length > len(elf):
                    raise ElfError("is cut short")
                segments.append((address, elf[offset : offset + length]))
    except struct.error:
        raise ElfError("is cut short") from None
    if not segments:
        raise ElfError("has nothing to load")
    segments.sort()
    start, data = segments[0][0], bytearray()
    for address, part in segments:
        if address - start < len(data):
            raise ElfError(f"has two segments at {address:#x}")
        data += bytes(address - start - len(data)) + part
    return Program(start, entry, bytes(data))
