"""Target ``kc705``: Xilinx's KC705. Parameters only.

``python -m corelog_gateware.targets.kc705 (--variant VARIANT | FILE) [--build-dir DIR] [--build]``, see ``main.py``.
"""

from typing import Any

from litedram.modules import MT8JTF12864
from litedram.phy import K7DDRPHY
from litex.soc.cores.gpio import GPIOOut
from migen import Signal
from migen.genlib.cdc import MultiReg

from corelog.boards.description import Description
from corelog.flash import layout

from ..clocking import KC705CRG, RecoveredClock, ReferenceForward
from ..eem import eem_io
from ..platforms import kc705_platform
from ..soc import parts
from ..transceiver import KC705Transceivers, kc705_ethernet
from .main import CLOCK_FREQUENCY, add_parts, board_options, run

LAYOUT = layout.TARGETS["kc705"]
REVISION = 1
LEDS = 8


def make(description: Description, ident: str) -> Any:
    """Links: the SFP cage (a satellite's uplink) and the SMA connectors of a transceiver."""
    alone, satellite = description.base == "standalone", description.base == "satellite"
    platform = kc705_platform(description.vadj)
    platform.add_extension(eem_io(description))
    crg = KC705CRG(platform, transceivers=not alone)
    reset_button = Signal()
    board = board_options(platform, crg, ident, LAYOUT, description) | {"reset_button": reset_button}
    transceivers = None
    if not alone:
        links = [platform.request("sfp"), platform.request("user_sma_mgt")]
        transceivers = KC705Transceivers(platform, crg, links, uplink=satellite)
    phys = [] if transceivers is None else transceivers.phys
    soc = parts.board(board, phys, None if satellite else kc705_ethernet(platform, crg))
    if transceivers is not None:
        soc.submodules.transceivers = transceivers
        soc.comb += platform.request("sfp_tx_disable_n").eq(1)
    soc.specials += MultiReg(platform.request("cpu_reset"), reset_button)
    soc.add_constant("BOARD_KC705", REVISION)
    phy = K7DDRPHY(platform.request("ddram"), memtype="DDR3", nphases=4, sys_clk_freq=CLOCK_FREQUENCY)
    add_parts(soc, phy, MT8JTF12864(CLOCK_FREQUENCY, "1:4"), LAYOUT, LEDS, description)
    clkin = platform.request("si5324_clkin")
    if satellite:
        uplink = phys[0]
        soc.recovered = RecoveredClock(clkin, crg.bootstrap_pll, uplink.recovered, uplink.ready)
    else:
        soc.submodules.reference = ReferenceForward(platform.request("user_sma_clock"), clkin)
    soc.si5324_rst_n = GPIOOut(platform.request("si5324").rst_n)
    return soc


def main(argv: list[str] | None = None) -> None:
    run("kc705", make, argv)


if __name__ == "__main__":
    main()
