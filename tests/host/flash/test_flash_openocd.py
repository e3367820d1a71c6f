"""`corelog flash` as a process, with an OpenOCD that has a model of the flash behind it."""

import os
import select
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from corelog.flash.openocd import OpenOCDError, run
from corelog.flash.script import Step
from corelog.flash.store import encode
from corelog.testing import fakeopenocd
from corelog.testing.fakeopenocd import SECTOR, SIZE, Fault
from support.images import PAYLOAD, SATMAN, bare_bitstream, bitstream, bootloader, firmware, write_build

STORAGE_IMAGE = encode([("ip", b"192.168.1.75")])
ERASED = b"\xff" * SIZE
OTHER_GATEWARE = {"gateware": bitstream(design=b"top;UserID=0X12345678"),
                  "firmware": firmware(b"ARTIQ runtime, made for registers 0badc0de")}  # fmt: skip


class Bench:
    """A board with OpenOCD, and a build."""

    def __init__(self, root: Path) -> None:
        self.root, self.fault = root, Fault.NONE
        self.path = fakeopenocd.install(root / "openocd")
        self.build = write_build(root / "build")
        self.storage = root / "storage.img"
        self.storage.write_bytes(STORAGE_IMAGE)

    def corelog(self, *args: str | Path, env: dict[str, str] | None = None) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "corelog.frontend.main", "flash", *map(str, args)], capture_output=True, text=True,
            timeout=60, env=env if env is not None else fakeopenocd.environment(self.path, self.fault))
        return done.returncode, done.stdout, done.stderr

    def flash(self) -> bytes:
        return fakeopenocd.flash(self.root / "openocd")

    def fill(self, content: bytes) -> None:
        (self.root / "openocd" / "flash").write_bytes(content)

    def report(self) -> dict[str, object]:
        return fakeopenocd.report(self.root / "openocd")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def expected(start: bytes, *parts: tuple[int, bytes]) -> bytes:
    """The flash `start` after these parts were written, their sectors erased before."""
    flash = bytearray(start)
    for address, data in parts:
        end = address + -(-len(data) // SECTOR) * SECTOR
        flash[address:end] = data + b"\xff" * (end - address - len(data))
    return bytes(flash)


@pytest.mark.parametrize(("target", "part", "bootloader_at", "storage_at", "firmware_at"), [
    ("kasli", b"7a100tfgg484", 0x400000, 0x440000, 0x450000),
    ("kc705", b"7k325tffg900", 0xAF0000, 0xB30000, 0xB40000)])
def test_all_regions_are_written_over_old_content_byte_for_byte(
        bench: Bench, target: str, part: bytes, bootloader_at: int, storage_at: int, firmware_at: int) -> None:
    gateware = PAYLOAD + bytes(2 * SECTOR)
    write_build(bench.build, gateware=bitstream(gateware, part))
    bench.fill(bytes(SIZE))
    status, out, err = bench.corelog("-t", target, "-d", bench.build, "-f", bench.storage,
                                     "write=firmware,storage,bootloader,gateware", "start")
    assert (status, err) == (0, "")
    assert bench.flash() == expected(bytes(SIZE), (0, gateware), (bootloader_at, bootloader()),
                                     (storage_at, STORAGE_IMAGE), (firmware_at, firmware()))
    report = bench.report()
    assert (report["board"], report["started"]) == (f"board/{target}.cfg", True)
    assert out.splitlines()[-1].endswith("done")
    assert sum("verifying" in line for line in out.splitlines()) == 4


def test_default_writes_all_but_the_configuration_and_starts(bench: Bench) -> None:
    bench.fill(bytes(SIZE))
    assert bench.corelog("-d", bench.build)[0] == 0
    assert bench.flash() == expected(bytes(SIZE), (0, PAYLOAD), (0x400000, bootloader()), (0x450000, firmware()))
    assert bench.report()["started"]


def test_build_tree_is_written_and_loaded(bench: Bench) -> None:
    tree = write_build(bench.root / "tree", tree=True)
    assert bench.corelog("-d", tree, "--srcbuild", "write=gateware", "load")[0] == 0
    assert bench.flash() == expected(ERASED, (0, PAYLOAD))
    assert bench.report()["loaded"] == "top.bit"


def test_load_then_write_brings_the_proxy_back(bench: Bench) -> None:
    assert bench.corelog("-d", bench.build, "write=firmware", "load", "write=bootloader")[0] == 0
    assert bench.flash() == expected(ERASED, (0x400000, bootloader()), (0x450000, firmware()))


@pytest.mark.parametrize(("command", "first", "last"), [
    ("erase", 0, 255), ("erase=all", 0, 255), ("erase=gateware", 0, 63), ("erase=bootloader", 64, 67),
    ("erase=storage", 68, 68), ("erase=firmware", 69, 255), ("erase=storage,bootloader", 64, 68)])
def test_erase_takes_a_region_whole_and_nothing_else(bench: Bench, command: str, first: int, last: int) -> None:
    bench.fill(bytes(SIZE))
    assert bench.corelog(command)[0] == 0
    assert bench.flash() == expected(bytes(SIZE), (first * SECTOR, b"\xff" * (last + 1 - first) * SECTOR))


def test_dry_run_prints_the_script_and_needs_no_openocd(bench: Bench) -> None:
    status, out, err = bench.corelog("-n", "-I", "adapter serial 4711", "-d", bench.build, "-f", bench.storage,
                                     "write=gateware,storage", "start", env={"PATH": "/nowhere"})
    assert status == 0
    assert err.splitlines() == [
        "corelog flash: warning: gateware without firmware: the board does not start unless the flash holds the "
        "firmware of the same build",
        "region      address   sectors     bytes      room  CRC-32",
        f"gateware    0x000000  0-0           136   4194304  {zlib.crc32(PAYLOAD):08x}",
        f"storage     0x440000  68-68          23     65536  {zlib.crc32(STORAGE_IMAGE):08x}"]
    assert out.splitlines() == [
        "echo {corelog step 1: connecting to the kasli}",
        "source [find board/kasli.cfg]",
        "target create xc7.spi0.proxy testee -chain-position xc7.tap",
        "flash bank spi0 jtagspi 0 0 0 0 xc7.spi0.proxy 0x2",
        "gdb_port disabled", "tcl_port disabled", "telnet_port disabled",
        "adapter serial 4711",
        "if {[string match {*Trying to use configured scan chain anyway*} [capture init]]} "
        "{error {Error: the JTAG chain is not that of this board}}",
        "xadc_report xc7.tap",
        "echo {corelog step 2: loading the flash proxy}",
        "pld load 0 {bscan_spi_xc7a100t.bit}", "flash probe spi0",
        "echo {corelog step 3: erasing for gateware (136 bytes at 0x000000)}",
        "flash erase_sector spi0 0 0",
        "echo {corelog step 4: writing gateware (136 bytes at 0x000000)}",
        "flash write_bank spi0 {gateware.bin} 0x0",
        "echo {corelog step 5: verifying gateware (136 bytes at 0x000000)}",
        "flash verify_bank spi0 {gateware.bin} 0x0",
        "echo {corelog step 6: erasing for storage (23 bytes at 0x440000)}",
        "flash erase_sector spi0 68 68",
        "echo {corelog step 7: writing storage (23 bytes at 0x440000)}",
        "flash write_bank spi0 {storage.img} 0x440000",
        "echo {corelog step 8: verifying storage (23 bytes at 0x440000)}",
        "flash verify_bank spi0 {storage.img} 0x440000",
        "echo {corelog step 9: starting from the flash}", "xc7_program xc7.tap",
        "echo {corelog step 10: done}", "exit"]


def test_script_that_runs_is_the_one_of_the_dry_run(bench: Bench) -> None:
    args = ("-d", bench.build, "-I", "adapter serial 4711", "erase=storage", "write", "load", "start")
    script = bench.corelog("-n", *args)[1].splitlines()
    assert bench.corelog(*args)[0] == 0
    assert bench.report()["commands"] == script


@pytest.mark.parametrize(("fault", "text"), [
    (Fault.NO_CABLE, "at connecting to the kasli (status 1): Error: unable to open ftdi device"),
    (Fault.WRONG_CHAIN, "at connecting to the kasli (status 1): Error: the JTAG chain is not that of this board"),
    (Fault.WORN, "at verifying gateware (136 bytes at 0x000000) (status 1): contents differ"),
    (Fault.EXITS_EARLY, "at writing gateware (136 bytes at 0x000000) (status 0)")])
def test_failure_of_openocd_is_one_line_that_says_where(bench: Bench, fault: Fault, text: str) -> None:
    bench.fault = fault
    status, out, err = bench.corelog("-d", bench.build)
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("corelog flash: error: OpenOCD failed " + text)
    assert "done" not in out


def test_board_with_another_chain_is_not_written_to(bench: Bench) -> None:
    bench.fault = Fault.WRONG_CHAIN
    bench.fill(bytes(SIZE))
    assert bench.corelog("-d", bench.build)[0] == 1
    assert bench.flash() == bytes(SIZE)


def test_without_openocd_or_proxy_the_error_says_so(bench: Bench) -> None:
    status, _, err = bench.corelog("-d", bench.build, env={"PATH": "/nowhere"})
    assert (status, err) == (1, "corelog flash: error: OpenOCD is not installed, or not in PATH (-n shows the script "
                                "without it)\n")
    for file in (bench.root / "openocd" / "share").rglob("*.bit"):
        file.unlink()
    env = fakeopenocd.environment(bench.path) | {"HOME": str(bench.root)}
    status, _, err = bench.corelog("-d", bench.build, env=env)
    assert (status, err.count("\n")) == (1, 1)
    assert "the flash proxy bscan_spi_xc7a100t.bit is in none of " in err


@pytest.mark.parametrize(("args", "status", "text"), [
    (["bogus"], 2, "'bogus' is no command"), (["write=bios"], 2, "'bios' is no region"),
    (["start=gateware"], 2, "start takes no regions"), (["-t", "zedboard"], 2, "'zedboard' is no target"),
    ([], 2, "needs -d DIR"), (["load"], 2, "needs -d DIR"), (["write=storage"], 2, "needs -f STORAGE_IMG"),
    (["-d", "."], 1, "lacks top.bit or top.bin"), (["-d", "absent"], 1, "absent does not exist"),
    (["-d", __file__], 1, "is no directory"),
    (["-d", ".", "--srcbuild", "write=firmware"], 1, "make firmware makes it"),
    (["-f", "absent", "write=storage"], 1, "No such file or directory: absent")])
def test_wrong_usage_is_one_line(bench: Bench, args: list[str], status: int, text: str) -> None:
    got, _, err = bench.corelog(*args)
    assert (got, err.count("\n")) == (status, 1)
    assert text in err
    assert bench.flash() == ERASED


@pytest.mark.parametrize("content", [
    {"gateware": bitstream(part=b"7k325tffg900")}, {"gateware": firmware()}, {"bootloader": firmware()},
    {"bootloader": bootloader(bytes(0x40000))}, {"firmware": bootloader()}, {"firmware": SATMAN},
    {"firmware": firmware()[:-1] + b"?"}, OTHER_GATEWARE])
def test_wrong_file_stops_all_before_openocd_starts(bench: Bench, content: dict[str, bytes]) -> None:
    write_build(bench.build, **content)
    status, _, err = bench.corelog("-d", bench.build)
    assert (status, err.count("\n")) == (1, 1)
    assert not (bench.root / "openocd" / "report").exists()


def test_firmware_for_other_gateware_is_written_when_told(bench: Bench) -> None:
    write_build(bench.build, **OTHER_GATEWARE)
    assert bench.corelog("-d", bench.build, "--mixed")[0] == 0
    assert bench.flash()[0x450000 :].startswith(OTHER_GATEWARE["firmware"])


def test_bitstream_without_header_is_written_but_not_loaded(bench: Bench) -> None:
    (bench.build / "top.bit").unlink()
    (bench.build / "top.bin").write_bytes(bare_bitstream())
    assert bench.corelog("-d", bench.build)[0] == 0
    assert bench.flash().startswith(bare_bitstream())
    status, _, err = bench.corelog("-d", bench.build, "load")
    assert (status, err.count("\n"), "load needs top.bit" in err) == (1, 1, True)


def test_storage_image_that_would_reach_into_the_firmware_is_refused(bench: Bench) -> None:
    bench.storage.write_bytes(b"\xff" * (SECTOR + 1))
    status, _, err = bench.corelog("-f", bench.storage, "write=storage")
    assert (status, bench.flash()) == (1, ERASED)
    assert "a store has 65536 bytes at most" in err


def test_openocd_that_hangs_is_ended_at_its_deadline(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in fakeopenocd.environment(bench.path, Fault.HANGS).items():
        monkeypatch.setenv(name, value)
    proxy = "bscan_spi_xc7a100t.bit"
    job = [Step("connecting", ["source [find board/kasli.cfg]", "flash bank spi0 jtagspi 0 0 0 0 xc7.spi0.proxy 0x2",
                               "if {[string match {x} [capture init]]} {}", f"pld load 0 {{{proxy}}}",
                               "flash probe spi0"]),
           Step("writing", ["flash write_bank spi0 {data} 0x0"], deadline=0.5), Step("done", ["exit"])]
    seen: list[tuple[int, str]] = []
    begin = time.monotonic()
    with pytest.raises(OpenOCDError, match="OpenOCD took too long at writing; it was ended"):
        run(job, {proxy: b"", "data": b"data"}, lambda number, title: seen.append((number, title)))
    assert time.monotonic() - begin < 30
    assert seen == [(1, "connecting"), (2, "writing")]


@pytest.mark.skipif(sys.platform != "linux", reason="a killed parent takes its children along on Linux only")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_openocd_does_not_outlive_corelog_flash(bench: Bench, how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-m", "corelog.frontend.main", "flash", "-d", bench.build], text=True,
                          stdout=subprocess.PIPE, env=fakeopenocd.environment(bench.path, Fault.HANGS)) as process:
        assert process.stdout is not None
        while "writing gateware" not in process.stdout.readline():
            assert process.poll() is None
        openocd = os.pidfd_open(int((bench.root / "openocd" / "pid").read_text()))
        process.send_signal(how)
        assert process.wait(30) == (130 if how == signal.SIGINT else -how)
    assert select.select([openocd], [], [], 30)[0]
    os.close(openocd)


def test_board_at_another_machine_is_flashed_over_ssh(bench: Bench) -> None:
    """`ssh` here runs the command on this machine; what it was asked is kept."""
    ssh = bench.path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" > {bench.root}/ssh-arguments\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    temporary = bench.root / "temporary"
    temporary.mkdir()
    env = fakeopenocd.environment(bench.path) | {"TMPDIR": str(temporary)}
    status, out, err = bench.corelog("-H", "lab-pc", "-J", "gate", "-d", bench.build, env=env)
    assert (status, err) == (0, "")
    assert bench.flash() == expected(ERASED, (0, PAYLOAD), (0x400000, bootloader()), (0x450000, firmware()))
    assert (bench.root / "ssh-arguments").read_text().startswith("-o BatchMode=yes -J gate lab-pc ")
    assert "verifying firmware" in out
    assert os.listdir(temporary) == []


def test_name_of_a_host_is_never_an_option_of_ssh(bench: Bench) -> None:
    status, _, err = bench.corelog("-H=-oProxyCommand=true", "-d", bench.build)
    assert (status, "does not begin with '-'" in err) == (1, True)
