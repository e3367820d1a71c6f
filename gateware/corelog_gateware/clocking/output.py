"""Clocks that go from the FPGA to the Si5324."""

from migen import Instance, Module, Signal


def put_out(module: Module, clk: Signal, pads) -> None:
    """``clk``, from a global buffer, on ``pads`` (``p``, ``n``), through a register: with its duty cycle, and with a
    delay that does not depend on the routing."""
    edge = Signal()
    module.specials += [
        Instance("ODDR", p_DDR_CLK_EDGE="SAME_EDGE", i_C=clk, i_CE=1, i_D1=1, i_D2=0, i_R=0, i_S=0, o_Q=edge),
        Instance("OBUFDS", i_I=edge, o_O=pads.p, o_OB=pads.n),
    ]


class ReferenceForward(Module):
    """An external reference, 10 to 125 MHz, from a connector at the FPGA on to the Si5324: Kasli v2.0 ``sma_clkin`` to
    ``cdr_clk``, KC705 ``user_sma_clock`` to ``si5324_clkin``. (On earlier Kaslis it goes there by itself.)

    For boards that are no satellites: there the Si5324 has the recovered clock.
    """

    def __init__(self, reference, pads) -> None:
        received, buffered = Signal(), Signal()
        self.specials += [
            Instance("IBUFDS", i_I=reference.p, i_IB=reference.n, o_O=received),
            Instance("BUFG", i_I=received, o_O=buffered),
        ]
        put_out(self, buffered, pads)
