"""Clocks and resets that both boards have in common."""

from migen import ClockDomain, ClockSignal, If, Instance, Signal
from migen.genlib.resetsync import AsyncResetSynchronizer

from .control import ClockControl
from .mmcm import FREQUENCY, SysMMCM

_VCO = 1_000_000_000
_IDELAY_FREQUENCY = 200_000_000


class CRG(ClockControl):
    """Clock domains, reset manager and clock switch of a board; registers, domains and steps are in README.md, signals
    in :class:`ClockControl`.

    The derived class gives the domains ``bootstrap`` and ``clk200`` by :meth:`add_oscillator`, and the main clock on
    ``main_clk``, which goes to a global buffer here.

    :param dqs: make ``sys4x_dqs``.
    """

    def __init__(self, dqs: bool) -> None:
        super().__init__()
        self.main_clk = Signal()
        self.clock_domains.cd_main = ClockDomain(reset_less=True)

        # # #

        self.specials += Instance("BUFG", i_I=self.main_clk, o_O=self.cd_main.clk)
        self.submodules.mmcm = mmcm = SysMMCM(self.cd_main.clk, ClockSignal("bootstrap"), dqs)
        self.cd_sys = mmcm.cd_sys
        self.comb += [mmcm.select.eq(self.select), mmcm.stop.eq(self.stop), self.locked.eq(mmcm.locked)]
        self.specials += AsyncResetSynchronizer(self.cd_sys, self.active)

    def add_oscillator(self, platform, clk: Signal, frequency: float) -> None:
        """Domains ``bootstrap`` and ``clk200`` from an oscillator's clock, and the IDELAYCTRL that needs ``clk200``.

        ``bootstrap_pll`` is the clock of ``bootstrap`` before its global buffer.
        """
        self.clock_domains.cd_bootstrap = ClockDomain()
        self.clock_domains.cd_clk200 = ClockDomain()
        self.bootstrap_pll = Signal()

        # # #

        locked, feedback, fast = Signal(), Signal(), Signal()
        self.specials.pll = Instance(
            "PLLE2_BASE",
            p_CLKIN1_PERIOD=1e9 / frequency,
            p_CLKFBOUT_MULT=int(_VCO / frequency),
            p_DIVCLK_DIVIDE=1,
            p_CLKOUT0_DIVIDE=_VCO // FREQUENCY,
            p_CLKOUT1_DIVIDE=_VCO // _IDELAY_FREQUENCY,
            i_CLKIN1=clk,
            i_CLKFBIN=feedback,
            o_CLKFBOUT=feedback,
            i_RST=0,
            i_PWRDWN=0,
            o_LOCKED=locked,
            o_CLKOUT0=self.bootstrap_pll,
            o_CLKOUT1=fast,
        )
        self.specials += [
            Instance("BUFG", i_I=self.bootstrap_pll, o_O=self.cd_bootstrap.clk),
            Instance("BUFG", i_I=fast, o_O=self.cd_clk200.clk),
            AsyncResetSynchronizer(self.cd_bootstrap, ~locked),
            AsyncResetSynchronizer(self.cd_clk200, ~locked),
        ]
        # It has to see 60 ns of reset after its clock is there.
        left, reset = Signal(max=16, reset=15), Signal(reset=1)
        self.sync.clk200 += If(left != 0, left.eq(left - 1)).Else(reset.eq(0))
        self.specials += Instance("IDELAYCTRL", i_REFCLK=ClockSignal("clk200"), i_RST=reset)
        # What the tool derives from the oscillator and from the main clock have nothing to do with each other.
        platform.add_false_path_constraints(self.cd_bootstrap.clk, self.cd_main.clk)
