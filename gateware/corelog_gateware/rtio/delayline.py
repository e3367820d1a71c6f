"""Delay line in RAM, for what travels beside a pipeline."""

from migen import Memory, Module, Signal
from migen.fhdl.specials import READ_FIRST


class DelayLine(Module):
    """What was on `din` with `we` is on `dout` after `delay` cycles.

    width, delay   bits; cycles, 2 or more
    slot           counts up every cycle, as wide as `slot_bits(delay)`; several lines can share it
    re             high in the cycle before `dout` is used; without it `dout` keeps its value
    """

    def __init__(self, width: int, delay: int, slot: Signal) -> None:
        if delay < 2:
            raise ValueError(f"a delay line needs a delay of 2 cycles or more, not {delay}")
        if len(slot) != self.slot_bits(delay):
            raise ValueError(f"slot must be {self.slot_bits(delay)} bits wide, not {len(slot)}")
        self.din = Signal(width)
        self.we = Signal()
        self.dout = Signal(width)
        self.re = Signal()

        # # #

        ram = Memory(width, 2 ** len(slot))
        port_w = ram.get_port(write_capable=True, mode=READ_FIRST)
        port_r = ram.get_port(has_re=True, mode=READ_FIRST)
        self.specials += ram, port_w, port_r
        oldest = Signal(len(slot))
        self.comb += [
            oldest.eq(slot - (delay - 1)),
            port_w.adr.eq(slot),
            port_w.dat_w.eq(self.din),
            port_w.we.eq(self.we),
            port_r.adr.eq(oldest),
            port_r.re.eq(self.re),
            self.dout.eq(port_r.dat_r),
        ]

    @staticmethod
    def slot_bits(delay: int) -> int:
        """Bits of the slot counter for a delay of that many cycles."""
        return max(1, (delay - 1).bit_length())
