"""Is a file what it should be? Everything that is flashed passes here first, by JTAG and by network.

Formats (protocols.md D.1): gateware is a Xilinx bitstream, with header or without; the bootloader ends with the CRC-32
of what stands before; firmware begins with its length and CRC-32; the storage image is of `store.py`. All little endian
but the bitstream.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from corelog.flash import store
from corelog.flash.layout import (
    BOOTLOADER,
    FIRMWARE,
    FIRMWARE_MAX,
    GATEWARE,
    STORAGE,
    TARGETS,
    LayoutError,
    Target,
    of_part,
)

_BIT_MAGIC = struct.pack(">H", 9) + bytes.fromhex("0ff00ff00ff00ff000") + struct.pack(">H", 1)
_FIELDS = ((b"a", "Design"), (b"b", "Part name"), (b"c", "Date"), (b"d", "Time"))
_SYNC = bytes.fromhex("aa995566")  # begins the commands to the FPGA, after dummy words
_SYNC_WITHIN = 4096
_IDCODE = bytes.fromhex("30018001")  # the command with which a bitstream says which FPGA it is for
_DESYNC = bytes.fromhex("300080010000000d")  # ends the commands, before some more words that do nothing
# what each program says at its start, and the name of its file
_FIRMWARE_FILES = {"runtime.fbi": b"ARTIQ runtime", "satman.fbi": b"ARTIQ satellite manager"}
# The number of a register map is the CRC-32 of its csr.rs; see `registers`.
_USER_ID = re.compile(r"UserID=(?:0x)?([0-9a-f]{1,8})(?:;|$)", re.IGNORECASE)
_NO_USER_ID = 0xFFFFFFFF  # Vivado's, when none is set
_MADE_FOR = re.compile(rb"made for registers ([0-9a-f]{8})")


class ImageError(Exception):
    """A file is not what it should be; `str()` is one line."""


@dataclass(frozen=True, slots=True)
class Image:
    """What goes into a region. `fields`: a bitstream's Design, Part name, Date and Time."""

    region: str
    data: bytes
    fields: dict[str, str] = field(default_factory=dict)


def check(region: str, data: bytes, name: str, target: Target | None = None) -> Image:
    """The image of a file's contents `data`, for `target` if it is known. Raises ImageError, which names the file."""
    try:
        if not data:
            raise ImageError("is empty")
        image = _CHECKS[region](data, name)
        if region == GATEWARE:
            part = image.fields["Part name"]
            if target and not part.startswith(target.part):
                raise ImageError(f"is for a {part or 'nameless part'}, but a {target.name} has a {target.part}")
            target = of_part(part)
        if target and len(image.data) > (size := target.region(region).size):
            raise ImageError(f"is too large: {len(image.data)} bytes, {region} of a {target.name} has {size}")
    except (ImageError, LayoutError) as exc:
        text = str(exc)
        raise ImageError(f"{name} {text}" if isinstance(exc, ImageError) else f"{name}: {text}") from None
    return image


def kind(data: bytes) -> str:
    """What these bytes look like, for messages; empty if like nothing known."""
    if data.startswith(_BIT_MAGIC):
        return "a bitstream (.bit)"
    if _SYNC in data[:_SYNC_WITHIN] and _DESYNC in data:
        return "a bitstream without header (.bin)"
    if len(data) > 8 and struct.unpack_from("<II", data) == (len(data) - 8, zlib.crc32(data[8:])):
        return "a firmware image (.fbi)"
    if _ends_with_crc(data):
        return "a bootloader"
    if data[32:40] == _BOOT_BIN:
        return "a boot.bin"
    try:
        return "a storage image" if store.decode(data) else ""
    except store.StoreError:
        return ""


def _not(expected: str, data: bytes, otherwise: str) -> ImageError:
    found = kind(data)
    return ImageError(f"is {found}, not {expected}" if found else f"is not {expected}: {otherwise}")


def _gateware(data: bytes, name: str) -> Image:
    if not data.startswith(_BIT_MAGIC):
        if name.endswith(".bin") and _SYNC in data[:_SYNC_WITHIN]:
            return _bare_gateware(data)
        raise _not("a bitstream (.bit)", data, "it does not begin like one")
    pos, fields = len(_BIT_MAGIC), {}
    try:
        for key, title in _FIELDS:
            mark, length = struct.unpack_from(">cH", data, pos)
            pos += 3
            if mark != key or pos + length > len(data):
                raise ImageError(f"is damaged: its header lacks {title!r}")
            text = data[pos : pos + length].rstrip(b"\0").decode("latin-1")
            fields[title] = "".join(sign if sign.isprintable() else "?" for sign in text)
            pos += length
        mark, length = struct.unpack_from(">cI", data, pos)
    except struct.error:
        raise ImageError("is cut short") from None
    payload = data[pos + 5 :]
    if mark != b"e" or len(payload) != length:
        raise ImageError(f"is damaged: it should hold {length} bytes of payload, it holds {len(payload)}")
    if _SYNC not in payload[:_SYNC_WITHIN]:
        raise ImageError("is damaged: its payload does not begin like a bitstream's")
    return Image(GATEWARE, payload, fields)


