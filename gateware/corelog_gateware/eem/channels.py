"""From the channels of a system description (corelog.boards) to pads and PHYs.

Which channels there are, in which order and on which pads, is decided in corelog.boards alone: the device database is
made from the same list.
"""

from typing import Any

from litex.build.generic_platform import IOStandard, Pins, Subsignal
from migen import Module

from corelog.boards.description import Description
from corelog.boards.peripherals import Pads

from ..rtio.phy import ttl, ttl_serdes

# Kind of a channel with pads of its own -> its PHY, made from them.
PHYS = {"output": ttl_serdes.Output, "inout": ttl_serdes.InOut, "led": ttl.Output}

# The banks of Kasli's EEM connectors run at 2.5 V.
_EEM_STANDARD = "LVDS_25"


def eem_io(description: Description) -> list[tuple[Any, ...]]:
    """Pads of the channels at connectors, for `platform.add_extension`: (`eem5`, 3) is pair 3 of connector eem5, with
    `p` and `n`; (`lpc_la02_p`, 0) is a pin of an FMC connector, and (`lpc_la02`, 0) a pair of it.

    The platform must have the connectors, with the pin names of Migen's boards."""
    places = dict.fromkeys(channel.pads for channel in description.channels)
    eem = [_eem_pair(pads) for pads in places if pads.signal.startswith("eem")]
    return eem + [_fmc_pins(pads) for pads in places if pads.standard]


def eem_phys(platform: Any, description: Description) -> list[tuple[str, Module]]:
    """(name, PHY) of every RTIO channel; channel n of the description is entry n.

    The platform has the pads of `eem_io` and those of the board's own signals (LEDs, SMA connectors).
    """
    found: list[tuple[str, Module]] = []
    at: dict[Pads, Any] = {}
    for channel in description.channels:
        pads = channel.pads
        if channel.kind == "counter":
            phy: Module = ttl_serdes.EdgeCounter(at[pads])
        else:
            phy = at[pads] = PHYS[channel.kind](platform.request(pads.signal, pads.index))
        found.append((channel.name, phy))
    return found


def _eem_pair(pads: Pads) -> tuple[Any, ...]:
    # Pair 0 is on clock-capable pins, and is named for it.
    return _pair(pads, f"{pads.signal}:d{pads.index}{'' if pads.index else '_cc'}", "pn", _EEM_STANDARD)


def _fmc_pins(pads: Pads) -> tuple[Any, ...]:
    connector, _, name = pads.signal.upper().partition("_")
    if pads.standard == "LVDS_25":
        return _pair(pads, f"{connector}:{name}", "PN", pads.standard)
    return (pads.signal, pads.index, Pins(f"{connector}:{name}"), IOStandard(pads.standard))


def _pair(pads: Pads, pins: str, ends: str, standard: str) -> tuple[Any, ...]:
    p, n = (Subsignal(name, Pins(f"{pins}_{end}")) for name, end in zip("pn", ends, strict=True))
    return (pads.signal, pads.index, p, n, IOStandard(standard))
