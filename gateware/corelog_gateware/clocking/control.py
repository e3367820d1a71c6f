"""The logic of a CRG: registers, resets, measurement, switch. The cells around it are in crg.py."""

from litex.soc.interconnect.csr import CSR, AutoCSR, CSRStatus
from migen import ClockDomainsRenamer, If, Module, Signal
from migen.genlib.cdc import BusSynchronizer, MultiReg

from .frequency import FrequencyMeter
from .mmcm import FREQUENCY
from .reset import ResetControl
from .switch import ClockSwitch

MS = FREQUENCY // 1000
HOLD = 64


class ClockControl(Module, AutoCSR):
    """Registers as in README.md; clock domains ``sys``, ``bootstrap`` and ``main`` are there.

    As of ``soc/reset.py``: inputs ``request``, ``watchdog`` (``sys``, one cycle), output ``cause`` (2, ``sys``).

    Of the MMCM: outputs ``select``, ``stop`` (``bootstrap``, registers; see :class:`ClockSwitch`), input ``locked``, of
    no domain. Output ``active`` (``bootstrap``, register): `sys` has to be in reset.

    For transceivers that give the main clock, all ``bootstrap`` (tied off where there are none):
        main_enable    output: start them
        main_ready     input: their PLL has locked
        main_running   output: `sys` has their clock, so that they can align their transmitters to it
        main_aligned   input: that is done

    :param ms: cycles of ``bootstrap`` in a millisecond.
    """

    def __init__(self, ms: int = MS) -> None:
        self.request = Signal()
        self.watchdog = Signal()
        self.cause = Signal(2)
        self.active = Signal(reset=1)
        self.select = Signal()
        self.stop = Signal()
        self.locked = Signal()
        self.main_enable = Signal()
        self.main_ready = Signal(reset=1)
        self.main_running = Signal()
        self.main_aligned = Signal(reset=1)

        self._clock_sel = CSR(1, name="clock_sel")
        self._switch_done = CSRStatus(1, name="switch_done")
        self._switch_error = CSRStatus(3, name="switch_error")
        self._main_khz = CSRStatus(20, name="main_khz")

        # # #

        in_bootstrap = ClockDomainsRenamer("bootstrap")
        # The oscillators are good to 100 ppm; 1 % is far from 100 MHz, and from what a PLL out of lock gives.
        meter = in_bootstrap(FrequencyMeter("main", ms, low=ms - ms // 100, high=ms + ms // 100))
        self.submodules.meter = meter
        # PLLs and MMCM need 0.1 ms to lock, transceivers 1 ms to align, the meter three windows.
        self.submodules.switch = switch = in_bootstrap(
            ClockSwitch(hold=HOLD, settle=4 * ms, patience=10 * ms, long_patience=100 * ms)
        )
        self.submodules.resets = resets = ResetControl()
        self.specials += MultiReg(self.locked, switch.locked, "bootstrap")
        self.comb += [
            switch.main_good.eq(meter.good),
            switch.main_ready.eq(self.main_ready),
            switch.aligned.eq(self.main_aligned),
            self.main_enable.eq(switch.enable),
            self.main_running.eq(switch.running),
            self.select.eq(switch.select),
            self.stop.eq(switch.stop),
            resets.request.eq(self.request),
            resets.watchdog.eq(self.watchdog),
            resets.clock.eq(switch.began),
            self.cause.eq(resets.cause),
        ]
        self.sync.bootstrap += self.active.eq(resets.reset | switch.reset)

        # Wishes wait until they are answered; the reset that answers most of them takes them away too.
        to_main, to_bootstrap, answered = Signal(), Signal(), Signal()
        self.sync += [
            If(answered, to_main.eq(0), to_bootstrap.eq(0)),
            If(self._clock_sel.re, to_main.eq(self._clock_sel.r), to_bootstrap.eq(~self._clock_sel.r)),
        ]
        self.specials += [
            MultiReg(to_main, switch.to_main, "bootstrap"),
            MultiReg(to_bootstrap, switch.to_bootstrap, "bootstrap"),
            MultiReg(switch.answered, answered),
            MultiReg(switch.select, self._clock_sel.w),
            MultiReg(switch.done, self._switch_done.status),
        ]
        for source, status in ((switch.error, self._switch_error), (meter.count, self._main_khz)):
            bus = BusSynchronizer(len(source), "bootstrap", "sys")
            self.submodules += bus
            self.comb += [bus.i.eq(source), status.status.eq(bus.o)]