def _bare_gateware(data: bytes) -> Image:
    """A bitstream without the header (.bin), which tells the FPGA by its number only."""
    if _DESYNC not in data:
        raise ImageError("is cut short: it does not end like a bitstream")
    begin = data.index(_SYNC)
    words = [data[at : at + 4] for at in range(begin, begin + _SYNC_WITHIN, 4)]
    number = int.from_bytes(words[words.index(_IDCODE) + 1]) & 0x0FFFFFFF if _IDCODE in words[:-1] else 0
    known = [target.part for target in TARGETS.values() if target.idcode == number]
    return Image(GATEWARE, data, {"Part name": known[0] if known else f"part with IDCODE {number:08x}"})


def _ends_with_crc(data: bytes) -> bool:
    return len(data) > 4 and struct.unpack("<I", data[-4:])[0] == zlib.crc32(data[:-4])


def _bootloader(data: bytes, name: str) -> Image:
    if not _ends_with_crc(data):
        raise _not("a bootloader", data, "it does not end with its CRC, it is damaged or without one")
    return Image(BOOTLOADER, data)


def _firmware(data: bytes, name: str) -> Image:
    if len(data) <= 8:
        raise ImageError("is cut short")
    length, crc = struct.unpack_from("<II", data)
    if length != len(data) - 8:
        raise _not("a firmware image (.fbi)", data, f"it should hold {length} bytes, it holds {len(data) - 8}")
    if crc != (found := zlib.crc32(data[8:])):
        raise ImageError(f"is damaged: its CRC is {found:08x}, it should be {crc:08x}")
    if length > FIRMWARE_MAX:
        raise ImageError(f"is too large: {length} bytes, the bootloader takes {FIRMWARE_MAX}")
    role = firmware_file(data)
    if role and Path(name).name in _FIRMWARE_FILES and Path(name).name != role:
        raise ImageError(f"holds the firmware of a {role}")
    return Image(FIRMWARE, data)


def firmware_file(data: bytes) -> str:
    """`runtime.fbi` for the firmware of a core device, `satman.fbi` for a satellite's; empty if it does not tell."""
    found = [file for file, title in _FIRMWARE_FILES.items() if title in data]
    return found[0] if len(found) == 1 else ""


def registers(image: Image) -> str:
    """The number of the register map that gateware has, or that firmware was compiled for; empty if it does not tell,
    as ARTIQ's do not. They work only together, and the map changes with almost every change of the gateware."""
    if image.region == GATEWARE:
        found = _USER_ID.search(image.fields.get("Design", ""))
        number = int(found[1], 16) if found else _NO_USER_ID
        return "" if number == _NO_USER_ID else f"{number:08x}"
    told = set(_MADE_FOR.findall(image.data)) if image.region == FIRMWARE else set()
    return told.pop().decode() if len(told) == 1 else ""


def check_together(images: Iterable[Image]) -> None:
    """Raises ImageError if gateware and firmware tell that they were not made for each other."""
    told = {image.region: number for image in images if (number := registers(image))}
    if len(set(told.values())) > 1:
        raise ImageError(
            f"the firmware was made for registers {told[FIRMWARE]}, the gateware has {told[GATEWARE]}: take both from "
            "one build (make firmware after make targets), or give --mixed"
        )


def _storage(data: bytes, name: str) -> Image:
    try:
        store.decode(data)
    except store.StoreError as exc:
        raise _not("a storage image", data, str(exc)) from None
    return Image(STORAGE, data)


_BOOT_BIN = bytes.fromhex("665599aa") + b"XNLX"  # at byte 32 of the boot header of a Zynq


def check_boot_bin(data: bytes, name: str) -> bytes:
    """The contents of a boot.bin. Raises ImageError."""
    if data[32:40] != _BOOT_BIN:
        raise ImageError(f"{name} {_not('a boot.bin', data, 'it has no boot header')}")
    return data


_CHECKS = {GATEWARE: _gateware, BOOTLOADER: _bootloader, STORAGE: _storage, FIRMWARE: _firmware}
