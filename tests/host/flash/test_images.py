"""Files to flash: what is sound passes, whatever is cut, damaged, swapped, too large or for another board does not."""

import random
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corelog.flash import layout
from corelog.flash.files import read_all
from corelog.flash.images import ImageError, check, kind
from corelog.flash.layout import BOOTLOADER, FIRMWARE, GATEWARE, REGIONS, STORAGE, LayoutError
from corelog.flash.store import encode
from support.images import BOOT_BIN, PAYLOAD, SATMAN, bare_bitstream, bitstream, bootloader, firmware, write_build

KASLI, KC705 = layout.TARGETS["kasli"], layout.TARGETS["kc705"]
SOUND = {GATEWARE: bitstream(), BOOTLOADER: bootloader(), FIRMWARE: firmware(),
         STORAGE: encode([("ip", b"192.168.1.75")])}  # fmt: skip


@pytest.mark.parametrize(("target", "starts"), [
    (KASLI, [0x000000, 0x400000, 0x440000, 0x450000]), (KC705, [0x000000, 0xAF0000, 0xB30000, 0xB40000])])
def test_regions_are_where_artiq_has_them_and_fill_the_flash(target: layout.Target, starts: list[int]) -> None:
    regions = [target.region(name) for name in REGIONS]
    assert [region.start for region in regions] == starts
    assert [region.end for region in regions] == [*starts[1:], 16 << 20]
    assert target.region(STORAGE).size == layout.SECTOR
    with pytest.raises(LayoutError, match="'bios' is no region"):
        target.region("bios")


@pytest.mark.parametrize("region", REGIONS)
def test_sound_image_passes(region: str) -> None:
    image = check(region, SOUND[region], "file", KASLI)
    assert image.data == (PAYLOAD if region == GATEWARE else SOUND[region])


@pytest.mark.parametrize("region", REGIONS)
def test_every_cut_is_refused(region: str) -> None:
    for length in range(len(SOUND[region])):
        with pytest.raises(ImageError, match=r"^file"):
            check(region, SOUND[region][:length], "file", KASLI)


@pytest.mark.parametrize("region", [BOOTLOADER, FIRMWARE])
def test_every_flipped_bit_is_refused(region: str) -> None:
    for bit in range(len(SOUND[region]) * 8):
        data = bytearray(SOUND[region])
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ImageError):
            check(region, bytes(data), "file", KASLI)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("other", [*REGIONS, "boot.bin"])
def test_swapped_image_is_refused_and_named(region: str, other: str) -> None:
    if region == other:
        return
    data = (SOUND | {"boot.bin": BOOT_BIN})[other]
    assert kind(data)
    with pytest.raises(ImageError, match=f"file is {kind(data)[:8]}"):
        check(region, data, "file", KASLI)


texts = st.binary(max_size=40)
edits = st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 8), st.binary(max_size=8)), max_size=3)
files = st.one_of(
    st.builds(bitstream, st.binary(max_size=200) | st.just(PAYLOAD), texts | st.just(b"7a100tfgg484"), texts),
    st.builds(bootloader, st.binary(max_size=40)), st.builds(firmware, st.binary(max_size=80)),
    st.builds(bare_bitstream, st.integers(0, (1 << 32) - 1), st.integers(0, 60)),
    st.sampled_from([*SOUND.values(), SATMAN, BOOT_BIN, bare_bitstream(), b""]), st.binary(max_size=100))


@example(bitstream(part=b"6slx45\nError"), [], GATEWARE, None)
@example(bitstream(part=b""), [], GATEWARE, KASLI)
@given(files, edits, st.sampled_from(REGIONS), st.sampled_from([KASLI, KC705, None]))
def test_any_file_is_an_image_that_fits_or_is_refused_in_one_line(
        data: bytes, edits: list[tuple[int, int, bytes]], region: str, target: layout.Target | None) -> None:
    for at, length, new in edits:
        at %= len(data) + 1
        data = data[:at] + new + data[at + length :]
    for name in ("file", "file.bin"):
        try:
            image = check(region, data, name, target)
        except ImageError as exc:
            assert str(exc).isprintable() and str(exc).startswith("file")
            continue
        assert data.endswith(image.data) and image.region == region
        assert all(value.isprintable() for value in image.fields.values())
        body = image.data
        if region == BOOTLOADER:
            assert zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "little")
        elif region == FIRMWARE:
            assert struct.unpack_from("<II", body) == (len(body) - 8, zlib.crc32(body[8:]))
        elif region == GATEWARE:
            assert (target or layout.of_part(image.fields["Part name"])).part in image.fields["Part name"]
            assert bytes.fromhex("aa995566") in body
    assert kind(data).isprintable()


