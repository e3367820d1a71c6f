"""Digital outputs and inputs with a resolution of one coarse cycle."""

from migen import If, Module, Signal
from migen.genlib.cdc import MultiReg

from ..channel import InputInterface, OutputInterface

ADDRESS_SENSITIVITY = 2
ADDRESS_SAMPLE = 3

_SYNCHRONISER_STAGES = 2


class Output(Module):
    """TTL output: data bit 0 of an event at any address is the level, from the cycle of the event's coarse time on.

    pad    one bit, becomes a register; low after reset
    reset  puts the level to low
    """

    replace = True

    def __init__(self, pad: Signal) -> None:
        self.output = OutputInterface(data_width=1)
        self.reset = Signal()

        # # #

        self.sync += If(self.output.stb | self.reset, pad.eq(self.output.data & ~self.reset))


class Input(Module):
    """TTL input: makes events of the pad's edges and, on command, of its level.

    Commands (output events):
      address 2, sensitivity: data bit 0 rising, bit 1 falling edges make events, from that time on
      address 3, sample: an event with the level at that time
      others are ignored
    An event has the level (after an edge) in data bit 0 and the time of the edge or sample, in mu, fine part 0.
    A sample in the very cycle of an edge that makes an event gives that one event only.

    pad          may be asynchronous; pulses shorter than a cycle may be missed
    extra_delay  cycles the signal has already lost on its way to `pad`, taken off the events' time
    reset        no edge makes an event
    """

    replace = True

    def __init__(self, pad: Signal, extra_delay: int = 0) -> None:
        # Two synchroniser registers, and one for the event.
        self.input = InputInterface(data_width=1, delay=_SYNCHRONISER_STAGES + 1 + extra_delay)
        self.output = OutputInterface(data_width=2, address_width=2)
        self.reset = Signal()

        # # #

        level, before = Signal(), Signal()
        self.specials += MultiReg(pad, level, n=_SYNCHRONISER_STAGES)

        # A command acts on what the pad shows at its time, which is `level` so many cycles later.
        lag = _SYNCHRONISER_STAGES + extra_delay
        sensitivity = [Signal(2, name=f"sensitivity{n}") for n in range(lag + 1)]
        sample = [Signal(name=f"sample{n}") for n in range(lag + 1)]
        self.sync += [
            sample[0].eq(self.output.stb & (self.output.address == ADDRESS_SAMPLE)),
            If(
                self.output.stb & (self.output.address == ADDRESS_SENSITIVITY), sensitivity[0].eq(self.output.data)
            ),
            [sample[n + 1].eq(sample[n]) for n in range(lag)],
            [sensitivity[n + 1].eq(sensitivity[n]) for n in range(lag)],
        ]
        rising, falling = sensitivity[lag][0], sensitivity[lag][1]
        self.sync += [
            before.eq(level),
            self.input.stb.eq(sample[lag] | (rising & level & ~before) | (falling & ~level & before)),
            self.input.data.eq(level),
            If(self.reset, [s.eq(0) for s in sensitivity], [s.eq(0) for s in sample]),
        ]
