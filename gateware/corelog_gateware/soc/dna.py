"""The number that the FPGA's maker gave to every chip."""

from migen import If, Instance, Module, Signal

BITS = 57
# 7.8 MHz at 125 MHz; the primitive takes up to 100.
HALF_PERIOD = 8


class DNA(Module):
    """Outputs ``value`` (57), the DNA, most significant bit first out of the primitive, and ``done``: it is complete,
    some 7 us after a reset. Clock and data of the primitive are registers of ``sys`` and change at different times."""

    def __init__(self) -> None:
        self.value = Signal(BITS)
        self.done = Signal()

        # # #

        clk, out, count = Signal(), Signal(), Signal(max=HALF_PERIOD)
        read, shift, left = Signal(reset=1), Signal(), Signal(max=BITS + 1, reset=BITS)
        self.specials += Instance("DNA_PORT", i_CLK=clk, i_READ=read, i_SHIFT=shift, i_DIN=0, o_DOUT=out)
        self.comb += self.done.eq(left == 0)
        self.sync += If(
            ~self.done,
            count.eq(count + 1),
            If(
                count == HALF_PERIOD - 1,
                clk.eq(~clk),
                # Falls: what the rising edge brought is there, and what the next one does is set.
                If(clk, self.value.eq((self.value << 1) | out), left.eq(left - 1), read.eq(0), shift.eq(1)),
            ),
        )
