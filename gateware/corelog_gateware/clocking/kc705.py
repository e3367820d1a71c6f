"""Clocks of KC705."""

from migen import Instance, Signal

from .crg import CRG
from .reference import add_reference


class KC705CRG(CRG):
    """See :class:`CRG` and README.md. Takes the pads ``clk200`` and ``si5324_clkout``.

    Output: ``clean``: reference clock of the GTX (Si5324).

    :param transceivers: `sys` comes from them: who makes them drives ``main_clk``. Otherwise it comes from the Si5324.
    """

    def __init__(self, platform, transceivers: bool) -> None:
        super().__init__(dqs=False)

        # # #

        pads, clk200 = platform.request("clk200"), Signal()
        platform.add_period_constraint(pads.p, 5.0)
        self.specials += Instance("IBUFDS", i_I=pads.p, i_IB=pads.n, o_O=clk200)
        self.add_oscillator(platform, clk200, 200e6)
        self.clean = add_reference(self, platform, platform.request("si5324_clkout"))
        if not transceivers:
            self.comb += self.main_clk.eq(self.clean)
