"""Self-synchronising scrambler and descrambler of D bytes, polynomial x^23 + x^18 + 1."""

from migen import Cat, Constant, If, Module, Mux, Signal

_BITS = 23  # x^23: the oldest bit that counts
_TAP = 18   # x^18


class Scrambler(Module):
    """Scrambles (or descrambles) a word in a cycle.

    descramble  False: scrambled bits are o's; True: they are i's

    i      word; byte 0 first, the least significant bit of a byte first
    k      byte 0 is a K symbol: it passes unchanged and is no part of the sequence
    ce     the word is part of the sequence
    o      i, scrambled or descrambled; valid in the same cycle, whatever ce is

    Each bit sent is the bit given plus (modulo 2) the bits sent 18 and 23 D bits before, all older than the word. So a
    descrambler that has seen 23 right bits is right from then on, whatever came before. A wrong bit received makes
    three wrong ones; whatever a wrong byte becomes by that, the CRCs of packets and frames find it.
    """

    def __init__(self, descramble: bool = False) -> None:
        self.i = Signal(16)
        self.k = Signal()
        self.ce = Signal()
        self.o = Signal(16)

        # # #

        # Bit 0 is the oldest, bit 22 the one sent last. All ones: zeros would stay zeros while the link is idle.
        state = Signal(_BITS, reset=2**_BITS - 1)
        key = Signal(16)
        scrambled = self.i if descramble else self.o
        first = _BITS - _TAP
        self.comb += [
            key.eq(state[:16] ^ state[first : first + 16]),
            self.o.eq(self.i ^ Mux(self.k, Cat(Constant(0, 8), key[:8]), key)),
        ]
        self.sync += If(
            self.ce,
            If(self.k, state.eq(Cat(state[8:], scrambled[8:]))).Else(state.eq(Cat(state[16:], scrambled))),
        )
