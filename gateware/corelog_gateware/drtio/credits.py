"""The core device's account of the room at every destination."""

from migen import Case, If, Memory, Module, Signal
from migen.fhdl.specials import READ_FIRST

from ..rtio.cri import SPACE_BITS, SPACE_UNREACHABLE
from ..rtio.tsc import TimestampCounter
from .interface import DESTINATIONS
from .spaces import SpaceRequester

_IDLE, _READ, _DECIDE, _ASK, _WAIT, _PAUSE = range(6)


class Credits(Module):
    """Decides whether an event may be sent: in time, and with room for it at its destination.

    spaces  asked when the room known of is used up; while another question is under way there, that one is waited for
    pause   cycles before it is asked again after the answer that there is no room

    margin    mu; an event whose time is not beyond counter + margin is too late, also while it waits for room
    up        the link is up
    forget    one cycle: nothing is known of any destination any more (takes 256 cycles, in which events wait), and the
              event that waits is unreachable
    ask       high for a cycle, with `destination` and `timestamp`, which stay until one of the answers, one cycle each:
    grant        send it; one event's room is taken from the account
    late         too late
    unreachable  the link is down, somebody on the way knows no way on, or `forget`
    start     one cycle: `spaces` is to be asked for `destination`
    """

    def __init__(self, tsc: TimestampCounter, spaces: SpaceRequester, pause: int) -> None:
        self.margin = Signal(32)
        self.up = Signal()
        self.forget = Signal()
        self.ask = Signal()
        self.destination = Signal(8)
        self.timestamp = Signal(64)
        self.grant = Signal()
        self.late = Signal()
        self.unreachable = Signal()
        self.start = Signal()

        # # #

        room = Memory(SPACE_BITS, DESTINATIONS)
        read = room.get_port(mode=READ_FIRST)
        write = room.get_port(write_capable=True, mode=READ_FIRST)
        self.specials += room, read, write

        # A reset of the logic does not reset a memory.
        clearing, clear_at = Signal(reset=1), Signal(8)
        state = Signal(max=6, reset=_IDLE)
        limit, checked = Signal(64), Signal()
        left = Signal(max=pause + 1)
        too_late, refused, answered = Signal(), Signal(), Signal()
        self.comb += [
            read.adr.eq(self.destination),
            too_late.eq(checked & (self.timestamp <= limit)),
            answered.eq((state == _WAIT) & spaces.done),
            If(
                state != _IDLE,
                self.unreachable.eq(
                    ~self.up | self.forget | (answered & (spaces.space == SPACE_UNREACHABLE))
                ),
                self.late.eq(~self.unreachable & too_late),
                refused.eq(self.unreachable | self.late),
                self.grant.eq((state == _DECIDE) & ~refused & (read.dat_r != 0)),
                self.start.eq((state == _ASK) & ~refused & ~spaces.busy),
            ),
            If(
                clearing,
                write.adr.eq(clear_at), write.we.eq(1),
            ).Elif(
                self.grant,
                write.adr.eq(self.destination), write.dat_w.eq(read.dat_r - 1), write.we.eq(1),
            ).Elif(
                answered & ~refused,
                write.adr.eq(self.destination), write.dat_w.eq(spaces.space), write.we.eq(1),
            ),
        ]
        self.sync += [
            If(clearing, clear_at.eq(clear_at + 1), If(clear_at == DESTINATIONS - 1, clearing.eq(0))),
            If(self.forget, clearing.eq(1), clear_at.eq(0)),
            If(
                state == _IDLE,
                If(self.ask, checked.eq(0), state.eq(_READ)),
            ).Else(
                limit.eq(tsc.full + self.margin),
                checked.eq(1),
                Case(state, {
                    # The second cycle here is the one in which both room and time have been looked at.
                    _READ: If(~clearing & checked, state.eq(_DECIDE)),
                    _DECIDE: If(read.dat_r != 0, state.eq(_IDLE)).Else(state.eq(_ASK)),
                    _ASK: If(~spaces.busy, state.eq(_WAIT)),
                    _WAIT: If(spaces.timed_out, state.eq(_ASK)).Elif(
                        spaces.done,
                        If(spaces.space != 0, state.eq(_READ)).Else(left.eq(pause), state.eq(_PAUSE)),
                    ),
                    _PAUSE: If(left == 0, state.eq(_ASK)).Else(left.eq(left - 1)),
                }),
                If(refused, state.eq(_IDLE)),
            ),
        ]
