"""UART PHY of the simulation: bytes straight to the outside, no line, no baud rate."""

from litex.soc.interconnect import stream
from migen import Module, Record


def byte_layout() -> list[tuple[str, int]]:
    """Both come out of the SoC."""
    return [("tx_valid", 1), ("tx_data", 8)]


class BytePHY(Module):
    """PHY for LiteX's UART that sends up to a byte per cycle to ``pads``, a Record of :func:`byte_layout`."""

    def __init__(self, pads: Record):
        self.sink = stream.Endpoint([("data", 8)])
        self.source = stream.Endpoint([("data", 8)])

        # # #

        self.comb += self.sink.ready.eq(1)
        self.sync += [
            pads.tx_valid.eq(self.sink.valid),
            pads.tx_data.eq(self.sink.data),
        ]
