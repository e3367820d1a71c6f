"""Target ``kasli``: Kasli v1.0, v1.1, v2.0. Parameters only.

``python -m corelog_gateware.targets.kasli (--variant VARIANT | FILE) [--build-dir DIR] [--build]``, see ``main.py``.
"""

from typing import Any

from litedram.modules import MT41K256M16
from litedram.phy import A7DDRPHY
from litex.soc.cores.gpio import GPIOOut
from litex.soc.cores.uart import RS232PHY

from corelog.boards.description import Description
from corelog.flash import layout

from ..clocking import KasliCRG
from ..eem import eem_io, eem_phys
from ..platforms import kasli_platform
from ..soc import parts
from ..soc.base import BoardSoC
from ..soc.identity import Identity
from .main import CLOCK_FREQUENCY, run

LAYOUT = layout.TARGETS["kasli"]
# Number of the revision in the constant BOARD_KASLI, and user LEDs.
REVISIONS = {"v1.0": (10, 1), "v1.1": (11, 3), "v2.0": (20, 3)}


def make(description: Description, ident: str) -> Any:
    revision, leds = REVISIONS[description.hw_rev]
    platform = kasli_platform(description.hw_rev)
    identity = Identity()
    platform.add_extension(eem_io(description))
    crg = KasliCRG(platform, transceivers=False)
    soc = BoardSoC(
        platform=platform,
        crg=crg,
        clk_freq=CLOCK_FREQUENCY,
        ident=ident,
        reset_address=parts.reset_address(LAYOUT),
        identity=identity,
        uart_phy=RS232PHY(platform.request("serial"), CLOCK_FREQUENCY),
        rtio_phys=eem_phys(platform, description),
        lanes=description.sed_lanes,
        **parts.BOOT_MEMORY,
    )
    soc.add_constant("BOARD_KASLI", revision)
    phy = A7DDRPHY(platform.request("ddram"), memtype="DDR3", nphases=4, sys_clk_freq=CLOCK_FREQUENCY)
    parts.add_ddr3(soc, phy, MT41K256M16(CLOCK_FREQUENCY, "1:4"))
    startup = parts.add_flash(soc, platform.request("spiflash"), LAYOUT)
    parts.add_identity(soc, identity, startup)
    rtio_leds = sum(channel.kind == "led" for channel in description.channels)
    parts.add_small(soc, platform, leds - rtio_leds, rtio_leds)
    if description.hw_rev == "v2.0":
        soc.error_led = GPIOOut(platform.request("error_led"))
    return soc


def main(argv: list[str] | None = None) -> None:
    run("kasli", make, argv)


if __name__ == "__main__":
    main()
