"""Output half of a port: events become write packets."""

from migen import Cat, If, Module, Mux, Signal

from ..rtio.cri import ADDRESS_BITS, CHAN_SEL_BITS, CRI
from .credits import Credits
from .packets import EXTRA_AT, WORD, WRITE, PacketSender

# Cycles from a packet's start until the next event is taken: longer than a board behind takes to submit one
# (lane_count + 7 for its core, a few for its routing), so that it is never overrun.
SPACING = 32

_IDLE, _ADMIT, _SEND, _SPACE = range(4)


class EventWriter(Module):
    """Serves the output half of `cri` (see cri.py) with write packets.

    credits  asked first (core device); None: events are sent as they come (repeater)

    up       the link is up; otherwise events are answered with "unreachable"
    forget   one cycle: the event that waits is not sent, "unreachable"
    missed   one cycle: an event came while another waited, and is dropped
    """

    def __init__(self, cri: CRI, sender: PacketSender, credits: Credits | None = None) -> None:
        self.up = Signal()
        self.forget = Signal()
        self.missed = Signal()

        # # #

        state = Signal(max=4, reset=_IDLE)
        wait, underflow, unreachable, ignored = Signal(), Signal(), Signal(), Signal()
        channel, address = Signal(CHAN_SEL_BITS), Signal(ADDRESS_BITS)
        timestamp, data, extra = Signal(64), Signal(2 * WORD), Signal()
        left = Signal(max=SPACING)
        sent = sender.add(
            WRITE,
            (state == _SEND) & self.up,
            Cat(timestamp, channel, address, extra, Cat(*[0] * (WORD - 1)), data),
            words=Mux(extra, EXTRA_AT + 3, EXTRA_AT + 2),
        )
        self.comb += [
            wait.eq(state != _IDLE),
            cri.o_status.eq(Cat(wait, underflow, unreachable, ignored)),
            self.missed.eq(cri.o_stb & wait),
        ]
        admission = []
        if credits is not None:
            asked = Signal()
            self.comb += [
                credits.destination.eq(channel[16:]),
                credits.timestamp.eq(timestamp),
                credits.ask.eq((state == _ADMIT) & ~asked),
            ]
            admission = [
                If(
                    state == _ADMIT,
                    asked.eq(1),
                    If(credits.grant, state.eq(_SEND)),
                    If(credits.late, underflow.eq(1), state.eq(_IDLE)),
                    If(credits.unreachable, unreachable.eq(1), state.eq(_IDLE)),
                ).Else(asked.eq(0))
            ]
        self.sync += If(
            cri.o_stb | wait,
            *admission,
            If(
                ~wait,
                channel.eq(cri.chan_sel), address.eq(cri.o_address), timestamp.eq(cri.o_timestamp), data.eq(cri.o_data),
                extra.eq(cri.o_data[WORD:] != 0),
                underflow.eq(0), unreachable.eq(0), ignored.eq(0),
                state.eq(_SEND if credits is None else _ADMIT),
            ),
            If(
                state == _SEND,
                left.eq(SPACING - 1),
                If(sent, state.eq(_SPACE)).Elif(~self.up | self.forget, unreachable.eq(1), state.eq(_IDLE)),
            ),
            If(state == _SPACE, left.eq(left - 1), If(left == 0, state.eq(_IDLE))),
            If(self.missed, ignored.eq(1)),
        )
