"""The FPGA's STARTUPE2: there is one, and two things of it are used."""

from migen import Instance, Module, Signal


class Startup(Module):
    """Input ``cclk``: becomes the clock of the flash that the FPGA was configured from. Output ``noise_clk``: the
    oscillator of the configuration logic, 65 MHz give or take half, on for ever and not locked to anything."""

    def __init__(self) -> None:
        self.cclk = Signal()
        self.noise_clk = Signal()

        # # #

        self.specials += Instance(
            "STARTUPE2",
            p_PROG_USR="FALSE",
            i_CLK=0,
            i_GSR=0,
            i_GTS=0,
            i_KEYCLEARB=1,
            i_PACK=0,
            i_USRCCLKO=self.cclk,
            i_USRCCLKTS=0,
            i_USRDONEO=1,
            i_USRDONETS=1,
            o_CFGMCLK=self.noise_clk,
        )
