"""Microseconds since the SoC came out of reset, counted in hardware, with one alarm.

The firmware takes log times and its scheduler's clock from here, so that neither needs a division.
"""

from litex.soc.interconnect.csr import AutoCSR, CSRStatus, CSRStorage
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel
from migen import If, Module, Signal

NEVER = 2**64 - 1


class Uptime(Module, AutoCSR):
    """64-bit microsecond counter, zero at every reset of the SoC.

    :param clk_freq: system clock in Hz; a whole number of MHz, else ``ValueError``.

    CSRs
      - ``lo``: low word. Reading it copies the high word of the same instant to ``hi``.
      - ``hi``: high word of the last reading of ``lo``.
      - ``alarm_hi``, ``alarm_lo``: alarm time. Writing ``alarm_lo`` takes both words over at once and arms; a time that
        has passed fires at once, all ones never does (disarmed, the state after reset).
      - ``ev``: one level event ``alarm``, high while the counter is at or past the alarm time. It follows a write of
        ``alarm_lo`` within two cycles.

    Outputs: ``us`` (64), the counter; ``irq`` through ``ev.irq``.
    """

    def __init__(self, clk_freq: int):
        cycles_per_us, remainder = divmod(int(clk_freq), 1_000_000)
        if remainder or cycles_per_us < 1:
            raise ValueError(f"uptime needs a clock of a whole number of MHz, not {clk_freq} Hz")
        self.us = Signal(64)
        self._lo = CSRStatus(32, name="lo")
        self._hi = CSRStatus(32, name="hi")
        self._alarm_hi = CSRStorage(32, reset=NEVER >> 32, name="alarm_hi")
        self._alarm_lo = CSRStorage(32, reset=NEVER & 0xFFFFFFFF, name="alarm_lo")
        self.submodules.ev = EventManager()
        self.ev.alarm = EventSourceLevel(name="alarm")
        self.ev.finalize()

        # # #

        tick = Signal()
        if cycles_per_us == 1:
            self.comb += tick.eq(1)
        else:
            prescaler = Signal(max=cycles_per_us)
            self.comb += tick.eq(prescaler == cycles_per_us - 1)
            self.sync += If(tick, prescaler.eq(0)).Else(prescaler.eq(prescaler + 1))
        self.sync += If(tick, self.us.eq(self.us + 1))

        self.comb += self._lo.status.eq(self.us[:32])
        self.sync += If(self._lo.we, self._hi.status.eq(self.us[32:]))

        alarm = Signal(64, reset=NEVER)
        due = Signal()
        self.sync += [
            # Registered: a 64-bit comparison would otherwise lie on the CPU's interrupt path.
            due.eq((self.us >= alarm) & (alarm != NEVER)),
            If(
                self._alarm_lo.re,
                alarm[:32].eq(self._alarm_lo.storage),
                alarm[32:].eq(self._alarm_hi.storage),
                due.eq(0),
            ),
        ]
        self.comb += self.ev.alarm.trigger.eq(due)
