"""FIFO with registered output, in RAM, any depth from 1."""

from migen import If, Memory, Module, Signal
from migen.fhdl.specials import READ_FIRST


class BufferedFIFO(Module):
    """First in, first out; the oldest entry is on `dout` while `readable`.

    width  bits of an entry
    depth  exact number of entries held, 1 or more

    din, we             write an entry; while not `writable` nothing is written
    writable            there is room
    dout, readable, re  the oldest entry; `re` takes it, ignored while not `readable`

    An entry written in cycle c is readable from c + 2 on if the FIFO was empty; one write and one read per cycle.
    """

    def __init__(self, width: int, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"FIFO depth must be 1 or more, not {depth}")
        self.din = Signal(width)
        self.we = Signal()
        self.writable = Signal()
        self.dout = Signal(width)
        self.readable = Signal()
        self.re = Signal()

        # # #

        # Pointers count entries written and fetched, modulo a power of two above the depth; their difference is what
        # lies in RAM. Together with the entry on dout that makes `depth`.
        pointer_bits = depth.bit_length()
        address_bits = max(1, (depth - 1).bit_length())
        produce, consume = Signal(pointer_bits), Signal(pointer_bits)
        stored = Signal(pointer_bits)
        write, fetch = Signal(), Signal()
        self.comb += [
            stored.eq(produce - consume),
            self.writable.eq((stored != depth) & ~(self.readable & (stored == depth - 1))),
            write.eq(self.we & self.writable),
            fetch.eq((produce != consume) & (~self.readable | self.re)),
        ]
        # `fetch` never reads the place `write` writes: what is fetched was stored in an earlier cycle.
        ram = Memory(width, 2**address_bits)
        port_w = ram.get_port(write_capable=True, mode=READ_FIRST)
        port_r = ram.get_port(has_re=True, mode=READ_FIRST)
        self.specials += ram, port_w, port_r
        self.comb += [
            port_w.adr.eq(produce[:address_bits]),
            port_w.dat_w.eq(self.din),
            port_w.we.eq(write),
            port_r.adr.eq(consume[:address_bits]),
            port_r.re.eq(fetch),
            self.dout.eq(port_r.dat_r),
        ]
        self.sync += [
            If(fetch, consume.eq(consume + 1), self.readable.eq(1)).Elif(self.re, self.readable.eq(0)),
            If(write, produce.eq(produce + 1)),
        ]