def test_random_bytes_are_nothing() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    source = random.Random(seed)
    for _ in range(300):
        data = source.randbytes(source.randrange(100))
        for region in REGIONS:
            with pytest.raises(ImageError):
                check(region, data, "file", KASLI)


@pytest.mark.parametrize(("region", "size", "excess"), [
    (GATEWARE, 0x400000, 1), (BOOTLOADER, 0x40000, 1), (FIRMWARE, (4 << 20) + 8, 1)])
def test_image_that_just_fits_passes_and_one_byte_more_is_refused(region: str, size: int, excess: int) -> None:
    def image(length: int) -> bytes:
        if region == GATEWARE:
            return bitstream(PAYLOAD + bytes(length - len(PAYLOAD)))
        return bootloader(bytes(length - 4)) if region == BOOTLOADER else firmware(bytes(length - 8))

    assert len(check(region, image(size), "file", KASLI).data) == size
    with pytest.raises(ImageError, match="is too large"):
        check(region, image(size + excess), "file", KASLI)


def test_bitstream_for_another_fpga_is_refused() -> None:
    with pytest.raises(ImageError, match="is for a 7a100tfgg484, but a kc705 has a 7k325t"):
        check(GATEWARE, bitstream(), "top.bit", KC705)
    assert check(GATEWARE, bitstream(part=b"7k325tffg900"), "top.bit", KC705).data == PAYLOAD
    with pytest.raises(ImageError, match="for a 6slx45"):
        check(GATEWARE, bitstream(part=b"6slx45"), "top.bit")


def test_bitstream_whose_payload_is_not_one_is_refused() -> None:
    with pytest.raises(ImageError, match="does not begin like"):
        check(GATEWARE, bitstream(bytes(10_000)), "top.bit", KASLI)


def test_bitstream_without_header_goes_by_the_number_of_its_fpga(tmp_path: Path) -> None:
    """The latest artiq_flash takes only these."""
    bare = bare_bitstream()
    (write_build(tmp_path) / "top.bit").unlink()
    (tmp_path / "top.bin").write_bytes(bare)
    assert read_all(tmp_path) == ([bare, bootloader(), firmware()], {"Part name": "7a100t"})
    with pytest.raises(ImageError, match=r"top\.bin is for a 7a100t, but a kc705 has a 7k325t"):
        read_all(tmp_path, KC705)
    assert check(GATEWARE, bare_bitstream(0x33651093), "top.bin", KC705)
    with pytest.raises(ImageError, match="for a part with IDCODE 04ba0477; known are kasli"):
        check(GATEWARE, bare_bitstream(0x14BA0477), "top.bin")
    with pytest.raises(ImageError, match="is cut short: it does not end like a bitstream"):
        check(GATEWARE, bare[:3000], "top.bin", KASLI)
    with pytest.raises(ImageError, match=r"is a bitstream without header \(\.bin\), not a bitstream"):
        check(GATEWARE, bare, "top.bit", KASLI)
    with pytest.raises(ImageError, match=r"is a bitstream without header \(\.bin\), not a bootloader"):
        check(BOOTLOADER, bare, "bootloader.bin", KASLI)


def test_of_two_bitstreams_the_one_with_a_header_is_read(tmp_path: Path) -> None:
    (write_build(tmp_path) / "top.bin").write_bytes(bare_bitstream())
    assert read_all(tmp_path)[0][0] == PAYLOAD


def test_firmware_of_a_satellite_under_the_name_of_a_core_devices_is_refused() -> None:
    assert check(FIRMWARE, SATMAN, "build/satman.fbi").data == SATMAN
    with pytest.raises(ImageError, match=r"runtime\.fbi holds the firmware of a satman\.fbi"):
        check(FIRMWARE, SATMAN, "build/runtime.fbi")
    with pytest.raises(ImageError, match=r"satman\.fbi holds the firmware of a runtime\.fbi"):
        check(FIRMWARE, firmware(), "build/satman.fbi")


def test_programs_are_told_apart_by_the_titles_that_the_firmware_has() -> None:
    source = (Path(__file__).parents[3] / "firmware" / "device" / "src" / "program.rs").read_text()
    assert '"ARTIQ satellite manager"' in source
    assert '"ARTIQ runtime"' in source


