"""Builds in the flash as `artiq_flash` would lay them out, byte for byte, for every variant that is there.

`make targets bootloader firmware` makes them, in build/; without them the small files of `support.images` stand in. The
bitstream is a stand-in as large as the FPGA's, with the header that Vivado writes: there is no Vivado here. Addresses,
formats and commands are written down once more, from protocols.md D and what `artiq_flash` does, not taken from ours.
"""

import json
import random
import re
import shutil
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from corelog.flash.layout import SECTOR
from corelog.frontend.flash import main
from corelog.frontend.mkfs import main as mkfs
from corelog.testing import fakeopenocd
from support.images import SATMAN, bitstream, write_build

ROOT = Path(__file__).parents[3]
MAPPED = 0x2000_0000  # where the CPU sees the flash
RAM = 0x4000_0000
FLASH_SIZE = 1 << 24


@dataclass(frozen=True)
class Board:
    part: bytes
    idcode: int
    configuration: int  # bytes of a bitstream that is not compressed (UG470)
    proxy: str
    bootloader: int
    storage: int
    firmware: int


BOARDS = {
    "kasli": Board(b"7a100tfgg484", 0x3631093, 3_825_788, "bscan_spi_xc7a100t.bit", 0x400000, 0x440000, 0x450000),
    "kc705": Board(b"7k325tffg900", 0x3651093, 11_443_612, "bscan_spi_xc7k325t.bit", 0xAF0000, 0xB30000, 0xB40000),
}
BUILT = sorted(
    folder for pattern in ("kasli-*", "kc705-*") for folder in (ROOT / "build").glob(pattern)
    if any(folder.glob("software/*/*.fbi")) and (folder / "software/bootloader/bootloader.bin").is_file()
)  # fmt: skip
built = pytest.mark.parametrize("build", [
    pytest.param(path, id=path.name) for path in BUILT
] or [pytest.param(None, marks=pytest.mark.skip(reason="make targets bootloader firmware"))])  # fmt: skip


def payload(board: Board) -> bytes:
    """As long as the FPGA's, and begins as one."""
    words = [*[0xFFFFFFFF] * 8, 0x000000BB, 0x11220044, *[0xFFFFFFFF] * 2, 0xAA995566, 0x20000000,
             0x30018001, board.idcode]  # fmt: skip
    head = struct.pack(f">{len(words)}I", *words)
    return head + random.Random(1).randbytes(board.configuration - len(head))


class Job:
    """A copy of a build with a bitstream and a storage image, flashed in an empty chip."""

    def __init__(self, root: Path, build: Path | str) -> None:
        self.target = (build.name if isinstance(build, Path) else build).partition("-")[0]
        self.board = BOARDS[self.target]
        self.root, self.tree, self.storage = root, root / "tree", root / "storage.img"
        user_id = "0xffffffff"
        if isinstance(build, Path):
            # As Vivado is told, and shows in the header.
            user_id = re.findall(r'CONFIG.USERID "(\w+)"', (build / "gateware/top.tcl").read_text())[-1]
            for name in ("bootloader/bootloader.bin", "runtime/runtime.fbi", "satman/satman.fbi"):
                if (file := build / "software" / name).is_file():
                    (self.tree / "software" / name).parent.mkdir(parents=True)
                    shutil.copy(file, self.tree / "software" / name)
        else:
            write_build(self.tree, tree=True)
        self.payload = payload(self.board)
        (self.tree / "gateware").mkdir(exist_ok=True)
        design = f"top;COMPRESS=TRUE;UserID={user_id.upper()};Version=2023.2".encode()
        (self.tree / "gateware/top.bit").write_bytes(bitstream(self.payload, self.board.part, design))
        assert mkfs([str(self.storage), "-s", "ip", "192.168.1.75", "-s", "log_level", "DEBUG"]) == 0
        self.args = ["-t", self.target, "-d", str(self.tree), "--srcbuild", "-f", str(self.storage),
                     "write=gateware,bootloader,storage,firmware", "start"]  # fmt: skip

    def regions(self) -> Iterator[tuple[str, int, bytes]]:
        """What `artiq_flash` writes, and where: files as they are, of a bitstream its field `e`."""
        board, software = self.board, self.tree / "software"
        [firmware] = software.glob("*/*.fbi")
        yield "gateware", 0, _payload_of((self.tree / "gateware/top.bit").read_bytes())
        yield "bootloader", board.bootloader, (software / "bootloader/bootloader.bin").read_bytes()
        yield "storage", board.storage, self.storage.read_bytes()
        yield "firmware", board.firmware, firmware.read_bytes()

    def flash(self) -> bytes:
        """The chip after `corelog flash`, through an OpenOCD with a model of it."""
        path = fakeopenocd.install(self.root / "openocd")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in fakeopenocd.environment(path).items():
                patch.setenv(name, value)
            assert main([*self.args, "-q"]) == 0
        return fakeopenocd.flash(self.root / "openocd")


