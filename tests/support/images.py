"""Files of a build, small but sound."""

import struct
import zlib
from pathlib import Path

PAYLOAD = b"\xff" * 32 + bytes.fromhex("aa995566") + bytes(range(100))


def bitstream(payload: bytes = PAYLOAD, part: bytes = b"7a100tfgg484",
              design: bytes = b"top;UserID=0") -> bytes:
    head = struct.pack(">H", 9) + bytes.fromhex("0ff00ff00ff00ff000") + struct.pack(">H", 1)
    for key, text in ((b"a", design), (b"b", part), (b"c", b"2026/07/28"), (b"d", b"12:34:56")):
        head += key + struct.pack(">H", len(text) + 1) + text + b"\0"
    return head + b"e" + struct.pack(">I", len(payload)) + payload


def bare_bitstream(idcode: int = 0x13631093, length: int = 3000) -> bytes:
    """As Vivado's `-bin_file` writes it."""
    words = [*[0xFFFFFFFF] * 8, 0xAA995566, 0x20000000, 0x30018001, idcode]
    tail = [0x30008001, 0x0000000D, *[0x20000000] * 400]
    return struct.pack(f">{len(words)}I", *words) + bytes(length) + struct.pack(f">{len(tail)}I", *tail)


def bootloader(code: bytes = b"bootloader code") -> bytes:
    return code + struct.pack("<I", zlib.crc32(code))


def firmware(code: bytes = b"ARTIQ runtime starting...") -> bytes:
    return struct.pack("<II", len(code), zlib.crc32(code)) + code


SATMAN = firmware(b"ARTIQ satellite manager starting...")
BOOT_BIN = bytes(32) + bytes.fromhex("665599aa") + b"XNLX" + b"the rest"


def write_build(folder: Path, tree: bool = False, **other: bytes) -> Path:
    """A whole build in `folder`; `other` replaces contents: gateware, bootloader, firmware."""
    content = {"gateware": bitstream(), "bootloader": bootloader(), "firmware": firmware()} | other
    names = {"gateware": "top.bit", "bootloader": "bootloader.bin", "firmware": "runtime.fbi"}
    if tree:
        names = {"gateware": "gateware/top.bit", "bootloader": "software/bootloader/bootloader.bin",
                 "firmware": "software/runtime/runtime.fbi"}
    for part, name in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content[part])
    return folder
