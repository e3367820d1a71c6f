"""What the RTIO core knows about a channel, and the signals between it and the channel's PHY."""

from migen import Signal

from .cri import ADDRESS_BITS, FINE_BITS

MAX_DATA_BITS = 32


class OutputInterface:
    """Signals from the core to a PHY; an event is there while `stb` is high, one cycle.

    data_width     bits of data, 1 to 32
    address_width  bits of address, 0 to 8 (0: no `address` signal)
    fine_width     bits of fine time, 0 to 3 (0: no `fine` signal); the most significant ones of the 3
    can_be_busy    whether there is a `busy` signal

    `busy`, driven by the PHY, refuses an event in the cycle in which it would be strobed; it must come from registers
    (not depend on `stb` of the same cycle) and may rise in the cycle after a strobe.
    The strobe comes one cycle before the counter shows the event's coarse time (plus the channel's delay), so a PHY
    with one register changes its pad exactly in the cycle of the event's time.
    """

    def __init__(
        self, data_width: int = 1, address_width: int = 0, fine_width: int = 0, can_be_busy: bool = False
    ) -> None:
        if not 1 <= data_width <= MAX_DATA_BITS:
            raise ValueError(f"output data width must be 1 to {MAX_DATA_BITS} bits, not {data_width}")
        if not 0 <= address_width <= ADDRESS_BITS:
            raise ValueError(f"output address width must be 0 to {ADDRESS_BITS} bits, not {address_width}")
        if not 0 <= fine_width <= FINE_BITS:
            raise ValueError(f"fine time width must be 0 to {FINE_BITS} bits, not {fine_width}")
        self.stb = Signal()
        self.data = Signal(data_width)
        self.address = Signal(address_width) if address_width else None
        self.fine = Signal(fine_width) if fine_width else None
        self.busy = Signal() if can_be_busy else None


class InputInterface:
    """Signals from a PHY to the core; an input event is there while `stb` is high, one cycle.

    data_width  bits of data, 1 to 32
    fine_width  bits of fine time, 0 to 3 (0: no `fine` signal); the most significant ones of the 3
    delay       cycles between the event at the pad and the cycle of `stb`, subtracted from the time of `stb`
    """

    def __init__(self, data_width: int = 1, fine_width: int = 0, delay: int = 0) -> None:
        if not 1 <= data_width <= MAX_DATA_BITS:
            raise ValueError(f"input data width must be 1 to {MAX_DATA_BITS} bits, not {data_width}")
        if not 0 <= fine_width <= FINE_BITS:
            raise ValueError(f"fine time width must be 0 to {FINE_BITS} bits, not {fine_width}")
        if delay < 0:
            raise ValueError(f"input delay must be 0 or more cycles, not {delay}")
        self.stb = Signal()
        self.data = Signal(data_width)
        self.fine = Signal(fine_width) if fine_width else None
        self.delay = delay


class Channel:
    """One RTIO channel. Its number is its place in the list given to the core.

    output, input  the interfaces, either may be None (submissions or reads are then answered with "unreachable")
    replace        a later event of the same coarse and fine time and the same address replaces an earlier one silently;
                   without it, it is discarded and reported as a collision
    delay          coarse cycles (0 to 1023) added to the time of every output event of the channel, to align channels
                   whose PHYs differ in latency. Reports give the time as submitted.
    phy_reset      input of the PHY that puts it into its initial state, driven by the core's reset_phy (or None)
    """

    def __init__(
        self,
        name: str,
        output: OutputInterface | None = None,
        input: InputInterface | None = None,
        replace: bool = False,
        delay: int = 0,
        phy_reset: Signal | None = None,
    ) -> None:
        if not 0 <= delay < 1024:
            raise ValueError(f"delay of channel {name} must be 0 to 1023 coarse cycles, not {delay}")
        self.name = name
        self.output = output
        self.input = input
        self.replace = replace
        self.delay = delay
        self.phy_reset = phy_reset

    @classmethod
    def of(cls, phy: object, name: str, delay: int = 0) -> "Channel":
        """The channel of a PHY that has the attributes output, input, replace and reset (missing ones are None)."""
        return cls(
            name,
            output=getattr(phy, "output", None),
            input=getattr(phy, "input", None),
            replace=getattr(phy, "replace", False),
            delay=delay,
            phy_reset=getattr(phy, "reset", None),
        )
