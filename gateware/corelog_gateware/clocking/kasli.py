"""Clocks of Kasli."""

from migen import Instance, Signal

from .crg import CRG
from .mmcm import FREQUENCY
from .reference import add_reference


class KasliCRG(CRG):
    """See :class:`CRG` and README.md. Takes the pads ``clk125_gtp`` and ``cdr_clk_clean`` or
    ``si5324_clkout`` (from the Si5324 to the transceivers).

    Outputs: ``clk125``, ``clean``: reference clocks of the GTP quad (oscillator; Si5324).

    :param transceivers: `sys` comes from them: who makes them drives ``main_clk``. Otherwise it comes from the Si5324.
    """

    def __init__(self, platform, transceivers: bool) -> None:
        super().__init__(dqs=True)

        # # #

        half = Signal()
        self.clk125 = add_reference(self, platform, platform.request("clk125_gtp"), half=half)
        buffered = Signal()
        self.specials += Instance("BUFH", i_I=half, o_O=buffered)
        self.add_oscillator(platform, buffered, FREQUENCY / 2)
        # The quad's clock region has neither PLL nor MMCM; this one is beside it and can be reached.
        platform.add_platform_command("set_property LOC PLLE2_ADV_X0Y3 [get_cells {pll}]", pll=self.pll)
        self.clean = add_reference(self, platform, platform.request(clean_clock(platform)))
        if not transceivers:
            self.comb += self.main_clk.eq(self.clean)


def is_v2(platform) -> bool:
    """Boards of hardware revision 2 have other names for the Si5324's clocks, and a way through the FPGA to it."""
    return any(resource[0] == "cdr_clk_clean" for resource in platform.constraint_manager.available)


def clean_clock(platform) -> str:
    return "cdr_clk_clean" if is_v2(platform) else "si5324_clkout"
