"""Clocks straight from a board's oscillator, until clocking/ has its own. Kasli: 125 MHz; KC705: 200 MHz."""

from litex.soc.cores.clock import S7IDELAYCTRL, S7MMCM
from migen import ClockDomain, ClockSignal, Instance, Module, Signal

from .reset import ResetManager


class BootstrapCRG(Module):
    def __init__(self, pads, frequency: float, transceiver: bool):
        self.clock_domains.cd_sys4x = ClockDomain(reset_less=True)
        self.clock_domains.cd_sys4x_dqs = ClockDomain(reset_less=True)
        self.clock_domains.cd_main = ClockDomain()
        self.clock_domains.cd_idelay = ClockDomain()
        oscillator = Signal()
        buffer = {"i_CEB": 0} if transceiver else {}
        name = "IBUFDS_GTE2" if transceiver else "IBUFDS"
        self.specials += Instance(name, i_I=pads.p, i_IB=pads.n, o_O=oscillator, **buffer)
        self.submodules.mmcm = mmcm = S7MMCM(speedgrade=-2)
        mmcm.register_clkin(oscillator, frequency)
        mmcm.create_clkout(self.cd_main, 125e6, with_reset=False)
        mmcm.create_clkout(self.cd_sys4x, 500e6, with_reset=False)
        mmcm.create_clkout(self.cd_sys4x_dqs, 500e6, phase=90, with_reset=False)
        mmcm.create_clkout(self.cd_idelay, 200e6)
        self.submodules.idelayctrl = S7IDELAYCTRL(self.cd_idelay)
        manager = ResetManager(ClockSignal("main"))
        self.submodules.manager = manager
        self.request, self.watchdog, self.cause = manager.request, manager.watchdog, manager.cause
