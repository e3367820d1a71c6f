"""Waits, after a reset of the SoC, until its flash has ended what it was told before.

A reset does not reach the flash. If it comes while a sector is erased (the watchdog, a lost clock, a button), the flash
answers no read for up to seconds, and the CPU would take what it finds on the line for its first instructions.
"""

from litespi.common import spi_core2phy_layout, spi_phy2core_layout
from litex.soc.interconnect import stream
from migen import FSM, If, Module, NextState, Signal

READ_STATUS = 0x05
WRITE_IN_PROGRESS = 0  # bit of the status
# Seconds. No erase of a sector takes longer; without a flash the CPU starts all the same.
DEADLINE = 4


class FlashReady(Module):
    """Asks for the flash's status until it is not busy, or for ``DEADLINE``. Output ``ready``: high from then on.

    A user of LiteSPI's crossbar: ``source``, ``sink``, ``cs``.
    """

    def __init__(self, clk_freq: int):
        self.source = source = stream.Endpoint(spi_core2phy_layout)
        self.sink = sink = stream.Endpoint(spi_phy2core_layout)
        self.cs = Signal()
        self.ready = Signal()

        # # #

        left = Signal(max=DEADLINE * clk_freq + 1, reset=DEADLINE * clk_freq)
        self.sync += If(left != 0, left.eq(left - 1))

        self.comb += [source.data.eq(READ_STATUS), source.len.eq(8), source.width.eq(1), source.mask.eq(1)]
        self.submodules.fsm = fsm = FSM(reset_state="COMMAND")

        def transfer(name: str, then: list[If | NextState]) -> None:
            """A byte out and one in; then ``then``."""
            fsm.act(name, self.cs.eq(1), source.valid.eq(1), If(source.ready, NextState(f"{name}-TAKEN")))
            fsm.act(f"{name}-TAKEN", self.cs.eq(1), sink.ready.eq(1), If(sink.valid, *then))

        transfer("COMMAND", [NextState("STATUS")])
        # What is sent meanwhile does not matter. Deselected in between, it is asked anew.
        busy = sink.data[WRITE_IN_PROGRESS] & (left != 0)
        transfer("STATUS", [If(busy, NextState("AGAIN")).Else(NextState("READY"))])
        fsm.act("AGAIN", NextState("COMMAND"))
        fsm.act("READY", self.ready.eq(1))
