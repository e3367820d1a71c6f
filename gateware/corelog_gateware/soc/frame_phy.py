"""Ethernet PHY of the simulation: whole frames without preamble and checksum, one word per cycle."""

from liteeth.common import eth_phy_description
from litex.soc.interconnect import stream
from migen import Module, Record

# Cycles that the other side leaves between two frames in, for the MAC to file the first one away.
RX_GAP = 8


def frame_layout() -> list[tuple[str, int]]:
    """``tx_*`` and ``rx_room`` come out of the SoC, ``rx_*`` go in."""
    return [
        ("tx_valid", 1),
        ("tx_last", 1),
        ("tx_last_be", 4),
        ("tx_data", 32),
        ("rx_valid", 1),
        ("rx_last", 1),
        ("rx_last_be", 4),
        ("rx_data", 32),
        ("rx_room", 1),
    ]


class FramePHY(Module):
    """What LiteEth's MAC slots see as a PHY (``sink``, ``source``), with ``pads`` as its wire, in the ``sys`` domain.

    ``pads`` is a Record of :func:`frame_layout`. A frame out is the words under ``tx_valid`` up to and with the one
    under ``tx_last``, first byte in the low bits; ``tx_last_be`` has the bit of the last byte of that word set. A frame
    in likewise. The other side leaves at least ``RX_GAP`` cycles between two frames in and starts one only when
    ``rx_room`` says that the MAC has a slot for it: the flow control that pause frames would give.

    LiteEth's MAC core (preamble, checksum, padding, clock crossings) has nothing to do on such a wire and is left out:
    it would take an eighth of the simulation's time.
    """

    def __init__(self, pads: Record):
        self.sink = stream.Endpoint(eth_phy_description(32))
        self.source = stream.Endpoint(eth_phy_description(32))

        # # #

        self.comb += self.sink.ready.eq(1)
        self.sync += [
            pads.tx_valid.eq(self.sink.valid),
            pads.tx_last.eq(self.sink.last),
            pads.tx_last_be.eq(self.sink.last_be),
            pads.tx_data.eq(self.sink.data),
            # Registered: a path from the pads through the MAC would be evaluated twice per cycle in simulation.
            self.source.valid.eq(pads.rx_valid),
            self.source.last.eq(pads.rx_last),
            self.source.last_be.eq(pads.rx_last_be),
            self.source.data.eq(pads.rx_data),
        ]
