"""GTX channels of KC705. The vendor's attributes come from liteiclink; clocks, starts and data are ours."""

from liteiclink.serdes.gtx_7series import GTX, GTXChannelPLL
from liteiclink.serdes.gtx_7series_init import GTXRXInit
from migen import Cat, ClockDomainsRenamer, ClockSignal, Instance, Record, Signal

from ..clocking.mmcm import FREQUENCY
from .channel import LINE_RATE, REFERENCE, SevenSeriesChannel


class GTXChannel(SevenSeriesChannel):
    """A channel with its own PLL: ``pll_reset`` (``bootstrap``, register), ``pll_lock``, of no domain.

    :param reference: clock from a reference clock's buffer. :param pads: ``txp``, ``txn``, ``rxp``, ``rxn``.
    """

    def __init__(self, reference: Signal, pads: Record) -> None:
        super().__init__()
        pll = GTXChannelPLL(reference, REFERENCE, LINE_RATE)
        self.pll_reset = pll.reset
        self.pll_lock = pll.lock

        # # #

        init = ClockDomainsRenamer("bootstrap")(GTXRXInit(FREQUENCY, buffer_enable=False))
        self.add_receiver_start(init, pll.lock)
        tx_pads, rx_pads = (Record([("p", 1), ("n", 1)]) for _ in range(2))
        # Not a part of this design: it knows the attributes.
        model = GTX(pll, tx_pads, rx_pads, FREQUENCY, clock_aligner=False)
        pins = model.gtx_params | self.pins() | {
            "i_CPLLLOCKDETCLK": ClockSignal("bootstrap"),
            "i_GTXRXP": pads.rxp,
            "i_GTXRXN": pads.rxn,
            "o_GTXTXP": pads.txp,
            "o_GTXTXN": pads.txn,
            "i_RXPD": Cat(init.gtXxpd, init.gtXxpd),
            "i_GTRXRESET": init.gtXxreset,
            "i_RXUSERRDY": init.Xxuserrdy,
            "o_RXRESETDONE": init.Xxresetdone,
            "i_RXDLYSRESET": init.Xxdlysreset,
            "o_RXDLYSRESETDONE": init.Xxdlysresetdone,
            "o_RXPHALIGNDONE": init.Xxphaligndone,
        }  # fmt: skip
        self.specials += Instance("GTXE2_CHANNEL", **pins)
