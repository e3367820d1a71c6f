"""Every variant of real boards elaborates, and what it leaves for Vivado, firmware and flash tools is consistent."""

import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from corelog.boards.description import load
from corelog.flash import layout
from corelog_gateware.targets.variants import builtin
from support.images import PAYLOAD, bitstream

# The first test elaborates them all.
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples/boards"
VARIANTS = [name for target in ("kasli", "kc705") for name in builtin(target)]
# Links downstream, and whether there is an uplink and Ethernet, by board and role.
LINKS = {
    "kasli-v1.0": {"standalone": 0, "master": 2, "satellite": 2},
    "kasli-v1.1": {"standalone": 0, "master": 2, "satellite": 2},
    "kasli-v2.0": {"standalone": 0, "master": 3, "satellite": 3},
    "kc705": {"standalone": 0, "master": 2, "satellite": 1},
}


def run(target: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A target in a process of its own, as LiteX keeps state."""
    command = [sys.executable, "-m", f"corelog_gateware.targets.{target}", *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=110)


class Built:
    """A variant's build folder."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self.directory = name, directory
        self.target = name.split("-")[0]
        self.board, _, self.base = name.rpartition("-")
        generated = json.loads((directory / "generated/csr.json").read_text())
        self.constants: dict[str, int] = generated["constants"]
        self.memories: dict[str, dict[str, int]] = generated["memories"]
        self.registers: dict[str, dict[str, int]] = generated["registers"]

    def text(self, path: str) -> str:
        return (self.directory / path).read_text()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build folders of all variants, as `make targets` makes them."""
    directory = tmp_path_factory.mktemp("targets")
    command = [sys.executable, "-m", "corelog_gateware.targets", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines() == [str(directory / name) for name in VARIANTS]
    return directory


@pytest.fixture(params=VARIANTS)
def built(request: pytest.FixtureRequest, everything: Path) -> Built:
    return Built(request.param, everything / request.param)


def test_the_roles_have_their_ports(built: Built) -> None:
    satellite = built.base == "satellite"
    assert built.constants["drtio_links"] == LINKS[built.board][built.base]
    assert built.constants["drtio_uplink"] == satellite
    assert ("ethmac_rx_slots" in built.constants) != satellite
    assert ("drtiosat_rx_up" in built.registers) == satellite


def test_the_flash_is_laid_out_as_the_flash_tools_write_it(built: Built) -> None:
    target = layout.TARGETS[built.target]
    flash = built.memories["spiflash"]
    assert flash["size"] == layout.FLASH_SIZE
    for region in ("bootloader", "storage", "firmware"):
        assert built.constants[f"flash_{region}"] == target.region(region).start
    assert built.constants["flash_storage_size"] == target.region("storage").size
    # The bootloader starts the firmware from where it is written, and is linked for where it is written itself.
    assert built.constants["flash_boot_address"] == flash["base"] + target.firmware
    region = target.region("bootloader")
    assert built.memories["rom"] == {"base": flash["base"] + region.start, "size": region.size}


def test_the_cpu_starts_at_the_bootloader(built: Built) -> None:
    verilog = built.text("gateware/top.v")
    [signal] = re.findall(r"\.externalResetVector\s*\((\w+)\)", verilog)
    [vector] = re.findall(rf"\b{signal} = 32'd(\d+);", verilog)
    assert int(vector) == built.memories["rom"]["base"]


def test_the_bootloader_s_headers_have_the_addresses_of_the_registers(built: Built) -> None:
    """A C header and the Rust constants are made by different code."""
    header = built.text("software/include/generated/csr.h")
    [base] = re.findall(r"#define CSR_BASE (0x[0-9a-f]+)L", header)
    found = dict(re.findall(r"#define CSR_(\w+)_ADDR \(CSR_BASE \+ (0x[0-9a-f]+)L\)", header))
    addresses = {name.lower(): int(base, 16) + int(offset, 16) for name, offset in found.items()}
    assert addresses == {name: built.registers[name]["address"] for name in addresses}
    assert {name.split("_")[0] for name in addresses} == {"ddrphy", "sdram", "timer0", "uart"}


@pytest.mark.parametrize("target", ["kasli", "kc705"])
def test_all_systems_of_a_board_have_the_same_bootloader(target: str, everything: Path) -> None:
    """Its headers are the same, so new gateware needs no new bootloader."""
    folders = sorted(everything.glob(f"{target}-*/software/include/generated"))
    contents = [{path.name: path.read_text() for path in folder.iterdir()} for folder in folders]
    assert len(contents) == len(builtin(target))
    assert all(content == contents[0] for content in contents[1:])


def test_vivado_gets_a_bitstream_to_make_for_the_right_part(built: Built) -> None:
    script = built.text("gateware/top.tcl")
    part = re.findall(r"create_project .* -part (\S+)", script)
    assert len(part) == 1
    assert part[0].replace("-", "").startswith("xc" + layout.TARGETS[built.target].part)
    assert "write_bitstream -force top.bit" in script
    # The last one counts: `corelog flash` knows by it the firmware of these registers.
    registers = zlib.crc32((built.directory / "generated/csr.rs").read_bytes())
    assert re.findall(r"USERID \"(\w+)\"", script)[-1] == f"{registers:#010x}"
    for source in re.findall(r"read_verilog \{(.*)\}", script):
        assert (built.directory / "gateware" / source).is_file(), "the folder is complete in itself"


def test_every_port_has_a_pin(built: Built) -> None:
    header = built.text("gateware/top.v").split(");", 1)[0]
    ports = re.findall(r"^\s+(?:input|output|inout)\s+(?:wire|reg)\s+(?:\[(\d+):0\])?\s*(\w+)", header, re.M)
    assert len(ports) > 20
    wanted = {f"{name}[{n}]" for high, name in ports if high for n in range(int(high) + 1)}
    wanted |= {name for high, name in ports if not high}
    assert set(re.findall(r"set_property LOC \S+ \[get_ports \{(.*)\}\]", built.text("gateware/top.xdc"))) == wanted


def test_the_rtio_channels_are_those_of_the_device_database(built: Built) -> None:
    assert built.constants["rtio_channels"] == len(builtin(built.target)[built.name].channels)
    # 1 ns, as the device database says.
    assert built.constants["rtio_mu_fs"] == 1_000_000
    assert built.constants["clock_frequency"] == 125_000_000


@pytest.mark.parametrize("name", [path.stem for path in sorted(EXAMPLES.glob("*.json"))])
def test_a_description_becomes_gateware_with_its_channels(name: str, tmp_path: Path) -> None:
    target = name.split("-")[0]
    description = load(EXAMPLES / f"{name}.json")
    done = run(target, str(EXAMPLES / f"{name}.json"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [directory] = (tmp_path / "build").iterdir()
    assert directory.name == f"{target}-{description.variant}"
    generated = json.loads((directory / "generated/csr.json").read_text())
    assert generated["constants"]["rtio_channels"] == len(description.channels)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hw_rev": "v3.0"}, "hw_rev of a kasli must be v1.0 or v1.1 or v2.0"),
        ({"rtio_frequency": 100e6}, "rtio_frequency is 1e+08: there is gateware for 1.25e+08 only"),
        ({"base": "satellite", "peripherals": []}, "the RTIO core needs a channel"),
        ({"peripherals": [{"type": "urukul", "ports": [0]}]}, "which has no gateware here"),
        ({"target": "kc705", "hw_rev": None, "peripherals": []}, "describes a kc705: use corelog_gateware.targets."),
    ],
)
def test_a_description_without_gateware_is_refused_in_one_line(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    description = json.loads((EXAMPLES / "kasli-standalone.json").read_text()) | change
    path = tmp_path / "board.json"
    path.write_text(json.dumps({name: value for name, value in description.items() if value is not None}))
    done = run("kasli", str(path), cwd=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "build").exists()


def test_a_missing_file_is_named_in_one_line(tmp_path: Path) -> None:
    done = run("kasli", "nowhere.json", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "nowhere.json" in done.stderr


def test_a_bitstream_without_vivado_is_refused_before_any_work(tmp_path: Path) -> None:
    done = run("kc705", "--variant", "kc705-standalone", "--build", cwd=tmp_path, PATH="/nonexistent")
    assert done.returncode == 1
    assert "needs Vivado" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "build").exists()


VIVADO = """#!/bin/sh
echo "$@" > arguments
[ -e {folder}/fails ] || cp {folder}/made.bit top.bit
"""


def test_vivado_is_run_on_the_script_and_has_to_leave_a_bitstream(tmp_path: Path) -> None:
    program = tmp_path / "bin/vivado"
    program.parent.mkdir()
    program.write_text(VIVADO.format(folder=tmp_path))
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    arguments = ("--variant", "kc705-standalone", "--build", "--build-dir", "out")
    (tmp_path / "made.bit").write_bytes(bitstream(part=b"7k325tffg900"))
    done = run("kc705", *arguments, cwd=tmp_path, PATH=path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/gateware/arguments").read_text() == "-mode batch -source top.tcl\n"
    assert (tmp_path / "out/gateware/top.bit").exists()
    assert (tmp_path / "out/gateware/top.bin").read_bytes() == PAYLOAD

    (tmp_path / "fails").touch()
    done = run("kc705", *arguments, cwd=tmp_path, PATH=path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("Vivado made no bitstream: see out/gateware/vivado.log")
