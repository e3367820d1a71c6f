"""ELF files become what the bootloader reads from flash."""

import struct
import zlib

import pytest

from corelog_gateware.firmware.build import FirmwareError, pack, package
from corelog_gateware.firmware.elf import ElfError, load

RAM = 0x4000_0000
LOAD, NOTE = 1, 4


def elf(segments: list[tuple[int, int, bytes]], entry: int = RAM, machine: int = 0xF3) -> bytes:
    """An ELF file with these segments: kind, address, bytes."""
    table = 52
    at = table + 32 * len(segments)
    headers, contents = b"", b""
    for kind, address, data in segments:
        headers += struct.pack("<8I", kind, at + len(contents), address, address, len(data), len(data) + 64, 5, 4)
        contents += data
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    header = struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, entry, table, 0, 0, 52, 32, len(segments), 0, 0, 0)
    return ident + header + headers + contents


def test_segments_lie_in_the_image_as_in_memory_after_length_and_crc() -> None:
    image = pack(elf([(LOAD, RAM + 0x40, b"data"), (NOTE, 0, b"not loaded"), (LOAD, RAM, b"code")]), RAM)
    payload = b"code" + bytes(0x3C) + b"data"
    assert image == struct.pack("<II", len(payload), zlib.crc32(payload)) + payload


@pytest.mark.parametrize(
    "segments, entry",
    [([(LOAD, RAM, b"code")], RAM + 4), ([(LOAD, RAM + 4, b"code")], RAM + 4), ([(LOAD, 0, b"code")], 0)],
)
def test_program_that_does_not_start_with_main_ram_is_refused(segments: list, entry: int) -> None:
    with pytest.raises(FirmwareError, match="main RAM is at 0x40000000"):
        pack(elf(segments, entry), RAM)


def test_what_is_no_program_for_the_board_is_refused() -> None:
    good = elf([(LOAD, RAM, b"code")])
    assert load(good).data == b"code"
    for bad, reason in [
        (b"", "no ELF"),
        (elf([(LOAD, RAM, b"code")], machine=62), "no ELF"),
        (good[:-1], "cut short"),
        (good[:60], "cut short"),
        (elf([(NOTE, 0, b"note")]), "nothing to load"),
        (elf([(LOAD, RAM, b"code"), (LOAD, RAM + 2, b"over")]), "two segments at 0x40000002"),
    ]:
        with pytest.raises(ElfError, match=reason):
            load(bad)


def test_board_with_an_uplink_is_a_satellite() -> None:
    assert [package({"constants": {"drtio_uplink": uplink}}) for uplink in (0, 1)] == ["runtime", "satman"]
