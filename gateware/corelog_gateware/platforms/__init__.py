"""The boards' pins, FPGAs and settings of the bitstream, taken over from Migen's board files.

Migen has them for the boards that labs own, and years of use have proved them: here they are only put into LiteX's
classes, so there is no second list that could be wrong.
"""

from typing import Any

from litex.build import generic_platform as litex
from litex.build.xilinx import XilinxPlatform
from migen.build import generic_platform as migen
from migen.build.platforms import kc705
from migen.build.platforms.sinara import kasli

KASLI_REVISIONS = ("v1.0", "v1.1", "v2.0")


def _constraint(given: Any) -> Any:
    match given:
        case migen.Subsignal():
            return litex.Subsignal(given.name, *map(_constraint, given.constraints))
        case migen.Pins():
            return litex.Pins(*given.identifiers)
        case migen.IOStandard():
            return litex.IOStandard(given.name)
        case migen.Drive():
            return litex.Drive(given.strength)
        case migen.Misc():
            return litex.Misc(given.misc)
    raise TypeError(f"a constraint of Migen's that LiteX does not have: {given!r}")


class Platform(XilinxPlatform):
    """The LiteX platform of a board of Migen's.

    :param board: an instance of ``Platform`` of its board file.
    :param name: of the board, for LiteX's constants.
    """

    def __init__(self, board: Any, name: str) -> None:
        manager = board.constraint_manager
        io = [(name_, number, *map(_constraint, given)) for name_, number, *given in manager.available]
        connectors = list(manager.connector_manager.connector_table.items())
        super().__init__(board.device, io, connectors, name=name, toolchain="vivado")
        for command, signals in manager.platform_commands:
            if signals:
                raise TypeError(f"a command about signals cannot be taken over: {command}")
            self.add_platform_command(command)
        self.toolchain.bitstream_commands += board.toolchain.bitstream_commands


def kasli_platform(hw_rev: str) -> Platform:
    return Platform(kasli.Platform(hw_rev=hw_rev), "kasli")


def kc705_platform() -> Platform:
    platform = Platform(kc705.Platform(), "kc705")
    # Migen's board file says this only once its design is complete: the DDR3's banks share one pair of resistors.
    platform.add_platform_command("set_property DCI_CASCADE {{32 34}} [get_iobanks 33]")
    return platform
