"""Registers that every real-time end of a link has."""

from migen import If, Module, Signal

from ..rtio.csr_bus import CSR, AutoCSR, CSRStatus, CSRStorage
from .interface import LinkInterface
from .packets import PacketReceiver

SYMBOL_ERROR_BITS = 32
PACKET_ERROR_BITS = 16


def count(module: Module, stb: Signal, value: Signal) -> None:
    """`value` goes up in every cycle in which stb is high and stays at its highest."""
    module.sync += If(stb & (value != 2 ** len(value) - 1), value.eq(value + 1))


class LinkRegisters(Module, AutoCSR):
    """Base of Port and Uplink.

    tx_enable        1: send; 0 at reset
    rx_up            the link is up
    dropped          the link was down since this was last written with 1 (from reset on, when it never was up)
    symbol_errors    while up, since reset, saturating
    corrupt_packets, unknown_packets   dropped for CRC or length / for their type, since reset, saturating
    """

    def __init__(self, link: LinkInterface, receiver: PacketReceiver) -> None:
        self.tx_enable = CSRStorage()
        self.rx_up = CSRStatus()
        self.dropped = CSR()
        self.symbol_errors = CSRStatus(SYMBOL_ERROR_BITS)
        self.corrupt_packets = CSRStatus(PACKET_ERROR_BITS)
        self.unknown_packets = CSRStatus(PACKET_ERROR_BITS)

        # # #

        dropped = Signal(reset=1)
        self.comb += [
            link.enable.eq(self.tx_enable.storage),
            self.rx_up.status.eq(link.up),
            self.dropped.w.eq(dropped),
        ]
        self.sync += [
            If(self.dropped.re & self.dropped.r, dropped.eq(0)),
            If(~link.up, dropped.eq(1)),
        ]
        count(self, link.symbol_error, self.symbol_errors.status)
        count(self, receiver.corrupt, self.corrupt_packets.status)
        count(self, receiver.unknown, self.unknown_packets.status)