def test_whole_build_is_read_flat_and_as_a_tree(tmp_path: Path) -> None:
    wanted = [PAYLOAD, bootloader(), firmware()]
    flat, tree = write_build(tmp_path / "flat"), write_build(tmp_path / "tree", tree=True)
    assert read_all(flat)[0] == read_all(tree, srcbuild=True)[0] == wanted
    with pytest.raises(ImageError, match="build tree: give --srcbuild"):
        read_all(tree)
    with pytest.raises(ImageError, match="leave out --srcbuild"):
        read_all(flat, srcbuild=True)


@pytest.mark.parametrize("name", ["top.bit", "bootloader.bin", "runtime.fbi"])
def test_build_with_a_part_missing_is_refused(tmp_path: Path, name: str) -> None:
    (write_build(tmp_path) / name).unlink()
    with pytest.raises(ImageError, match=f"lacks {name}"):
        read_all(tmp_path)


def test_two_firmwares_and_both_kinds_are_refused(tmp_path: Path) -> None:
    write_build(tmp_path)
    (tmp_path / "satman.fbi").write_bytes(SATMAN)
    with pytest.raises(ImageError, match="more than one firmware"):
        read_all(tmp_path)
    (tmp_path / "boot.bin").write_bytes(BOOT_BIN)
    with pytest.raises(ImageError, match=r"both boot\.bin and top\.bit"):
        read_all(tmp_path)


def test_boot_bin_alone(tmp_path: Path) -> None:
    boot = tmp_path / "boot.bin"
    boot.write_bytes(BOOT_BIN)
    assert read_all(boot) == read_all(tmp_path) == ([BOOT_BIN], {})
    with pytest.raises(ImageError, match=r"named boot\.bin"):
        (tmp_path / "other.bin").write_bytes(BOOT_BIN)
        read_all(tmp_path / "other.bin")
    boot.write_bytes(bitstream())
    with pytest.raises(ImageError, match=r"is a bitstream \(\.bit\), not a boot\.bin"):
        read_all(boot)
    with pytest.raises(ImageError, match="does not exist"):
        read_all(tmp_path / "absent")


def test_size_of_the_bootloader_is_judged_by_the_bitstreams_board(tmp_path: Path) -> None:
    write_build(tmp_path, bootloader=bootloader(bytes(0x40000)))
    with pytest.raises(ImageError, match="bootloader of a kasli has 262144"):
        read_all(tmp_path)


MADE_FOR = b"ARTIQ runtime\0made for registers 0badc0de\0"


@pytest.mark.parametrize(("design", "code"), [
    (b"top;UserID=0X0BADC0DE;Version=2023.1", MADE_FOR), (b"top;COMPRESS=TRUE;UserID=0XBADC0DE", MADE_FOR),
    (b"top;UserID=0XFFFFFFFF;Version=2023.1", MADE_FOR), (b"top", MADE_FOR),
    (b"top;UserID=0X12345678;Version=2023.1", b"ARTIQ runtime"),
    (b"top;UserID=0X12345678", MADE_FOR + b"made for registers 12345678")])
def test_gateware_and_firmware_of_one_build_go_together_and_so_do_those_that_tell_nothing(
        tmp_path: Path, design: bytes, code: bytes) -> None:
    write_build(tmp_path, gateware=bitstream(design=design), firmware=firmware(code))
    assert len(read_all(tmp_path)[0]) == 3


def test_firmware_made_for_other_gateware_is_refused_unless_told(tmp_path: Path) -> None:
    gateware = bitstream(design=b"top;COMPRESS=TRUE;UserID=0X12345678;Version=2023.1")
    write_build(tmp_path, gateware=gateware, firmware=firmware(MADE_FOR))
    with pytest.raises(ImageError, match="firmware was made for registers 0badc0de, the gateware has 12345678: take"):
        read_all(tmp_path)
    assert read_all(tmp_path, mixed=True)[0] == [PAYLOAD, bootloader(), firmware(MADE_FOR)]


def test_crcs_are_those_of_litex(tmp_path: Path) -> None:
    """The tool that appends them when LiteX builds; FBI: length, CRC-32, payload."""
    crcfbigen = pytest.importorskip("litex.soc.software.crcfbigen")
    source, fbi, binary = (tmp_path / name for name in ("code", "fbi", "bin"))
    source.write_bytes(b"some code")
    crcfbigen.insert_crc(str(source), True, str(fbi), True)
    crcfbigen.insert_crc(str(source), False, str(binary), True)
    assert check(FIRMWARE, fbi.read_bytes(), "runtime.fbi", KASLI).data[8:] == b"some code"
    assert check(BOOTLOADER, binary.read_bytes(), "bootloader.bin", KASLI)
    assert firmware(b"some code")[:8] == struct.pack("<II", 9, zlib.crc32(b"some code"))
