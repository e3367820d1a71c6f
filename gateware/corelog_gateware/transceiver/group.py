"""The channels of a board with the one clock that they send with."""

from collections.abc import Sequence

from migen import ClockDomainsRenamer, Module, Signal
from migen.genlib.cdc import MultiReg

from ..clocking.crg import CRG
from ..clocking.mmcm import FREQUENCY
from .channel import ATTEMPT, REFERENCE, SevenSeriesChannel
from .transmit import TransmitAlignment


class TransceiverGroup(Module):
    """Connects ``channels`` to ``crg``, which has to be made with ``transceivers=True``: the first one's clock becomes
    the main clock, all send with `sys`, and their PLLs and transmitters start when the clock switch says so.

    The channels themselves are parts of their PHYs. Output: ``pll_reset`` (``bootstrap``, register), for every PLL.

    :param locks: lock of each PLL, of no domain.
    """

    def __init__(self, platform, crg: CRG, channels: Sequence[SevenSeriesChannel], locks: Sequence[Signal]) -> None:
        self.pll_reset = Signal(reset=1)

        # # #

        synced = Signal(len(locks))
        self.specials += [MultiReg(lock, synced[n], "bootstrap") for n, lock in enumerate(locks)]
        self.submodules.alignment = alignment = ClockDomainsRenamer("bootstrap")(
            TransmitAlignment([channel.lane for channel in channels], attempt=int(ATTEMPT * FREQUENCY))
        )
        self.comb += [
            crg.main_clk.eq(channels[0].txoutclk),
            crg.main_ready.eq(synced == 2 ** len(locks) - 1),
            crg.main_aligned.eq(alignment.done),
            alignment.start.eq(crg.main_running),
        ]
        self.sync.bootstrap += self.pll_reset.eq(~crg.main_enable)
        self.sync.bootstrap += [channel.enable.eq(alignment.done) for channel in channels]

        period = 1e9 / REFERENCE
        platform.add_period_constraint(channels[0].txoutclk, period)
        for channel in channels:
            platform.add_period_constraint(channel.rxoutclk, period)
            platform.add_false_path_constraints(channel.cd_rx.clk, crg.cd_main.clk)
            platform.add_false_path_constraints(channel.cd_rx.clk, crg.cd_bootstrap.clk)
