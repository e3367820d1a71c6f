"""What packets from upstream ask for, done on a CRI."""

from migen import Case, Cat, Constant, If, Module, Signal

from ..rtio.cri import ADDRESS_BITS, CHAN_SEL_BITS, CRI, O_WAIT
from ..rtio.fifo import BufferedFIFO
from .packets import READ_REQUEST, SPACE_REQUEST, WRITE, PacketReceiver

# Who is upstream sends events no faster than they can be submitted; this takes what comes closer together on its way.
QUEUE_DEPTH = 8

_WRITE, _READ, _SPACE = range(3)


class Commands(Module):
    """Begins on `cri` what packets ask for, in their order; waits for events' submission, but not for reads and
    questions about space.

    overflow  one cycle: an event finds no room in the queue and is dropped
    written   one cycle: the submission of the event that still is on cri.chan_sel and cri.o_timestamp is over; how it
              went is in cri.o_status
    read_pending, space_pending    a read / question was begun in an earlier cycle and is not answered yet;
                                   read_number / space_number came with it. A later one takes its place.
    read_answered, space_answered  driven by the user, one cycle: it is now
    """

    def __init__(self, receiver: PacketReceiver, cri: CRI) -> None:
        self.overflow = Signal()
        self.written = Signal()
        self.read_pending, self.read_number, self.read_answered = Signal(), Signal(8), Signal()
        self.space_pending, self.space_number, self.space_answered = Signal(), Signal(8), Signal()

        # # #

        # One form for all three in the queue; the number of a read or question is in the place of the address.
        write, read, space = (receiver.fields[kind] for kind in (WRITE, READ_REQUEST, SPACE_REQUEST))
        kind, channel, address = Signal(2), Signal(CHAN_SEL_BITS), Signal(ADDRESS_BITS)
        time, data = Signal(64), Signal(32)
        entry = Cat(kind, channel, address, time, data)
        self.submodules.queue = queue = BufferedFIFO(len(entry), QUEUE_DEPTH)
        self.comb += If(
            receiver.stb,
            Case(receiver.kind, {
                WRITE: [
                    queue.we.eq(1),
                    queue.din.eq(Cat(
                        Constant(_WRITE, 2), write["channel"], write["address"], write["time"], write["data"]
                    )),
                    self.overflow.eq(~queue.writable),
                ],
                READ_REQUEST: [
                    queue.we.eq(1),
                    queue.din.eq(Cat(Constant(_READ, 2), read["channel"], read["number"], read["timeout"])),
                ],
                SPACE_REQUEST: [
                    queue.we.eq(1),
                    queue.din.eq(Cat(Constant(_SPACE, 2), Constant(0, 16), space["destination"], space["number"])),
                ],
                "default": [],
            }),
        )

        writing = Signal()
        self.comb += [
            entry.eq(queue.dout),
            cri.chan_sel.eq(channel),
            cri.o_address.eq(address),
            cri.o_timestamp.eq(time),
            cri.o_data.eq(data),
            cri.i_timeout.eq(time),
            If(
                queue.readable,
                cri.o_stb.eq((kind == _WRITE) & ~writing),
                cri.i_stb.eq(kind == _READ),
                cri.space_stb.eq(kind == _SPACE),
                self.written.eq(writing & ((cri.o_status & O_WAIT) == 0)),
                queue.re.eq((kind != _WRITE) | self.written),
            ),
        ]
        self.sync += [
            If(cri.o_stb, writing.eq(1)).Elif(self.written, writing.eq(0)),
            If(self.read_answered, self.read_pending.eq(0)),
            If(self.space_answered, self.space_pending.eq(0)),
            If(cri.i_stb, self.read_pending.eq(1), self.read_number.eq(address)),
            If(cri.space_stb, self.space_pending.eq(1), self.space_number.eq(address)),
        ]
