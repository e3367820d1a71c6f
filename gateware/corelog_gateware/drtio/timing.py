"""Time over a link: measuring how long an echo takes, and sending the time."""

from migen import If, Module, Signal

from ..rtio.cri import FINE_BITS
from ..rtio.tsc import TimestampCounter
from .packets import ECHO, SET_TIME, TO_SATELLITE, PacketReceiver, PacketSender, words_of

ECHO_CYCLES_MAX = 4095

# An echo takes from its start word at this end until its answer is checked here, that is, both ways a start word, a CRC
# and the receiver's cycle. The satellite loads a time one way, a start word, the time, a CRC and that cycle after the
# port read it from its counter. So the time to add is half an echo and the time's words; the rest is in both.
TIME_CONSTANT = words_of(TO_SATELLITE[SET_TIME]) << FINE_BITS


class TimeSender(Module):
    """Sends the time, and measures what is needed for that.

    correction   mu, added to the time of the cycle in which the packet starts
    set_time     one cycle: send the time
    setting      it is not sent yet
    echo         one cycle: measure
    echo_busy    a measurement is under way
    echo_cycles  its result: from an echo's start to its answer; 0: none came in ECHO_CYCLES_MAX cycles
    """

    def __init__(self, sender: PacketSender, receiver: PacketReceiver, tsc: TimestampCounter) -> None:
        self.correction = Signal(32)
        self.set_time = Signal()
        self.setting = Signal()
        self.echo = Signal()
        self.echo_busy = Signal()
        self.echo_cycles = Signal(16)

        # # #

        time_sent = sender.add(SET_TIME, self.setting, tsc.full + self.correction)
        asked = Signal()
        echo_sent = sender.add(ECHO, asked)
        cycles = Signal(max=ECHO_CYCLES_MAX + 1)
        self.comb += self.echo_busy.eq(asked | (cycles != 0))
        self.sync += [
            If(time_sent, self.setting.eq(0)),
            If(self.set_time, self.setting.eq(1)),
            If(
                self.echo & ~self.echo_busy, asked.eq(1), self.echo_cycles.eq(0),
            ).Elif(
                echo_sent, asked.eq(0), cycles.eq(1),
            ).Elif(
                cycles != 0,
                cycles.eq(cycles + 1),
                If(cycles == ECHO_CYCLES_MAX, cycles.eq(0)),
                If(receiver.stb & (receiver.kind == ECHO), self.echo_cycles.eq(cycles), cycles.eq(0)),
            ),
        ]
