"""Input side: a FIFO per input channel and the reader that takes events out of them."""

from collections.abc import Sequence

from migen import Case, Cat, If, Module, Signal

from .channel import Channel
from .cri import CHAN_SEL_BITS, COARSE_BITS, CRI, FINE_BITS
from .fifo import BufferedFIFO
from .tsc import TimestampCounter

# Cycles from a PHY's strobe until the reader sees the event: into the register, into the FIFO, to its output.
_LATENCY = 3

_IDLE, _SELECT, _LOOK = range(3)


class InputReader(Module):
    """Keeps the input events of all channels and serves reads of `cri` (the input half, see cri.py).

    depth  events held per channel. An event that finds its FIFO full is lost and marks the channel as overflown; the
           next read of the channel reports that, once, and takes no event out.

    A read returns the oldest event of the channel whatever its time; "no event" only when the counter is so far past
    the timeout that an event that happened until then would have been seen.
    """

    def __init__(self, cri: CRI, tsc: TimestampCounter, channels: Sequence[Channel], depth: int = 64) -> None:
        inputs = {n: channel.input for n, channel in enumerate(channels) if channel.input is not None}

        wait = Signal()
        no_event = Signal(reset=1)
        overflow, unreachable = Signal(), Signal()
        chan_sel = Signal(CHAN_SEL_BITS)
        timeout = Signal(COARSE_BITS)

        # # #

        self.comb += cri.i_status.eq(Cat(no_event, overflow, wait, unreachable))

        fifos, lost = {}, {}
        acknowledge = Signal()  # the reader reports the overflow of channel chan_sel in this cycle
        take = Signal()  # the reader takes the oldest event of channel chan_sel in this cycle
        for n, phy in inputs.items():
            fifo = BufferedFIFO(64 + len(phy.data), depth)
            setattr(self.submodules, f"fifo{n}", fifo)
            fifos[n] = fifo
            lost[n] = Signal(name=f"lost{n}")
            selected = Signal(name=f"selected{n}")
            fine = Cat(*([0] * (FINE_BITS - len(phy.fine))), phy.fine) if phy.fine is not None else 0
            self.comb += [selected.eq(chan_sel == n), fifo.re.eq(take & selected)]
            self.sync += [
                fifo.we.eq(phy.stb),
                If(
                    phy.stb,
                    fifo.din[:FINE_BITS].eq(fine),
                    fifo.din[FINE_BITS:64].eq(tsc.coarse - phy.delay),
                    fifo.din[64:].eq(phy.data),
                ),
                If(fifo.we & ~fifo.writable, lost[n].eq(1)).Elif(acknowledge & selected, lost[n].eq(0)),
            ]

        # The counter minus what an event needs to get here, so that the timeout is compared without an adder.
        seen_until = Signal(COARSE_BITS)
        margin = _LATENCY + max((phy.delay for phy in inputs.values()), default=0)
        state = Signal(max=3, reset=_IDLE)
        expired, there, was_lost, known = Signal(), Signal(), Signal(), Signal()
        self.comb += [
            wait.eq(state != _IDLE),
            acknowledge.eq((state == _LOOK) & was_lost),
            take.eq((state == _LOOK) & ~was_lost & there),
        ]
        look = {
            n: [
                there.eq(fifos[n].readable),
                was_lost.eq(lost[n]),
                known.eq(1),
                cri.i_timestamp.eq(fifos[n].dout[:64]),
                cri.i_data.eq(fifos[n].dout[64:]),
            ]
            for n in inputs
        }
        self.sync += If(
            (state != _IDLE) | cri.i_stb,
            Case(state, {
                # What is seen in one cycle is decided upon in the next; nobody else takes events meanwhile.
                _SELECT: [
                    known.eq(0),
                    Case(chan_sel, {**look, "default": []}),
                    seen_until.eq(tsc.coarse - margin),
                    state.eq(_LOOK),
                ],
                _LOOK: If(~known, unreachable.eq(1), state.eq(_IDLE))
                .Elif(was_lost, overflow.eq(1), state.eq(_IDLE))
                .Elif(there, state.eq(_IDLE))
                .Elif(expired, no_event.eq(1), state.eq(_IDLE))
                .Else(state.eq(_SELECT)),
            }),
            If(
                cri.i_stb,
                chan_sel.eq(cri.chan_sel),
                timeout.eq(cri.i_timeout[FINE_BITS:]),
                no_event.eq(0), overflow.eq(0), unreachable.eq(0),
                state.eq(_SELECT),
            ),
        )
        self.comb += expired.eq(~seen_until[-1] & (seen_until > timeout))
