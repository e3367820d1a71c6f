"""An output that takes its time: the simplest PHY with a busy signal."""

from migen import If, Module, Signal

from ..channel import OutputInterface


class Output(Module):
    """Holds the data of the last event; busy in the `busy_cycles` coarse cycles after an event's.

    An event at coarse time T refuses events from T + 1 to T + busy_cycles; the next can be at T + busy_cycles + 1.

    value  data of the last event, 0 after reset
    reset  value 0, not busy
    """

    replace = False

    def __init__(self, busy_cycles: int = 64, data_width: int = 32) -> None:
        if busy_cycles < 1:
            raise ValueError(f"busy_cycles must be 1 or more, not {busy_cycles}")
        self.output = OutputInterface(data_width=data_width, can_be_busy=True)
        self.value = Signal(data_width)
        self.reset = Signal()

        # # #

        remaining = Signal(max=busy_cycles + 1)
        self.comb += self.output.busy.eq(remaining != 0)
        self.sync += [
            If(remaining != 0, remaining.eq(remaining - 1)),
            If(self.output.stb, self.value.eq(self.output.data), remaining.eq(busy_cycles)),
            If(self.reset, self.value.eq(0), remaining.eq(0)),
        ]
