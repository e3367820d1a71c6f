"""Input half of a port: reads become requests, and their answers come back."""

from migen import Cat, If, Module, Signal

from ..rtio.cri import CHAN_SEL_BITS, CRI, FINE_BITS, I_NO_EVENT, I_UNREACHABLE, I_WAIT
from ..rtio.tsc import TimestampCounter
from .packets import READ_NO_EVENT, READ_REPLY, READ_REQUEST, PacketReceiver, PacketSender

_IDLE, _SEND, _WAIT = range(3)


class Reader(Module):
    """Serves the input half of `cri` (see cri.py).

    grace      cycles after a read's own timeout until it is given up as "unreachable"; None: never. A lost answer may
               have been an event, so it is not "no event".

    up         the link is up; otherwise reads are answered with "unreachable"
    forget     one cycle: the read under way ends, "unreachable"
    timed_out  one cycle: a read was given up
    """

    def __init__(
        self,
        cri: CRI,
        sender: PacketSender,
        receiver: PacketReceiver,
        tsc: TimestampCounter,
        grace: int | None = None,
    ) -> None:
        self.up = Signal()
        self.forget = Signal()
        self.timed_out = Signal()

        # # #

        state = Signal(max=3, reset=_IDLE)
        status = Signal(4, reset=I_NO_EVENT)
        channel, timeout, number = Signal(CHAN_SEL_BITS), Signal(64), Signal(8)
        sent = sender.add(READ_REQUEST, state == _SEND, Cat(channel, number, timeout))
        self.comb += cri.i_status.eq(status)
        event, none = receiver.fields[READ_REPLY], receiver.fields[READ_NO_EVENT]

        expire = []
        if grace is not None:
            left = Signal(max=grace + 1)
            passed = Signal()
            expire = [
                passed.eq(tsc.coarse > timeout[FINE_BITS:]),
                If(
                    passed,
                    If(left == 0, self.timed_out.eq(1), status.eq(I_UNREACHABLE), state.eq(_IDLE)).Else(
                        left.eq(left - 1)
                    ),
                ),
            ]
        self.sync += [
            If(self.timed_out, self.timed_out.eq(0)),
            If(
                cri.i_stb,
                channel.eq(cri.chan_sel), timeout.eq(cri.i_timeout), number.eq(number + 1),
                status.eq(I_WAIT), state.eq(_SEND),
                *([] if grace is None else [left.eq(grace), passed.eq(0)]),
            ).Elif(
                state != _IDLE,
                *expire,
                If(sent, state.eq(_WAIT)),
                If(
                    (state == _WAIT) & receiver.stb,
                    If(
                        (receiver.kind == READ_REPLY) & (event["number"] == number),
                        cri.i_timestamp.eq(event["time"]), cri.i_data.eq(event["data"]),
                        self.timed_out.eq(0), status.eq(0), state.eq(_IDLE),
                    ),
                    If(
                        (receiver.kind == READ_NO_EVENT) & (none["number"] == number),
                        self.timed_out.eq(0), status.eq(none["status"][:4] & ~I_WAIT), state.eq(_IDLE),
                    ),
                ),
                If(~self.up | self.forget, self.timed_out.eq(0), status.eq(I_UNREACHABLE), state.eq(_IDLE)),
            ),
        ]
