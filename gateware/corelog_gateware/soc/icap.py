"""Loads the gateware anew from flash, as at power-on."""

from litex.soc.interconnect.csr import CSR, AutoCSR
from migen import Array, Cat, If, Instance, Module, Signal

# 7.8 MHz at 125 MHz; the primitive takes up to 70.
HALF_PERIOD = 8
# UG470, "IPROG through ICAPE2": synchronise, WBSTAR is address 0, command IPROG.
WORDS = (0xFFFFFFFF, 0xAA995566, 0x20000000, 0x30020001, 0, 0x30008001, 0x0000000F, 0x20000000)


class ICAP(Module, AutoCSR):
    """CSR ``reload``: write 1, and the FPGA configures itself from address 0 of its flash. Nothing survives: firmware
    ends what it has under way, in the flash above all, before it does.

    Clock and data of the primitive are registers of ``sys``; the data changes when the clock falls.
    """

    def __init__(self) -> None:
        self._reload = CSR(1, name="reload")

        # # #

        clk, count = Signal(), Signal(max=HALF_PERIOD)
        active, at = Signal(), Signal(max=len(WORDS))
        word = Signal(32, reset=WORDS[0])
        # The primitive has bit 0 of every byte on the left.
        self.specials += Instance(
            "ICAPE2",
            p_ICAP_WIDTH="X32",
            i_CLK=clk,
            i_CSIB=~active,
            i_RDWRB=0,
            i_I=Cat(*(word[8 * n : 8 * n + 8][::-1] for n in range(4))),
        )
        self.sync += [
            If(self._reload.re & self._reload.r, active.eq(1)),
            If(
                active,
                count.eq(count + 1),
                If(
                    count == HALF_PERIOD - 1,
                    clk.eq(~clk),
                    If(clk & (at != len(WORDS) - 1), at.eq(at + 1)),
                ),
            ),
            word.eq(Array(WORDS)[at]),
        ]
