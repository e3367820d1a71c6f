"""Reference clocks of transceivers."""

from migen import Instance, Module, Signal

from .mmcm import FREQUENCY


def add_reference(module: Module, platform, pads, half: Signal | None = None) -> Signal:
    """The 125 MHz clock on ``pads`` (``p``, ``n``) of a transceiver quad, for its PLLs or a global buffer.

    :param half: gets the clock divided by 2, which reaches the PLLs of the fabric.
    """
    clk = Signal()
    outputs = {"o_O": clk} if half is None else {"o_O": clk, "o_ODIV2": half}
    module.specials += Instance(
        "IBUFDS_GTE2",
        p_CLKCM_CFG="TRUE",
        p_CLKRCV_TRST="TRUE",
        p_CLKSWING_CFG=3,
        i_CEB=0,
        i_I=pads.p,
        i_IB=pads.n,
        **outputs,
    )
    platform.add_period_constraint(pads.p, 1e9 / FREQUENCY)
    return clk
