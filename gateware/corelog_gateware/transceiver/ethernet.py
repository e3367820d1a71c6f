"""Ethernet of KC705: gigabit over GMII."""

from liteeth.phy.gmii import LiteEthPHYGMII


def kc705_ethernet(platform, crg) -> LiteEthPHYGMII:
    """PHY of liteeth, 1000BASE-T only, with its clocks constrained. Takes the pads ``eth`` and ``eth_clocks``."""
    clocks = platform.request("eth_clocks")
    phy = LiteEthPHYGMII(clocks, platform.request("eth"))
    # The transmitter has the receiver's clock.
    platform.add_period_constraint(clocks.rx, 8.0)
    platform.add_false_path_constraints(crg.cd_sys.clk, clocks.rx)
    return phy
