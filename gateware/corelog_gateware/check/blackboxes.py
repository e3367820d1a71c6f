"""The clocks of the pins of cells whose insides are not Migen's: FPGA primitives and Verilog modules.

Sources: Xilinx UG471 (SelectIO), UG472 (clocking), UG470 (configuration), UG480 (XADC), UG476 and UG482 (transceivers).
A pin that is in no line here stops the check: better to ask than to guess.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Cell:
    """Pins are named by patterns (``RX*``), the first that fits decides; roles are asked in the order of the fields.
    What is inout counts as an input: as a source it is a pad.

    ``clock_inputs``: no data. ``clocks``: outputs that are clocks; all those of one cell are related if ``related``.
    ``through``: an output is made from these inputs, without a register. ``clocked``: synchronous to the clock that
    enters at the pin named. ``free``: inputs that may change at any time, and outputs that do.
    """

    clock_inputs: tuple[str, ...] = ()
    clocks: tuple[str, ...] = ()
    related: bool = False
    through: dict[str, tuple[str, ...]] = field(default_factory=dict)
    clocked: dict[str, str] = field(default_factory=dict)
    free: tuple[str, ...] = ()

    def is_clock_input(self, pin: str) -> bool:
        return fits(pin, self.clock_inputs) or pin in self.clocked.values()

    def is_clock(self, pin: str) -> bool:
        return fits(pin, self.clocks)

    def clock_of(self, pin: str) -> str | None:
        """The clock pin that ``pin`` is synchronous to."""
        return next((clock for pattern, clock in self.clocked.items() if fnmatchcase(pin, pattern)), None)

    def is_free(self, pin: str) -> bool:
        """For an input also: it only passes through."""
        return fits(pin, self.free) or any(pin in inputs for inputs in self.through.values())


def fits(pin: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(pin, pattern) for pattern in patterns)


BUFFER = Cell(through={"O": ("I",), "OB": ("I",)})
CLOCK_BUFFER = Cell(through={"O": ("I",)}, free=("CE*", "CLR", "R"))
CLOCK_SELECTOR = Cell(clock_inputs=("I0", "I1"), clocks=("O",), free=("S", "S0", "S1", "CE*", "IGNORE*"))
REGISTER = Cell(clocked={"D": "C", "CE": "C", "R": "C", "S": "C", "Q": "C"}, free=("PRE", "CLR"))
DRP = {"DADDR": "DCLK", "DEN": "DCLK", "DI": "DCLK", "DWE": "DCLK", "DO": "DCLK", "DRDY": "DCLK"}
CLOCK_MANAGER = Cell(
    clock_inputs=("CLKIN*", "CLKFBIN", "DCLK", "PSCLK"),
    clocks=("CLKOUT*", "CLKFBOUT*"),
    related=True,
    clocked={**DRP, "PSEN": "PSCLK", "PSINCDEC": "PSCLK", "PSDONE": "PSCLK"},
    free=("RST", "PWRDWN", "CLKINSEL", "LOCKED", "CLKINSTOPPED", "CLKFBSTOPPED"),
)
# Resets, power, modes and the analogue side of a transceiver may change at any time; its states do.
CHANNEL = Cell(
    clock_inputs=("GTREFCLK*", "GTNORTHREFCLK*", "GTSOUTHREFCLK*", "GTGREFCLK*", "PLL?CLK", "PLL?REFCLK", "QPLLCLK",
                  "QPLLREFCLK", "TXUSRCLK", "TXUSRCLK2", "RXUSRCLK", "RXUSRCLK2", "DRPCLK", "CPLLLOCKDETCLK",
                  "CLKRSVD*", "SIGVALIDCLK", "DMONITORCLK"),
    clocks=("TXOUTCLK*", "RXOUTCLK*", "GTREFCLKMONITOR"),
    clocked={
        "DRP*": "DRPCLK",
        "TXRESETDONE": "TXUSRCLK2", "RXRESETDONE": "RXUSRCLK2",
        **dict.fromkeys(("TXDATA", "TXCHAR*", "TX8B10B*", "TXHEADER", "TXSEQUENCE", "TXSTARTSEQ", "TXPOLARITY",
                         "TXPRBSSEL", "TXPRBSFORCEERR", "TXINHIBIT", "TXELECIDLE", "TXCOM*", "TXDETECTRX",
                         "TXBUFSTATUS", "TXGEARBOXREADY", "TXRATE", "TXRATEDONE"), "TXUSRCLK2"),
        **dict.fromkeys(("RXDATA*", "RXCHAR*", "RXDISPERR", "RXNOTINTABLE", "RX8B10BEN", "RXSLIDE", "RXCOMMA*",
                         "RXBYTE*", "RXMCOMMAALIGNEN", "RXPCOMMAALIGNEN", "RXPOLARITY", "RXHEADER*", "RXSTARTOFSEQ",
                         "RXGEARBOXSLIP", "RXPRBSSEL", "RXPRBSERR", "RXPRBSCNTRESET", "RXBUFSTATUS", "RXSTATUS",
                         "RXCLKCORCNT", "RXVALID", "RXCHAN*", "RXCHB*", "RXRATE", "RXRATEDONE", "RXCOM*DET",
                         "PHYSTATUS"), "RXUSRCLK2"),
    },
    free=("*RESET*", "*PD", "*PDELECIDLEMODE", "*USERRDY", "LOOPBACK", "*OUTCLKSEL", "*SYSCLKSEL", "CPLL*", "QPLL*",
          "TXPH*", "RXPH*", "TXDLY*", "RXDLY*", "TXSYNC*", "RXSYNC*", "RXDFE*", "RXLPM*", "RXOS*", "RXOOB*", "RXCDR*",
          "RXELECIDLE*", "RXMONITOR*", "RXADAPT*", "RXQPI*", "TXQPI*", "TXDIFFCTRL", "TXMAINCURSOR", "TX*CURSOR*",
          "TXMARGIN", "TXSWING", "TXDEEMPH", "TXBUFDIFFCTRL", "TXDIFFPD", "TXPIPPM*", "TXPISOPD", "TXRATEMODE",
          "RXRATEMODE", "EYESCAN*", "DMON*", "*RSVD*", "*RSVDIN*", "PMARSVD*", "PCSRSVD*", "TSTIN", "TSTOUT",
          "SETERRSTATUS", "GT*RX?", "GT*TX?", "RXDDIEN"),
)
COMMON = Cell(
    clock_inputs=("GTREFCLK*", "GTEASTREFCLK*", "GTWESTREFCLK*", "GTNORTHREFCLK*", "GTSOUTHREFCLK*", "GTGREFCLK*",
                  "PLL?LOCKDETCLK", "QPLLLOCKDETCLK", "DRPCLK"),
    clocks=("PLL?OUTCLK", "PLL?OUTREFCLK", "QPLLOUTCLK", "QPLLOUTREFCLK", "REFCLKOUTMONITOR*"),
    related=True,
    clocked={"DRP*": "DRPCLK"},
    free=("PLL*", "QPLL*", "BG*", "RCAL*", "*RSVD*", "DMON*"),
)
OSERDES = Cell(
    clock_inputs=("CLK", "CLKDIV", "CLKDIVF", "CLKB"),
    clocked={"D?": "CLKDIV", "T?": "CLKDIV", "OCE": "CLKDIV", "TCE": "CLKDIV", "RST": "CLKDIV", "OQ": "CLK",
             "TQ": "CLK", "OFB": "CLK", "TFB": "CLK", "TBYTEOUT": "CLK"},
    free=("SHIFT*", "TBYTEIN"),
)
# Sampling a pad at any time is what an ISERDESE2 is for.
ISERDES = Cell(
    clock_inputs=("CLK", "CLKB", "CLKDIV", "CLKDIVP", "OCLK", "OCLKB"),
    through={"O": ("D",)},
    clocked={"Q?": "CLKDIV", "BITSLIP": "CLKDIV", "CE?": "CLKDIV", "RST": "CLKDIV"},
    free=("D", "DDLY", "OFB", "SHIFT*", "DYNCLK*"),
)
DELAY = Cell(
    through={"DATAOUT": ("IDATAIN", "DATAIN", "ODATAIN")},
    clocked={pin: "C" for pin in ("CE", "INC", "LD", "LDPIPEEN", "CNTVALUEIN", "CNTVALUEOUT", "REGRST", "CINVCTRL")},
    free=("CLKIN",),
)
CELLS: dict[str, Cell] = {
    **dict.fromkeys(("IBUF", "OBUF", "OBUFDS", "OBUFTDS", "OBUFT"), BUFFER),
    "IBUFDS": Cell(through={"O": ("I", "IB"), "OB": ("I", "IB")}),
    "IBUFGDS": Cell(through={"O": ("I",)}, free=("IB",)),
    "IBUFDS_INTERMDISABLE": Cell(through={"O": ("I",)}, free=("IB", "IBUFDISABLE", "INTERMDISABLE")),
    **dict.fromkeys(("IOBUF", "IOBUFDS", "IOBUFDS_DCIEN", "IOBUFDS_INTERMDISABLE"), Cell(
        through={"O": ("IO",)}, free=("I", "T", "IOB", "IBUFDISABLE", "DCITERMDISABLE", "INTERMDISABLE"))),
    "IOBUFDS_DIFF_OUT": Cell(through={"O": ("IO",), "OB": ("IO",)}, free=("I", "TM", "TS", "IOB")),
    **dict.fromkeys(("BUFG", "BUFH", "BUFHCE", "BUFGCE", "BUFR", "BUFIO", "BUFMR", "IBUFG"), CLOCK_BUFFER),
    **dict.fromkeys(("BUFGCTRL", "BUFGMUX", "BUFGMUX_CTRL"), CLOCK_SELECTOR),
    "IBUFDS_GTE2": Cell(through={"O": ("I",), "ODIV2": ("I",)}, free=("IB", "CEB")),
    **dict.fromkeys(("FDPE", "FDCE", "FDRE", "FDSE", "FD"), REGISTER),
    **dict.fromkeys(("MMCME2_BASE", "MMCME2_ADV", "PLLE2_BASE", "PLLE2_ADV"), CLOCK_MANAGER),
    **dict.fromkeys(("GTPE2_CHANNEL", "GTXE2_CHANNEL"), CHANNEL),
    **dict.fromkeys(("GTPE2_COMMON", "GTXE2_COMMON"), COMMON),
    "OSERDESE2": OSERDES,
    "ISERDESE2": ISERDES,
    **dict.fromkeys(("IDELAYE2", "ODELAYE2"), DELAY),
    "IDELAYCTRL": Cell(clock_inputs=("REFCLK",), free=("RST", "RDY")),
    "ODDR": Cell(clocked={"D?": "C", "CE": "C", "R": "C", "S": "C", "Q": "C"}),
    "IDDR": Cell(clocked={"Q?": "C", "CE": "C", "R": "C", "S": "C"}, free=("D",)),
    "STARTUPE2": Cell(clocks=("CFGCLK", "CFGMCLK"), free=("CLK", "GSR", "GTS", "KEYCLEARB", "PACK", "USRCCLKO",
                                                         "USRCCLKTS", "USRDONEO", "USRDONETS", "EOS", "PREQ")),
    "ICAPE2": Cell(clocked=dict.fromkeys(("I", "O", "CSIB", "RDWRB"), "CLK")),
    "DNA_PORT": Cell(clocked=dict.fromkeys(("READ", "SHIFT", "DIN", "DOUT"), "CLK")),
    "XADC": Cell(clock_inputs=("CONVSTCLK",),
                 clocked={**DRP, "CHANNEL": "DCLK", "EOC": "DCLK", "EOS": "DCLK", "BUSY": "DCLK", "ALM": "DCLK",
                          "OT": "DCLK", "MUXADDR": "DCLK", "JTAG*": "DCLK"},
                 free=("RESET", "CONVST", "VAUX*", "VP", "VN")),
    "VexRiscv": Cell(clocked={"*": "clk"}),
}
