"""The boards' pins, FPGAs and settings of the bitstream, taken over from Migen's board files.

Migen has them for the boards that labs own, and years of use have proved them: here they are only put into LiteX's
classes, so there is no second list that could be wrong.
"""

from collections.abc import Mapping, Set
from typing import Any

from litex.build import generic_platform as litex
from litex.build.xilinx import XilinxPlatform
from migen.build import generic_platform as migen
from migen.build.platforms import kc705
from migen.build.platforms.sinara import kasli

KASLI_REVISIONS = ("v1.0", "v1.1", "v2.0")


# What of a KC705 is in the banks of the FMC connectors (12, 13, 16, 17, 18), which VADJ supplies. It is 2.5 V on a new
# board, and in Migen's file.
_AT_VADJ = {
    *(("user_led", n) for n in range(4, 8)), *(("user_dip_btn", n) for n in range(4)),
    *((name, 0) for name in (
        "user_btn_c", "rotary", "user_sma_gpio_p", "user_sma_gpio_n", "si5324", "si5324_clkin", "sfp_tx_disable_n",
        "mmc", "mmc_spi", "hdmi", "pcie_x1", "pcie_x2", "pcie_x4", "pcie_x8")),
}  # fmt: skip
# The same at 3.3 V, where these banks have no LVDS output, but TMDS: the Si5324 takes both.
_AT_3V3 = {"LVCMOS25": "LVCMOS33", "LVDS_25": "TMDS_33"}


def _constraint(given: Any, standards: Mapping[str, str]) -> Any:
    match given:
        case migen.Subsignal():
            return litex.Subsignal(given.name, *(_constraint(inner, standards) for inner in given.constraints))
        case migen.Pins():
            return litex.Pins(*given.identifiers)
        case migen.IOStandard():
            return litex.IOStandard(standards.get(given.name, given.name))
        case migen.Drive():
            return litex.Drive(given.strength)
        case migen.Misc():
            return litex.Misc(given.misc)
    raise TypeError(f"a constraint of Migen's that LiteX does not have: {given!r}")


class Platform(XilinxPlatform):
    """The LiteX platform of a board of Migen's.

    :param board: an instance of ``Platform`` of its board file.
    :param name: of the board, for LiteX's constants.
    :param moved: resources of the board (name, number) that have other I/O standards here.
    :param standards: I/O standard in the board file -> the one of these resources.
    """

    def __init__(
        self, board: Any, name: str, moved: Set[tuple[str, int]] = frozenset(), standards: Mapping[str, str] = {}
    ) -> None:
        manager = board.constraint_manager
        io = [
            (called, number, *(_constraint(one, standards if (called, number) in moved else {}) for one in given))
            for called, number, *given in manager.available
        ]
        connectors = list(manager.connector_manager.connector_table.items())
        super().__init__(board.device, io, connectors, name=name, toolchain="vivado")
        for command, signals in manager.platform_commands:
            if signals:
                raise TypeError(f"a command about signals cannot be taken over: {command}")
            self.add_platform_command(command)
        self.toolchain.bitstream_commands += board.toolchain.bitstream_commands


def kasli_platform(hw_rev: str) -> Platform:
    return Platform(kasli.Platform(hw_rev=hw_rev), "kasli")


def kc705_platform(vadj: float = 2.5) -> Platform:
    """vadj: V, of the FMC connectors; 2.5 or 3.3."""
    platform = Platform(kc705.Platform(), "kc705", _AT_VADJ, _AT_3V3 if vadj == 3.3 else {})
    # Migen's board file says this only once its design is complete: the DDR3's banks share one pair of resistors.
    platform.add_platform_command("set_property DCI_CASCADE {{32 34}} [get_iobanks 33]")
    return platform
