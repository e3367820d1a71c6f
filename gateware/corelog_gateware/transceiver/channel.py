"""What the channels of GTP and GTX have in common."""

from migen import Cat, ClockDomain, ClockSignal, Instance, Module, Record, Signal
from migen.genlib.resetsync import AsyncResetSynchronizer

from .phy import Channel
from .transmit import lane_layout

# 20 bits in a cycle of `sys`.
LINE_RATE = 2.5e9
REFERENCE = 125e6
ATTEMPT = 1e-3  # seconds in which a transmitter has to be aligned, or it is tried again


class SevenSeriesChannel(Channel):
    """A channel without buffers; symbols are coded outside of it. The derived class adds the cell and the receiver's
    start.

    ``lane``: Record of ``lane_layout()``. ``txoutclk``: clock of the transmitter, not buffered. ``enable``: input
    (``bootstrap``, register): start the receiver. Domain ``rx`` is in reset until ``started``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lane = Record(lane_layout())
        self.txoutclk = Signal()
        self.rxoutclk = Signal()
        self.enable = Signal()
        self.clock_domains.cd_rx = ClockDomain()

        # # #

        stopped = Signal(reset=1)
        self.sync.bootstrap += stopped.eq(~self.started)
        self.specials += [
            Instance("BUFG", i_I=self.rxoutclk, o_O=self.cd_rx.clk),
            AsyncResetSynchronizer(self.cd_rx, stopped),
        ]

    def add_receiver_start(self, init: Module, pll_lock: Signal) -> None:
        """:param init: liteiclink's start of the receiver, in the ``bootstrap`` domain."""
        self.submodules.init = init
        self.comb += [
            init.plllock.eq(pll_lock),
            init.restart.eq(self.restart | ~self.enable),
            self.started.eq(init.done),
        ]

    def pins(self) -> dict:
        """Pins of the cell that both kinds of channel have: data, clocks, transmitter's start."""
        lane, tx, rx = self.lane, self.tx, self.rx
        return {
            **{f"i_DRP{pin}": 0 for pin in ("ADDR", "DI", "EN", "WE")},
            "o_DRPDO": Signal(16),
            "o_DRPRDY": Signal(),
            "i_DRPCLK": ClockSignal("bootstrap"),
            "i_LOOPBACK": 0,
            # The coder's bits 8 and 9 have other pins.
            "i_TXDATA": Cat(tx[0:8], tx[10:18]),
            "i_TXCHARDISPVAL": Cat(tx[8], tx[18]),
            "i_TXCHARDISPMODE": Cat(tx[9], tx[19]),
            "o_RXDATA": Cat(rx[0:8], rx[10:18]),
            "o_RXCHARISK": Cat(rx[8], rx[18]),
            "o_RXDISPERR": Cat(rx[9], rx[19]),
            "i_TXUSRCLK": ClockSignal("sys"),
            "i_TXUSRCLK2": ClockSignal("sys"),
            "i_RXUSRCLK": ClockSignal("rx"),
            "i_RXUSRCLK2": ClockSignal("rx"),
            "i_TXINHIBIT": self.inhibit,
            # The reference, as the PLL gets it: it is there whatever the transmitter does.
            "i_TXOUTCLKSEL": 0b011,
            "o_TXOUTCLK": self.txoutclk,
            "o_RXOUTCLK": self.rxoutclk,
            # Phase alignment by hand, over several lanes.
            "i_TXPD": 0,
            "i_TXPHALIGNEN": 1,
            "i_TXDLYBYPASS": 0,
            "i_GTTXRESET": lane.reset,
            "i_TXUSERRDY": lane.userrdy,
            "i_TXDLYSRESET": lane.dlysreset,
            "i_TXPHINIT": lane.phinit,
            "i_TXPHALIGN": lane.phalign,
            "i_TXDLYEN": lane.dlyen,
            "o_TXRESETDONE": lane.resetdone,
            "o_TXDLYSRESETDONE": lane.dlysresetdone,
            "o_TXPHINITDONE": lane.phinitdone,
            "o_TXPHALIGNDONE": lane.phaligndone,
        }
