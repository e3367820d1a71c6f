"""GTP channels of Kasli. The vendor's attributes come from liteiclink; clocks, starts and data are ours."""

from liteiclink.serdes.gtp_7series import GTP, GTPQuadPLL
from liteiclink.serdes.gtp_7series_init import GTPRXInit
from migen import Cat, ClockDomainsRenamer, Instance, Record, Signal

from ..clocking.mmcm import FREQUENCY
from .channel import REFERENCE, SevenSeriesChannel


class QuadPLL:
    """One of the two PLLs of a quad, as liteiclink's and liteeth's channels take it: ``clk``, ``refclk``, ``lock``, of
    no domain; ``reset``. :param index: 0 or 1."""

    def __init__(self, index: int, line_rate: float) -> None:
        self.index = self.channel = index
        self.config = GTPQuadPLL.compute_config(REFERENCE, line_rate)
        self.clk = Signal()
        self.refclk = Signal()
        self.lock = Signal()
        self.reset = Signal(reset=1)

    def pins(self, reference: int) -> dict:
        """Of the quad's cell. :param reference: its reference clock, GTREFCLK0 or 1."""
        n, config = self.index, self.config
        return {
            f"p_PLL{n}_FBDIV": config["n2"],
            f"p_PLL{n}_FBDIV_45": config["n1"],
            f"p_PLL{n}_REFCLK_DIV": config["m"],
            f"i_PLL{n}LOCKEN": 1,
            f"i_PLL{n}PD": 0,
            f"i_PLL{n}REFCLKSEL": 0b010 if reference else 0b001,
            f"i_PLL{n}RESET": self.reset,
            f"o_PLL{n}LOCK": self.lock,
            f"o_PLL{n}OUTCLK": self.clk,
            f"o_PLL{n}OUTREFCLK": self.refclk,
        }


def quad(pll0: QuadPLL | None, clk0, pll1: QuadPLL | None = None, clk1=0) -> Instance:
    """The cell that the four channels of a quad share. ``pll0`` takes ``clk0``, ``pll1`` ``clk1``; if there is one
    clock only, it has to be ``clk0``."""
    pins = {
        "i_GTREFCLK0": clk0,
        "i_GTREFCLK1": clk1,
        "i_BGBYPASSB": 1,
        "i_BGMONITORENB": 1,
        "i_BGPDB": 1,
        "i_BGRCALOVRD": 0b11111,
        "i_RCALENB": 1,
    }
    for n, pll in enumerate((pll0, pll1)):
        pins |= {f"i_PLL{n}PD": 1} if pll is None else pll.pins(reference=n)
    return Instance("GTPE2_COMMON", **pins)


class GTPChannel(SevenSeriesChannel):
    """:param pads: ``txp``, ``txn``, ``rxp``, ``rxn``."""

    def __init__(self, pll: QuadPLL, pads: Record) -> None:
        super().__init__()

        # # #

        init = ClockDomainsRenamer("bootstrap")(GTPRXInit(FREQUENCY, buffer_enable=False))
        self.add_receiver_start(init, pll.lock)
        tx_pads, rx_pads = (Record([("p", 1), ("n", 1)]) for _ in range(2))
        # Not a part of this design: it knows the attributes.
        model = GTP(pll, tx_pads, rx_pads, FREQUENCY, clock_aligner=False)
        aligned = Signal()
        pins = model.gtp_params | self.pins() | {
            # The phase is aligned by hand (UG482, table of attributes for the transmitter's buffer bypass).
            "p_TXSYNC_OVRD": 1,
            "i_DRPADDR": init.drp.addr,
            "i_DRPDI": init.drp.di,
            "i_DRPEN": init.drp.en,
            "i_DRPWE": init.drp.we,
            "o_DRPDO": init.drp.do,
            "o_DRPRDY": init.drp.rdy,
            "i_GTPRXP": pads.rxp,
            "i_GTPRXN": pads.rxn,
            "o_GTPTXP": pads.txp,
            "o_GTPTXN": pads.txn,
            "i_RXPD": Cat(init.gtrxpd, init.gtrxpd),
            "i_GTRXRESET": init.gtrxreset,
            "i_RXUSERRDY": init.rxuserrdy,
            "o_RXRESETDONE": init.rxresetdone,
            "o_RXPMARESETDONE": init.rxpmaresetdone,
            "i_RXDLYSRESET": init.rxdlysreset,
            "o_RXDLYSRESETDONE": init.rxdlysresetdone,
            "o_RXPHALIGNDONE": aligned,
            "i_RXSYNCALLIN": aligned,
            "o_RXSYNCDONE": init.rxsyncdone,
        }  # fmt: skip
        self.specials += Instance("GTPE2_CHANNEL", **pins)
