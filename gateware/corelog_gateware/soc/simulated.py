"""The core device with its pads led to the Verilator harness."""

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from litex.build.generic_platform import GenericPlatform, Pins, Subsignal
from migen import Module, Record, Signal

from ..rtio.cri import FINE_BITS
from . import generated
from .byte_phy import BytePHY, byte_layout
from .core_device import CoreDevice
from .frame_phy import FramePHY, frame_layout
from .identity import identity_layout
from .storage import STORAGE_SIZE, storage_layout

PADS = {"eth": frame_layout(), "serial": byte_layout(), "identity": identity_layout(), "storage": storage_layout()}
TTLS = 8
SIGNALS = {"clk": 1, "reset_active": 1, "reset_cause": 2, "rtio_error": 1, "ttl": TTLS}
TOP = "corelog_sim"
# From the TTL pads (a Signal) to the (name, PHY) of every RTIO channel.
MakePhys = Callable[[Signal], Sequence[tuple[str, Module]]]


class Platform(GenericPlatform):
    """Pads only: there is no device and no toolchain behind it."""

    def __init__(self) -> None:
        io = [(name, 0, Pins(width)) for name, width in SIGNALS.items()]
        for name, layout in PADS.items():
            io.append((name, 0, *(Subsignal(field, Pins(width)) for field, width in layout)))
        super().__init__("sim", io, name="sim")


class SimulatedCoreDevice(CoreDevice):
    """See :class:`CoreDevice`; every pad is a port of the Verilog module ``corelog_sim``."""

    def __init__(self, clk_freq: int, main_ram_size: int, ident: str, make_phys: MakePhys):
        platform = Platform()
        eth: Record = platform.request("eth")
        super().__init__(
            platform,
            platform.request("clk"),
            clk_freq,
            ident,
            main_ram_size,
            ethernet_phy=FramePHY(eth),
            uart_phy=BytePHY(platform.request("serial")),
            identity_pads=platform.request("identity"),
            storage_pads=platform.request("storage"),
            rtio_phys=make_phys(platform.request("ttl")),
        )
        self.comb += [
            eth.rx_room.eq(self.rx_room()),
            platform.request("reset_active").eq(self.crg.active),
            platform.request("reset_cause").eq(self.crg.cause),
        ]
        self.sync += platform.request("rtio_error").eq(self.rtio_error())


def inline_contents(verilog: str, files: dict[str, str]) -> str:
    """``verilog`` with every ``$readmemh`` of one of ``files`` (name to hexadecimal words) written out, so that the
    compiled simulation reads no file and does not care where it is started. A file without words leaves nothing."""

    def words(match: re.Match[str]) -> str:
        values = files[match[1]].split()
        return "".join(f"{match[2]}[{i}] = 'h{value};\n\t" for i, value in enumerate(values))

    return re.sub(r'\$readmemh\("([^"]+)", (\w+)\);', words, verilog)


def elaborate(build_dir: Path, clk_freq: int, main_ram_size: int, ident: str, make_phys: MakePhys) -> list[Path]:
    """Write Verilog and memory contents to ``build_dir/gateware`` and constants to ``build_dir/generated``.

    Returns the Verilog sources to compile, the SoC's first. They are copies, so that ``build_dir`` is complete.
    """
    # LiteX describes the whole SoC at INFO on stderr, whatever its user has set up.
    logging.disable(logging.INFO)
    soc = SimulatedCoreDevice(clk_freq, main_ram_size, ident, make_phys)
    soc.finalize()
    gateware = build_dir / "gateware"
    gateware.mkdir(parents=True, exist_ok=True)
    output = soc.platform.get_verilog(soc, name=TOP)
    top = gateware / f"{TOP}.v"
    top.write_text(inline_contents(output.main_source, output.data_files))
    sources = [top]
    for path, _language, _library, *_ in soc.platform.sources:
        copy = gateware / Path(path).name
        # Public marks keep Verilator from optimising across them, and nothing here looks inside the CPU.
        copy.write_text(Path(path).read_text().replace("/* verilator public */", ""))
        sources.append(copy)
    mu_per_coarse = 2**FINE_BITS
    extra = {
        "storage_size": STORAGE_SIZE,
        "rtio_channels": len(soc.rtio_core.channels),
        "rtio_mu_per_coarse": mu_per_coarse,
        "rtio_mu_fs": 10**15 // (clk_freq * mu_per_coarse),
    }
    generated.write(soc, build_dir / "generated", extra)
    return sources
