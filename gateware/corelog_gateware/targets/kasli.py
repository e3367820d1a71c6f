"""Target ``kasli``: Kasli v1.0, v1.1, v2.0. Parameters only.

``python -m corelog_gateware.targets.kasli (--variant VARIANT | FILE) [--build-dir DIR] [--build]``, see ``main.py``.
"""

from dataclasses import dataclass
from typing import Any

from litedram.modules import MT41K256M16
from litedram.phy import A7DDRPHY
from litex.soc.cores.gpio import GPIOIn, GPIOOut
from migen import Cat, Signal

from corelog.boards.description import Description
from corelog.flash import layout

from ..clocking import KasliCRG, RecoveredClock, ReferenceForward
from ..eem import eem_io
from ..platforms import kasli_platform
from ..soc import parts
from ..transceiver import KasliTransceivers
from .main import CLOCK_FREQUENCY, add_parts, board_options, run

LAYOUT = layout.TARGETS["kasli"]


@dataclass(frozen=True)
class Revision:
    """``number``: in the constant ``BOARD_KASLI``. ``sfp_pins``: the SFP cages' signals are on pins, not on I2C."""

    number: int
    leds: int
    sfps: int
    sfp_pins: bool


REVISIONS = {"v1.0": Revision(10, 1, 3, True), "v1.1": Revision(11, 3, 3, True), "v2.0": Revision(20, 3, 4, False)}


def make(description: Description, ident: str) -> Any:
    """SFP0 is Ethernet, or a satellite's uplink; the others are links downstream unless the board is alone."""
    revision = REVISIONS[description.hw_rev]
    alone, satellite = description.base == "standalone", description.base == "satellite"
    platform = kasli_platform(description.hw_rev)
    platform.add_extension(eem_io(description))
    crg = KasliCRG(platform, transceivers=not alone)
    used = range(1 if alone else revision.sfps)
    sfps = [platform.request("sfp", n) for n in used]
    quad = KasliTransceivers(
        platform, crg, sfps if satellite else sfps[1:], uplink=satellite, ethernet=None if satellite else sfps[0]
    )
    board = board_options(platform, crg, ident, LAYOUT, description)
    soc = parts.board(board, quad.phys, quad.ethernet)
    soc.submodules.quad = quad
    soc.add_constant("BOARD_KASLI", revision.number)
    phy = A7DDRPHY(platform.request("ddram"), memtype="DDR3", nphases=4, sys_clk_freq=CLOCK_FREQUENCY)
    add_parts(soc, phy, MT41K256M16(CLOCK_FREQUENCY, "1:4"), LAYOUT, revision.leds, description)
    si5324 = "si5324_clkin" if revision.sfp_pins else "cdr_clk"
    if satellite:
        uplink = quad.phys[0]
        soc.recovered = RecoveredClock(platform.request(si5324), crg.bootstrap_pll, uplink.recovered, uplink.ready)
    elif not revision.sfp_pins:
        soc.submodules.reference = ReferenceForward(platform.request("sma_clkin"), platform.request(si5324))
    # What the LED of each SFP cage shows.
    up = [phy.phy.rx_up for phy in quad.phys]
    if quad.ethernet is not None:
        ethernet_up = Signal()
        soc.sync.eth_tx += ethernet_up.eq(quad.ethernet.link_up)
        up.insert(0, ethernet_up)
    if revision.sfp_pins:
        for n in used:
            control = platform.request("sfp_ctl", n)
            soc.comb += [control.tx_disable.eq(0), control.led.eq(up[n])]
    else:
        soc.sfp_up = GPIOIn(Cat(*up))
        soc.error_led = GPIOOut(platform.request("error_led"))
    if description.hw_rev == "v1.0":
        # The cards' clock is the Si5324's, not the connector's; later boards have a switch on I2C.
        soc.comb += platform.request("clk_sel").eq(1)
    return soc


def main(argv: list[str] | None = None) -> None:
    run("kasli", make, argv)


if __name__ == "__main__":
    main()
