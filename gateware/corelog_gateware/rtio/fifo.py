"""FIFO with registered output, in RAM, any depth from 1."""

from collections.abc import Sequence

from migen import If, Memory, Module, Signal
from migen.fhdl.specials import READ_FIRST


class BufferedFIFO(Module):
    """First in, first out; the oldest entry is on `dout` while `readable`.

    widths  the entry is a list of fields; each has its own RAM (fields of up to 64 bits simulate fast)
    depth   exact number of entries held, 1 or more

    din[k], we      write an entry; while not `writable` nothing is written
    writable        there is room
    dout[k], readable, re   the oldest entry; `re` takes it, ignored while not `readable`
    level           entries held, 0 to depth

    An entry written in cycle c is readable from c + 2 on if the FIFO was empty; one write and one read per cycle.
    """

    def __init__(self, widths: Sequence[int], depth: int) -> None:
        if depth < 1:
            raise ValueError(f"FIFO depth must be 1 or more, not {depth}")
        self.din = [Signal(width) for width in widths]
        self.we = Signal()
        self.writable = Signal()
        self.dout = [Signal(width) for width in widths]
        self.readable = Signal()
        self.re = Signal()
        self.level = Signal(max=depth + 1)

        # # #

        produce = Signal(max=max(depth, 2))
        consume = Signal(max=max(depth, 2))
        stored = Signal(max=depth + 1)  # entries in RAM; `level` also counts the one on dout
        write, fetch, take = Signal(), Signal(), Signal()
        self.comb += [
            self.writable.eq(self.level != depth),
            write.eq(self.we & self.writable),
            take.eq(self.re & self.readable),
            fetch.eq((stored != 0) & (~self.readable | self.re)),
        ]
        # `fetch` never reads the place `write` writes: what is fetched was stored in an earlier cycle.
        for din, dout, width in zip(self.din, self.dout, widths, strict=True):
            ram = Memory(width, depth)
            port_w = ram.get_port(write_capable=True, mode=READ_FIRST)
            port_r = ram.get_port(has_re=True, mode=READ_FIRST)
            self.specials += ram, port_w, port_r
            self.comb += [
                port_w.adr.eq(produce),
                port_w.dat_w.eq(din),
                port_w.we.eq(write),
                port_r.adr.eq(consume),
                port_r.re.eq(fetch),
                dout.eq(port_r.dat_r),
            ]

        def step(pointer: Signal) -> object:
            if depth == 2 ** len(pointer):
                return pointer.eq(pointer + 1)
            return If(pointer == depth - 1, pointer.eq(0)).Else(pointer.eq(pointer + 1))

        self.sync += If(
            write | fetch | take,
            If(write, step(produce)),
            If(fetch, step(consume), self.readable.eq(1)).Elif(take, self.readable.eq(0)),
            If(write & ~fetch, stored.eq(stored + 1)).Elif(fetch & ~write, stored.eq(stored - 1)),
            If(write & ~take, self.level.eq(self.level + 1)).Elif(take & ~write, self.level.eq(self.level - 1)),
        )
