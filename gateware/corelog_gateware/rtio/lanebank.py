"""The lanes: FIFOs side by side, written one at a time and read all at once."""

from migen import If, Memory, Module, Mux, Signal
from migen.fhdl.specials import READ_FIRST


class LaneBank(Module):
    """lane_count FIFOs of the same size; lane k's oldest entry is on dout[k] while bit k of `readable` is set.

    width       bits of an entry
    depth       exact number of entries held per lane, 1 or more
    lane_count  lanes, 1 or more

    din, we   write an entry into the lanes whose bit is set in `we`; the bit must not be set in `full`
    full      bit k: lane k holds `depth` entries
    dout[k], readable, re   bit k of `re` takes lane k's oldest entry; it must be set in `readable`

    level[k]  entries lane k holds

    An entry written in cycle c is readable from c + 2 on if the lane was empty; one write and one read per lane and
    cycle.
    All state is in vectors with a bit per lane and changes only in cycles in which something moves: a simulation of
    idle lanes costs next to nothing.
    """

    def __init__(self, width: int, depth: int, lane_count: int) -> None:
        if depth < 1 or lane_count < 1:
            raise ValueError(f"a lane bank needs a lane and room in it, not {lane_count} lanes of {depth}")
        self.din = Signal(width)
        self.we = Signal(lane_count)
        self.full = Signal(lane_count)
        self.dout = [Signal(width, name=f"dout{k}") for k in range(lane_count)]
        self.readable = Signal(lane_count)
        self.re = Signal(lane_count)
        self.level = [Signal(max=depth + 1, name=f"level{k}") for k in range(lane_count)]

        # # #

        pointer_bits = max(1, (depth - 1).bit_length())
        stored = Signal(lane_count)  # there are entries in RAM, besides the one on dout
        fetch = Signal(lane_count)
        self.comb += fetch.eq(stored & (~self.readable | self.re))
        moves = []
        for k in range(lane_count):
            produce, consume = Signal(pointer_bits, name=f"produce{k}"), Signal(pointer_bits, name=f"consume{k}")
            level = self.level[k]  # counts entries in RAM and on dout
            # `fetch` never reads the place `we` writes: what is fetched was stored in an earlier cycle.
            ram = Memory(width, 2**pointer_bits)
            port_w = ram.get_port(write_capable=True, mode=READ_FIRST)
            port_r = ram.get_port(has_re=True, mode=READ_FIRST)
            self.specials += ram, port_w, port_r
            self.comb += [
                port_w.adr.eq(produce),
                port_w.dat_w.eq(self.din),
                port_w.we.eq(self.we[k]),
                port_r.adr.eq(consume),
                port_r.re.eq(fetch[k]),
                self.dout[k].eq(port_r.dat_r),
            ]
            write, take = self.we[k], self.re[k]
            moves += [
                If(write, stored[k].eq(1)).Elif(fetch[k], stored[k].eq(level != Mux(self.readable[k], 2, 1))),
                If(write & ~take, self.full[k].eq(level == depth - 1), level.eq(level + 1)).Elif(
                    take & ~write, self.full[k].eq(0), level.eq(level - 1)
                ),
                If(write, produce.eq(produce + 1)),
                If(fetch[k], consume.eq(consume + 1)),
            ]
        self.sync += If(
            (self.we | fetch | self.re) != 0, *moves, self.readable.eq((self.readable & ~self.re) | fetch)
        )
