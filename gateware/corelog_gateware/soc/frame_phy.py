"""Ethernet PHY of the simulation: whole frames without preamble and checksum, one byte per cycle."""

from liteeth.common import eth_phy_description
from litex.soc.interconnect import stream
from migen import Module, Record


def frame_layout() -> list[tuple[str, int]]:
    """``tx_*`` and ``rx_room`` come out of the SoC, ``rx_*`` go in."""
    return [
        ("tx_valid", 1),
        ("tx_last", 1),
        ("tx_data", 8),
        ("rx_valid", 1),
        ("rx_last", 1),
        ("rx_data", 8),
        ("rx_room", 1),
    ]


class FramePHY(Module):
    """LiteEth PHY whose wire is ``pads`` (a Record of :func:`frame_layout`), in the ``sys`` domain.

    A frame out is the bytes under ``tx_valid`` up to and including the one under ``tx_last``; a frame in likewise. The
    other side leaves at least ``RX_GAP`` cycles between two frames in. ``rx_room`` (driven by the SoC) says that the
    MAC has a slot for a frame that starts now: the flow control that a link partner honouring pause frames would give.
    """

    dw = 8
    with_preamble_crc = False
    # Frames are told apart by tx_last, so no gap is needed on the way out.
    integrated_ifg_inserter = True
    RX_GAP = 24

    def __init__(self, pads: Record):
        self.sink = stream.Endpoint(eth_phy_description(8))
        self.source = stream.Endpoint(eth_phy_description(8))

        # # #

        self.comb += self.sink.ready.eq(1)
        self.sync += [
            pads.tx_valid.eq(self.sink.valid),
            pads.tx_last.eq(self.sink.last),
            pads.tx_data.eq(self.sink.data),
            # Registered: a path from the pads through the MAC would be evaluated twice per cycle in simulation.
            self.source.valid.eq(pads.rx_valid),
            self.source.last.eq(pads.rx_last),
            self.source.data.eq(pads.rx_data),
        ]
