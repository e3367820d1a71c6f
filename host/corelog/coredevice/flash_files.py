"""Finds and reads the files of a build that are flashed through the management socket (protocols of ARTIQ's tools).

Flat directory: `top.bit`, `bootloader.bin`, and `runtime.fbi` or `satman.fbi`. Build tree: `gateware/top.bit`,
`software/bootloader/bootloader.bin`, `software/runtime/runtime.fbi` or `software/satman/satman.fbi`. Zynq: `boot.bin`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

BOOT_BIN = "boot.bin"
_FLAT = {"gateware": ("top.bit",), "bootloader": ("bootloader.bin",), "firmware": ("runtime.fbi", "satman.fbi")}
_TREE = {
    "gateware": ("gateware/top.bit",),
    "bootloader": ("software/bootloader/bootloader.bin",),
    "firmware": ("software/runtime/runtime.fbi", "software/satman/satman.fbi"),
}
_MAGIC = struct.pack(">H", 9) + bytes.fromhex("0ff00ff00ff00ff000") + struct.pack(">H", 1)


class FlashFilesError(Exception):
    """The files are not what is needed; `str()` is one line."""


@dataclass(frozen=True, slots=True)
class Bitstream:
    """A .bit file: its header's text fields (Design, Part name, Date, Time) and the payload."""

    payload: bytes
    fields: dict[str, str] = field(default_factory=dict)


def parse_bitstream(data: bytes, name: str = "bitstream") -> Bitstream:
    """Takes a .bit file apart. Raises FlashFilesError."""
    try:
        if not data.startswith(_MAGIC):
            raise FlashFilesError(f"{name} is not a Xilinx bitstream (.bit) file")
        pos, fields = len(_MAGIC), {}
        for key, title in ((b"a", "Design"), (b"b", "Part name"), (b"c", "Date"), (b"d", "Time")):
            mark, length = struct.unpack_from(">cH", data, pos)
            pos += 3
            if mark != key or pos + length > len(data):
                raise FlashFilesError(f"{name}: header field {title!r} is missing or cut")
            fields[title] = data[pos : pos + length].rstrip(b"\0").decode("latin-1")
            pos += length
        mark, length = struct.unpack_from(">cI", data, pos)
    except struct.error as exc:
        raise FlashFilesError(f"{name} is cut short") from exc
    payload = data[pos + 5 :]
    if mark != b"e" or len(payload) != length or not length:
        raise FlashFilesError(f"{name} should hold {length} bytes of payload, it holds {len(payload)}")
    return Bitstream(payload, fields)


def read_components(path: Path, srcbuild: bool = False) -> tuple[list[bytes], Bitstream | None]:
    """What to flash from `path`, a directory or a file named boot.bin: gateware, bootloader, firmware; or boot.bin.

    Returns them, and the bitstream if there is one. Raises FlashFilesError if one is missing, empty or damaged, if
    there are two of a kind, or both kinds.
    """
    try:
        if path.is_file():
            if path.name != BOOT_BIN:
                raise FlashFilesError(f"{path} must be a directory, or a file named {BOOT_BIN}")
            return [_content(path)], None
        if not path.is_dir():
            raise FlashFilesError(f"{path} does not exist")
        return _from_directory(path, _TREE if srcbuild else _FLAT)
    except OSError as exc:
        raise FlashFilesError(f"{exc.filename}: {exc.strerror}") from exc


def _from_directory(path: Path, names: dict[str, tuple[str, ...]]) -> tuple[list[bytes], Bitstream | None]:
    found = {part: [path / n for n in choices if (path / n).is_file()] for part, choices in names.items()}
    boot = path / BOOT_BIN
    present = [p for files in found.values() for p in files]
    if boot.is_file():
        if present:
            raise FlashFilesError(f"{path} holds both {BOOT_BIN} and {present[0].name}: remove what is not meant")
        return [_content(boot)], None
    missing = [names[part][0] for part, files in found.items() if not files]
    if missing:
        raise FlashFilesError(
            f"{path} lacks {', '.join(missing)}: gateware, bootloader and firmware are all needed, "
            "the device would write the others to the wrong place"
        )
    for files in found.values():
        if len(files) > 1:
            raise FlashFilesError(f"{path} holds more than one firmware: {', '.join(f.name for f in files)}")
    gateware, bootloader, firmware = (files[0] for files in found.values())
    bitstream = parse_bitstream(gateware.read_bytes(), str(gateware))
    return [bitstream.payload, _content(bootloader), _content(firmware)], bitstream


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    if not data:
        raise FlashFilesError(f"{path} is empty")
    return data