def _payload_of(bit: bytes) -> bytes:
    """The field `e` of a bitstream: after two fields without a key come keys, lengths and values."""
    assert struct.unpack_from(">H", bit) == (9,)
    assert struct.unpack_from(">H", bit, 11) == (1,)
    at, found = 13, b""
    while at < len(bit):
        key = bit[at : at + 1]
        (length,) = struct.unpack_from(">I" if key == b"e" else ">H", bit, at + 1)
        at += 5 if key == b"e" else 3
        if key == b"e":
            found = bit[at : at + length]
        else:
            assert bit[at + length - 1] == 0, "texts end with a zero byte"
        at += length
    return found


def without_names(line: str) -> str:
    """A command without the name of its file, as `artiq_flash` has temporary ones."""
    return re.sub(r"\{[^{}]*\}", "{}", line)


def artiq_script(job: Job) -> list[str]:
    """The commands that `artiq_flash` gives OpenOCD for the same job; it cuts them by `; `."""
    script = [
        f"source [find board/{job.target}.cfg]",
        "target create xc7.spi0.proxy testee -chain-position xc7.tap",
        "flash bank spi0 jtagspi 0 0 0 0 xc7.spi0.proxy 0x2",
        "gdb_port disabled", "tcl_port disabled", "telnet_port disabled",
        "init",
        "xadc_report xc7.tap",
        "pld load 0 {}",
    ]  # fmt: skip
    for _, address, data in job.regions():
        script += [
            "flash probe spi0",
            f"flash erase_sector spi0 {address // SECTOR} {(address + len(data) - 1) // SECTOR}",
            f"flash write_bank spi0 {{}} {address:#x}",
            f"flash verify_bank spi0 {{}} {address:#x}",
        ]
    return [*script, "xc7_program xc7.tap", "exit"]


