"""Questions about buffer space, from a port to what lies behind it."""

from migen import Cat, If, Module, Signal

from ..rtio.cri import SPACE_BITS, SPACE_UNREACHABLE
from .packets import SPACE, SPACE_REQUEST, PacketReceiver, PacketSender

_IDLE, _SEND, _WAIT = range(3)


class SpaceRequester(Module):
    """Asks how many events surely fit at a destination.

    timeout  cycles after which a question without answer is given up; None: never

    up           the link is up
    forget       give up
    start        high for a cycle: ask about `destination` of that cycle, instead of what is asked now, if anything
    busy         a question is under way, from the cycle after start on
    done         one cycle, with busy low again: there is an answer in `space`: SPACE_UNREACHABLE if the link is down
    timed_out    one cycle, with busy low again: there is none
    """

    def __init__(self, sender: PacketSender, receiver: PacketReceiver, timeout: int | None = None) -> None:
        self.up = Signal()
        self.forget = Signal()
        self.start = Signal()
        self.destination = Signal(8)
        self.busy = Signal()
        self.done = Signal()
        self.timed_out = Signal()
        self.space = Signal(SPACE_BITS)

        # # #

        state = Signal(max=3, reset=_IDLE)
        destination, number = Signal(8), Signal(8)
        left = Signal(max=(timeout or 0) + 2)
        reply = receiver.fields[SPACE]
        sent = sender.add(SPACE_REQUEST, state == _SEND, Cat(destination, number))
        self.comb += self.busy.eq(state != _IDLE)
        expire = [] if timeout is None else [
            If(left == 0, self.timed_out.eq(1), state.eq(_IDLE)).Else(left.eq(left - 1))
        ]
        self.sync += [
            If(self.done | self.timed_out, self.done.eq(0), self.timed_out.eq(0)),
            If(
                self.start,
                destination.eq(self.destination), number.eq(number + 1), left.eq(timeout or 0), state.eq(_SEND),
            ).Elif(
                self.busy,
                *expire,
                If(sent, state.eq(_WAIT)),
                If(
                    (state == _WAIT) & receiver.stb & (receiver.kind == SPACE) & (reply["number"] == number),
                    self.space.eq(reply["events"]), self.timed_out.eq(0), self.done.eq(1), state.eq(_IDLE),
                ),
                If(~self.up, self.space.eq(SPACE_UNREACHABLE), self.timed_out.eq(0), self.done.eq(1), state.eq(_IDLE)),
                If(self.forget, self.done.eq(0), self.timed_out.eq(1), state.eq(_IDLE)),
            ),
        ]
