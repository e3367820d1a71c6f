"""The clock that a satellite's Si5324 cleans: that of its uplink, with an adjustable phase, or its own."""

from litex.soc.interconnect.csr import CSR, AutoCSR, CSRStatus, CSRStorage
from migen import ClockDomain, ClockDomainsRenamer, ClockSignal, If, Instance, Module, Signal
from migen.genlib.cdc import BusSynchronizer, MultiReg

from .control import MS
from .frequency import FrequencyMeter
from .mmcm import FREQUENCY
from .output import put_out

_MULTIPLY = 8
# Steps of the MMCM's phase in a cycle: 56 in each cycle of its VCO.
STEPS = 56 * _MULTIPLY


class RecoveredClock(Module, AutoCSR):
    """Gives the Si5324 the board's own oscillator or the clock that the uplink's receiver recovers. The steps in which
    the firmware uses it are in transceiver/README.md.

    :param pads: ``p``, ``n``: Kasli v2.0 ``cdr_clk``, others ``si5324_clkin``.
    :param own: 125 MHz, from a PLL, not buffered (``CRG.bootstrap_pll``).
    :param recovered: of the uplink's channel, buffered. :param ready: it is good (`sys`).

    CSRs
      - ``select`` (1): 1: recovered clock; 0, also after a reset of the SoC: own oscillator. It changes at once, with
        whatever edge comes of it: keep the Si5324 in digital hold meanwhile. A recovered clock that is not ready
        stands.
      - ``locked`` (1): the recovered clock is ready and the MMCM that shifts it has locked.
      - ``khz`` (20): of the recovered clock, against ``bootstrap`` in the last millisecond.
      - ``shift``: write 1: the recovered clock one step later, 0: one earlier; reads 1 until that is done. 448 steps
        are a cycle; it goes round for ever. A recovered clock that became ready anew begins at step 0.
    """

    def __init__(self, pads, own: Signal, recovered: Signal, ready: Signal) -> None:
        self._select = CSRStorage(1, name="select")
        self._locked = CSRStatus(1, name="locked")
        self._khz = CSRStatus(20, name="khz")
        self._shift = CSR(1, name="shift")

        # # #

        stop, locked, feedback, shifted, out = Signal(reset=1), Signal(), Signal(), Signal(), Signal()
        step, later, done = Signal(), Signal(), Signal()
        self.sync += stop.eq(~ready)
        self.specials += [
            Instance(
                "MMCME2_ADV",
                p_CLKIN1_PERIOD=1e9 / FREQUENCY,
                p_CLKFBOUT_MULT_F=float(_MULTIPLY),
                p_DIVCLK_DIVIDE=1,
                p_CLKOUT0_DIVIDE_F=float(_MULTIPLY),
                p_CLKOUT0_USE_FINE_PS="TRUE",
                i_CLKIN1=recovered,
                i_CLKIN2=0,
                i_CLKINSEL=1,
                i_CLKFBIN=feedback,
                o_CLKFBOUT=feedback,
                o_CLKOUT0=shifted,
                i_RST=stop,
                o_LOCKED=locked,
                i_PSCLK=ClockSignal(),
                i_PSEN=step,
                i_PSINCDEC=later,
                o_PSDONE=done,
            ),
            # Without regard to edges, because a clock that stands could not be left otherwise.
            Instance(
                "BUFGCTRL",
                i_I0=own,
                i_I1=shifted,
                i_S0=~self._select.storage,
                i_S1=self._select.storage,
                i_CE0=1,
                i_CE1=1,
                i_IGNORE0=1,
                i_IGNORE1=1,
                o_O=out,
            ),
            MultiReg(locked, self._locked.status),
        ]
        put_out(self, out, pads)

        shifting = Signal()
        self.comb += self._shift.w.eq(shifting)
        self.sync += [
            step.eq(0),
            # A reset of the MMCM also ends a step.
            If(done | stop, shifting.eq(0)),
            If(self._shift.re & ~shifting & ~stop, shifting.eq(1), step.eq(1), later.eq(self._shift.r)),
        ]

        self.clock_domains.cd_recovered = ClockDomain(reset_less=True)
        self.comb += self.cd_recovered.clk.eq(recovered)
        meter = ClockDomainsRenamer("bootstrap")(
            FrequencyMeter("recovered", MS, low=MS - MS // 100, high=MS + MS // 100)
        )
        self.submodules.meter = meter
        self.submodules.bus = bus = BusSynchronizer(len(meter.count), "bootstrap", "sys")
        self.comb += [bus.i.eq(meter.count), self._khz.status.eq(bus.o)]
