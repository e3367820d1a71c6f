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

from ..platforms import kasli_platform
from ..rtio.phy import ttl
from ..soc import parts
from ..soc.base import BoardSoC
from ..soc.bootstrap import BootstrapCRG
from ..soc.identity import Identity
from .main import CLOCK_FREQUENCY, run

LAYOUT = layout.TARGETS["kasli"]
# Number of the revision in the constant BOARD_KASLI, and user LEDs.
REVISIONS = {"v1.0": (10, 1), "v1.1": (11, 3), "v2.0": (20, 3)}


def make(description: Description, ident: str) -> Any:
    revision, leds = REVISIONS[description.hw_rev]
    platform = kasli_platform(description.hw_rev)
    identity = Identity()
    crg = BootstrapCRG(platform.request("clk125_gtp"), 125e6, transceiver=True)
    rtio_phys = [
        (f"led{n}", ttl.Output(platform.request("user_led", n)))
        for n, _ in enumerate(c for c in description.channels if c.kind == "led")
    ] or [("led0", ttl.Output(platform.request("user_led", 0)))]
    soc = BoardSoC(
        platform=platform,
        crg=crg,
        clk_freq=CLOCK_FREQUENCY,
        ident=ident,
        reset_address=parts.reset_address(LAYOUT),
        identity=identity,
        uart_phy=RS232PHY(platform.request("serial"), CLOCK_FREQUENCY),
        rtio_phys=rtio_phys,
        lanes=description.sed_lanes,
        **parts.BOOT_MEMORY,
    )
    soc.add_constant("BOARD_KASLI", revision)
    phy = A7DDRPHY(platform.request("ddram"), memtype="DDR3", nphases=4, sys_clk_freq=CLOCK_FREQUENCY)
    parts.add_ddr3(soc, phy, MT41K256M16(CLOCK_FREQUENCY, "1:4"))
    startup = parts.add_flash(soc, platform.request("spiflash"), LAYOUT)
    parts.add_identity(soc, identity, startup)
    parts.add_small(soc, platform, leds - len(rtio_phys), len(rtio_phys))
    if description.hw_rev == "v2.0":
        soc.error_led = GPIOOut(platform.request("error_led"))
    return soc


def main(argv: list[str] | None = None) -> None:
    run("kasli", make, argv)


if __name__ == "__main__":
    main()
