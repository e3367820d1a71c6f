"""PHY for LiteSPI with one data line each way, clock through the FPGA's configuration pin.

LiteSPI's own PHY counts on the clock being ready at once. Behind STARTUPE2 it is not: the primitive swallows the first
cycles after configuration, and the CPU's very first instruction comes out of this flash.
"""

from litespi.common import spi_core2phy_layout, spi_phy2core_layout
from litespi.modules import S25FL128S
from litespi.opcodes import SpiNorFlashOpCodes
from litex.soc.interconnect import stream
from migen import FSM, If, Module, NextState, NextValue, Record, Signal

# STARTUPE2 needs three.
WARM_UP_PERIODS = 8
# Cycles that the flash is deselected between two commands: 128 ns at 125 MHz, more than any of these flashes asks for.
DESELECTED = 16
DATA_BITS = 32


class SpiPHY(Module):
    """Shifts bits out and in, most significant first, SPI mode 0.

    :param pads: Record with ``cs_n``, ``mosi``, ``miso``.
    :param half_period: cycles of half a period of the SPI clock, 2 or more.

    Interface: as LiteSPI's PHYs (``sink``, ``source``, ``cs``, ``flash``), of which only transfers on one line are
    done: ``width`` and ``mask`` are not looked at. ``len`` is 1 to 32 bits. Output ``clk``: SPI clock, to STARTUPE2,
    a register.

    ``miso`` is taken when the clock falls, so the way out, the flash and the way back have a whole period.
    """

    def __init__(self, pads: Record, half_period: int):
        if half_period < 2:
            raise ValueError(f"half a period of the SPI clock must be 2 cycles or more, not {half_period}")
        # One of the flashes of Kasli and KC705. This command is the same for all of them, in whatever state they are,
        # and needs no dummy cycles.
        self.flash = S25FL128S(SpiNorFlashOpCodes.READ_1_1_1)
        self.sink = sink = stream.Endpoint(spi_core2phy_layout)
        self.source = source = stream.Endpoint(spi_phy2core_layout)
        self.cs = Signal()
        self.clk = Signal()

        # # #

        edge, count = Signal(), Signal(max=half_period)
        running, left = Signal(), Signal(max=DATA_BITS + 1)
        out, into = Signal(DATA_BITS), Signal(DATA_BITS)
        miso = Signal()
        self.comb += [edge.eq(count == half_period - 1), pads.mosi.eq(out[-1]), source.data.eq(into)]
        self.sync += [
            miso.eq(pads.miso),
            If(running & ~edge, count.eq(count + 1)).Else(count.eq(0)),
            If(running & edge, self.clk.eq(~self.clk)),
        ]

        # Selected only after a pause, however short the one of `cs` was.
        pause = Signal(max=DESELECTED + 1, reset=DESELECTED)
        selected = Signal()
        self.comb += pads.cs_n.eq(~selected)

        self.submodules.fsm = fsm = FSM(reset_state="WARM-UP")
        warm = Signal(max=WARM_UP_PERIODS + 1)
        self.sync += [
            If(~self.cs | (warm != WARM_UP_PERIODS), selected.eq(0), pause.eq(DESELECTED))
            .Elif(pause != 0, pause.eq(pause - 1))
            .Else(selected.eq(1)),
        ]
        fsm.act(
            "WARM-UP",
            running.eq(1),
            If(edge & self.clk, NextValue(warm, warm + 1), If(warm == WARM_UP_PERIODS - 1, NextState("IDLE"))),
        )
        fsm.act(
            "IDLE",
            If(
                selected & sink.valid,
                sink.ready.eq(1),
                NextValue(out, sink.data << (DATA_BITS - sink.len)),
                NextValue(left, sink.len),
                NextValue(into, 0),
                NextState("SHIFT"),
            ),
        )
        fsm.act(
            "SHIFT",
            running.eq(1),
            If(
                edge & self.clk,
                NextValue(into, (into << 1) | miso),
                NextValue(out, out << 1),
                NextValue(left, left - 1),
                If(left == 1, NextState("DONE")),
            ),
        )
        fsm.act("DONE", source.valid.eq(1), source.last.eq(1), If(source.ready, NextState("IDLE")))
