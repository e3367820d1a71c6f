"""The bootloader, from the CPU's first fetch out of the flash to the firmware's first instruction, in Verilator."""

import os
import re
import shutil
import struct
import zlib
from pathlib import Path

import boot_bench
import pytest

from corelog.flash.layout import TARGETS
from corelog_gateware.bootloader.build import COMPILERS, BootloaderError, build, main
from corelog_gateware.firmware.build import build as build_firmware
from corelog_gateware.simulator.toolchain import find

pytest.importorskip("pythondata_software_picolibc", reason="make bootloader installs picolibc's sources")
pytestmark = [
    pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="make bootloader installs a RISC-V C compiler"),
    # The first test compiles the board.
    pytest.mark.timeout(600),
]

LAYOUT = TARGETS["kasli"]
PROMPT = "litex\x1b[0m> "
MAGIC = 0xC0DE1234
ENOUGH = 12_000_000  # cycles; a boot takes about 4.2 million


def firmware(mark: int) -> bytes:
    """Writes MAGIC to the address `mark`, then loops; its length is that of no whole line of the caches."""
    high, low = (mark + 0x800) >> 12, mark & 0xFFF
    magic_high, magic_low = (MAGIC + 0x800) >> 12, MAGIC & 0xFFF
    t0, t1 = 5, 6
    words = [
        high << 12 | t0 << 7 | 0x37,  # lui t0
        magic_high << 12 | t1 << 7 | 0x37,  # lui t1
        magic_low << 20 | t1 << 15 | t1 << 7 | 0x13,  # addi t1, t1
        (low >> 5) << 25 | t1 << 20 | t0 << 15 | 2 << 12 | (low & 0x1F) << 7 | 0x23,  # sw t1, (t0)
        0x6F,  # j .
    ]
    return struct.pack("<5I", *words) + bytes(range(250)) * 11


def fbi(payload: bytes) -> bytes:
    return struct.pack("<II", len(payload), zlib.crc32(payload)) + payload


def flash(bootloader: bytes, image: bytes) -> bytes:
    """As an erased chip to which the two were written."""
    content = bytearray(b"\xff" * (LAYOUT.firmware + len(image)))
    for start, data in ((LAYOUT.bootloader, bootloader), (LAYOUT.firmware, image)):
        content[start : start + len(data)] = data
    return bytes(content)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> boot_bench.Bench:
    return boot_bench.build(tmp_path_factory.mktemp("boot"))


@pytest.fixture(scope="module")
def bootloader(bench: boot_bench.Bench) -> bytes:
    return build(bench.directory).read_bytes()


def test_the_board_boots_from_flash_to_the_firmware(bench: boot_bench.Bench, bootloader: bytes) -> None:
    # In the flash something of before the reset is still under way.
    said = bench.boot(flash(bootloader, fbi(firmware(bench.mark))), ENOUGH, busy=100_000)
    for text in ("BIOS CRC passed", "Memtest OK", "Booting from serial", "Timeout", "Booting from flash", "Liftoff"):
        assert text in said, said
    [mark, asked] = re.findall(r"mark (\w+) cycle \d+ asked (\d+)", said)[0]
    assert int(mark, 16) == MAGIC
    assert int(asked) > 100


def test_a_firmware_image_with_a_wrong_bit_is_not_started(bench: boot_bench.Bench, bootloader: bytes) -> None:
    image = bytearray(fbi(firmware(bench.mark)))
    image[1000] ^= 4
    said = bench.boot(flash(bootloader, bytes(image)), ENOUGH)
    assert "CRC failed" in said, said
    assert PROMPT in said, "it waits for commands"
    assert "Liftoff" not in said


def test_without_firmware_the_bootloader_waits_for_commands(bench: boot_bench.Bench, bootloader: bytes) -> None:
    said = bench.boot(flash(bootloader, b""), ENOUGH)
    assert "Error: Invalid image length 0xffffffff" in said, said
    assert PROMPT in said


def test_the_bootloader_says_that_it_was_flashed_wrongly(bench: boot_bench.Bench, bootloader: bytes) -> None:
    wrong = bytearray(bootloader)
    # The year of its banner, in the text.
    wrong[wrong.index(b"2012-2024") + 3] ^= 1
    said = bench.boot(flash(bytes(wrong), fbi(firmware(bench.mark))), ENOUGH)
    assert "BIOS CRC failed" in said, said


@pytest.mark.skipif(not os.environ.get("FULL"), reason="takes minutes: FULL=1")
def test_the_runtime_comes_from_flash_to_its_first_log_lines(tmp_path: Path) -> None:
    """The firmware in Rust, compiled for these registers, with its configuration in the flash."""
    bench = boot_bench.build(tmp_path, core_device=True)
    image = build_firmware(find(), tmp_path).read_bytes()
    content = flash(build(tmp_path).read_bytes(), image)
    said = bench.boot(content, 200_000_000, until="ready after", timeout=550)
    assert "reset cause: power-on; board 000123456789abcd, boot " in said, said
    assert said.endswith("ready after"), said


def test_bootloader_bin_ends_with_its_crc(bootloader: bytes) -> None:
    assert zlib.crc32(bootloader[:-4]) == int.from_bytes(bootloader[-4:], "little")
    assert 16_000 < len(bootloader) < LAYOUT.region("bootloader").size


def test_a_bootloader_that_does_not_fit_its_region_is_refused(
    bench: boot_bench.Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(bench.directory / "software/include", tmp_path / "software/include")
    regions = tmp_path / "software/include/generated/regions.ld"
    regions.write_text(re.sub(r"(rom : .*LENGTH = )0x[0-9a-f]+", r"\g<1>0x00001000", regions.read_text()))
    with pytest.raises(SystemExit) as end:
        main([str(tmp_path)])
    assert "region `rom' overflowed" in str(end.value)
    assert not (tmp_path / "software/bootloader").exists()


def test_a_folder_without_a_target_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BootloaderError, match="has no target: build it with") as error:
        build(tmp_path)
    assert "\n" not in str(error.value)
