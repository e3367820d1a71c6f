"""A board with its pads led to the Verilator harness."""

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from litex.build.generic_platform import GenericPlatform, Pins, Subsignal
from migen import Module, Signal

from ..rtio.cri import FINE_BITS
from . import generated
from .base import MAIN_RAM_BASE
from .byte_phy import BytePHY, byte_layout
from .core_device import CoreDevice
from .frame_phy import FramePHY, frame_layout
from .identity import Identity, identity_layout
from .reset import ResetManager
from .satellite import Satellite
from .storage import STORAGE_SIZE, Storage, storage_layout
from .symbol_phy import RX_BITS, TX_BITS, SymbolPHY

TTLS = 8
SIGNALS = {"clk": 1, "reset_button": 1, "reset_active": 1, "reset_cause": 2, "rtio_error": 1, "ttl": TTLS}
PADS = {"serial": byte_layout(), "identity": identity_layout(), "storage": storage_layout()}
LINK = [("tx", TX_BITS), ("rx", RX_BITS)]
TOP = "corelog_sim"
# From the TTL pads (a Signal) to the (name, PHY) of every RTIO channel.
MakePhys = Callable[[Signal], Sequence[tuple[str, Module]]]


class Platform(GenericPlatform):
    """Pads only: there is no device and no toolchain behind it."""

    def __init__(self, pads: dict[str, list[tuple[str, int]]]) -> None:
        io = [(name, 0, Pins(width)) for name, width in SIGNALS.items()]
        for name, layout in pads.items():
            io.append((name, 0, *(Subsignal(field, Pins(width)) for field, width in layout)))
        super().__init__("sim", io, name="sim")


def simulated_board(
    links: int, satellite: bool, clk_freq: int, main_ram_size: int, ident: str, make_phys: MakePhys
) -> Any:
    """A :class:`Satellite` or :class:`CoreDevice` with ``links`` downstream ports. Every pad is a port of the Verilog
    module ``corelog_sim``: those of port n are ``link<n>_tx`` and ``_rx``, those of a satellite's uplink
    ``uplink_tx`` and ``_rx``, a core device has ``eth_*``."""
    names = [f"link{n}" for n in range(links)]
    special = {"uplink": LINK} if satellite else {"eth": frame_layout()}
    platform = Platform(PADS | special | dict.fromkeys(names, LINK))

    def symbol_phy(name: str) -> SymbolPHY:
        pads = platform.request(name)
        return SymbolPHY(pads.tx, pads.rx)

    board: dict[str, Any] = {
        "platform": platform,
        "crg": ResetManager(platform.request("clk")),
        "clk_freq": clk_freq,
        "ident": ident,
        "reset_address": MAIN_RAM_BASE,  # the board program loads the firmware there
        "integrated_main_ram_size": main_ram_size,
        "uart_phy": BytePHY(platform.request("serial")),
        "identity": Identity(platform.request("identity")),
        "rtio_phys": make_phys(platform.request("ttl")),
        "reset_button": platform.request("reset_button"),
        "link_phys": [symbol_phy(name) for name in names],
    }
    if satellite:
        soc: Any = Satellite(uplink_phy=symbol_phy("uplink"), **board)
    else:
        eth = platform.request("eth")
        soc = CoreDevice(ethernet_phy=FramePHY(eth), **board)
        soc.comb += eth.rx_room.eq(soc.rx_room())
    soc.storage = Storage(platform.request("storage"))
    soc.comb += [
        platform.request("reset_active").eq(soc.crg.active),
        platform.request("reset_cause").eq(soc.crg.cause),
    ]
    soc.sync += platform.request("rtio_error").eq(soc.rtio_core.errors.error)
    return soc


def inline_contents(verilog: str, files: dict[str, str]) -> str:
    """``verilog`` with every ``$readmemh`` of one of ``files`` (name to hexadecimal words) written out, so that the
    compiled simulation reads no file and does not care where it is started. A file without words leaves nothing."""

    def words(match: re.Match[str]) -> str:
        values = files[match[1]].split()
        return "".join(f"{match[2]}[{i}] = 'h{value};\n\t" for i, value in enumerate(values))

    return re.sub(r'\$readmemh\("([^"]+)", (\w+)\);', words, verilog)


def elaborate(
    build_dir: Path, links: int, satellite: bool, extend: Callable[[Any], None] = lambda soc: None, **board: Any
) -> list[Path]:
    """Write Verilog and memory contents of :func:`simulated_board` to ``build_dir/gateware`` and constants to
    ``build_dir/generated``. ``extend`` may add to the SoC.

    Returns the Verilog sources to compile, the SoC's first. They are copies, so that ``build_dir`` is complete.
    """
    # LiteX describes the whole SoC at INFO on stderr, whatever its user has set up.
    logging.disable(logging.INFO)
    soc = simulated_board(links, satellite, **board)
    extend(soc)
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
        "rtio_mu_fs": 10**15 // (int(soc.clk_freq) * mu_per_coarse),
    }
    pads = {"ports": links, "uplinks": int(satellite), "ethernet": int(not satellite)}
    generated.write(soc, build_dir / "generated", extra, pads)
    return sources