@pytest.mark.parametrize("build", [pytest.param(path, id=path.name) for path in BUILT] or list(BOARDS))
def test_flash_holds_what_artiq_flash_writes_and_nothing_else(
        build: Path | str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = Job(tmp_path, build)
    wanted, end, table = bytearray(b"\xff" * FLASH_SIZE), 0, []
    assert main([*job.args, "-n"]) == 0
    shown = capsys.readouterr()
    for name, address, data in job.regions():
        assert address % SECTOR == 0 and address >= end, "no region reaches into the next, by whole sectors"
        end = address + -(-len(data) // SECTOR) * SECTOR
        wanted[address : address + len(data)] = data
        table.append([name, f"{address:#08x}", f"{address // SECTOR}-{end // SECTOR - 1}", str(len(data)),
                      f"{zlib.crc32(data):08x}"])  # fmt: skip
    assert end <= FLASH_SIZE
    assert job.flash() == wanted
    assert fakeopenocd.report(tmp_path / "openocd")["commands"] == shown.out.splitlines()
    rows = [line.split() for line in shown.err.splitlines()]
    assert [[*row[:4], row[5]] for row in rows[1:]] == table
    print(shown.err)


@pytest.mark.parametrize("target", BOARDS)
def test_script_is_artiq_flashs_but_for_what_the_readme_names(
        target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = Job(tmp_path, target)
    assert main([*job.args, "-n"]) == 0
    ours = capsys.readouterr().out.splitlines()
    theirs = artiq_script(job)
    assert f"pld load 0 {{{job.board.proxy}}}" in ours
    # No number of a step for who follows; `init` that fails on a board with another chain; probed once.
    ours = [line for line in ours if not line.startswith("echo ")]
    ours = ["init" if "[capture init]" in line else without_names(line) for line in ours]
    probe = theirs.index("flash probe spi0")
    theirs = theirs[: probe + 1] + [line for line in theirs[probe:] if line != "flash probe spi0"]
    assert ours == theirs


@built
def test_bootloader_is_where_the_cpu_starts_and_takes_the_firmware_of_its_build(build: Path, tmp_path: Path) -> None:
    job = Job(tmp_path, build)
    flash = job.flash()
    generated = build / "software/include/generated"
    headers = (generated / "mem.h").read_text() + (generated / "soc.h").read_text()
    number = {name: int(value, 0) for name, value in re.findall(r"#define (\w+) (0x[0-9a-f]+|\d+)L?\n", headers)}
    constants = json.loads((build / "generated/csr.json").read_text())["constants"]

    def at(address: int, length: int) -> bytes:
        return flash[address - MAPPED : address - MAPPED + length]

    # The gateware: its CPU's reset vector, its constants.
    verilog = (build / "gateware/top.v").read_text()
    [vector] = re.findall(r"\.externalResetVector\s*\((\w+)\)", verilog)
    assert re.findall(rf"\b{vector} = 32'd(\d+);", verilog) == [str(number["ROM_BASE"])]
    assert number["ROM_BASE"] == number["CONFIG_CPU_RESET_ADDR"] == MAPPED + job.board.bootloader
    assert number["ROM_BASE"] + number["ROM_SIZE"] == MAPPED + job.board.storage
    assert number["FLASH_BOOT_ADDRESS"] == constants["flash_boot_address"] == MAPPED + job.board.firmware
    assert [constants[f"flash_{region}"] for region in ("bootloader", "storage", "firmware")] == [
        job.board.bootloader, job.board.storage, job.board.firmware]  # fmt: skip
    # The bootloader: there with its CRC, and made for this address of the firmware (LUI).
    length = (build / "software/bootloader/bootloader.bin").stat().st_size
    code = at(number["ROM_BASE"], length)
    assert zlib.crc32(code[:-4]) == int.from_bytes(code[-4:], "little")
    words = {struct.unpack_from("<I", code, n)[0] & ~0xF80 for n in range(0, length - 4, 2)}
    assert number["FLASH_BOOT_ADDRESS"] | 0x37 in words
    # The firmware, as the bootloader reads it: length, CRC-32 of so many bytes, which it copies to RAM and starts.
    length, crc = struct.unpack("<II", at(number["FLASH_BOOT_ADDRESS"], 8))
    program = at(number["FLASH_BOOT_ADDRESS"] + 8, length)
    assert 32 <= length <= 4 << 20
    assert zlib.crc32(program) == crc
    assert set(flash[job.board.firmware + 8 + length :]) == {0xFF}
    [elf] = build.glob("software/*/*.elf")
    assert struct.unpack_from("<I", elf.read_bytes(), 24) == (number["MAIN_RAM_BASE"],) == (RAM,)
    # The configuration: sizes big endian, up to the end mark.
    assert at(MAPPED + job.board.storage, 15) == b"\0\0\0\x13ip\x00192.168."
    assert flash[job.board.storage :].index(b"\xff\xff\xff\xff") == len(job.storage.read_bytes()) - 4


@built
def test_firmware_for_other_registers_is_refused(
        build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = Job(tmp_path, build)
    [firmware] = (job.tree / "software").glob("*/*.fbi")
    number = re.findall(rb"made for registers (\w{8})", firmware.read_bytes())
    assert number == [b"%08x" % zlib.crc32((build / "generated/csr.rs").read_bytes())]
    payload = firmware.read_bytes()[8:].replace(number[0], b"%08x" % (int(number[0], 16) ^ 1))
    firmware.write_bytes(struct.pack("<II", len(payload), zlib.crc32(payload)) + payload)
    assert main([*job.args, "-n"]) == 1
    assert f"the gateware has {number[0].decode()}: take both from one build" in capsys.readouterr().err


@built
def test_firmware_is_that_of_the_variants_role(build: Path) -> None:
    uplink = json.loads((build / "generated/csr.json").read_text())["constants"]["drtio_uplink"]
    [firmware] = build.glob("software/*/*.fbi")
    assert firmware.name == ("satman.fbi" if uplink else "runtime.fbi")
    assert (b"ARTIQ satellite manager" in firmware.read_bytes()) == bool(uplink) == (build.name.endswith("satellite"))


@pytest.mark.parametrize(("command", "warned"), [
    ("write", ""), ("write=bootloader", ""), ("erase", ""), ("write=gateware", "gateware without firmware"),
    ("write=firmware,bootloader", "firmware without gateware")])
def test_gateware_and_firmware_apart_are_warned_of(
        command: str, warned: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_build(tmp_path)
    assert main(["-n", "-d", str(tmp_path), command]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warnings) == bool(warned)
    assert warned in "".join(warnings)


def test_table_of_a_satellite_names_no_more_than_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "satman.fbi").write_bytes(SATMAN)
    assert main(["-n", "-d", str(tmp_path), "write=firmware"]) == 0
    assert [line.split() for line in capsys.readouterr().err.splitlines()[1:]] == [
        ["region", "address", "sectors", "bytes", "room", "CRC-32"],
        ["firmware", "0x450000", "69-69", str(len(SATMAN)), str(0xBB0000), f"{zlib.crc32(SATMAN):08x}"]]
