"""8b/10b decoder that finds every symbol that is no code or breaks the running disparity."""

from migen import If, Memory, Module, Signal

from .code_8b10b import SYMBOLS, WIDTH, pack, table, unpack


class Decoder(Module):
    """Decodes a word of two symbols in every cycle.

    ``symbols`` (20): input, bit 0 came first. Outputs, registers, two cycles later: ``d`` (16), ``k`` (2), ``bad``: one
    of the symbols is no valid code, or not after what came before it; then ``d`` and ``k`` mean nothing. A flipped bit
    makes its word bad or one of the next ones, as in any 8b/10b decoder.
    """

    def __init__(self) -> None:
        self.symbols = Signal(20)
        self.d = Signal(16)
        self.k = Signal(2)
        self.bad = Signal()

        # # #

        memory = Memory(WIDTH, SYMBOLS, init=[pack(symbol) for symbol in table()])
        self.specials += memory
        disparity = Signal()  # before the word: 1 positive
        after: Signal = disparity
        wrong = []
        for n in range(2):
            port = memory.get_port()
            self.specials += port
            self.comb += port.adr.eq(self.symbols[10 * n : 10 * n + 10])
            d, k, minus, plus, up, down = unpack(port.dat_r)
            before, after = after, Signal()
            self.comb += If(up, after.eq(1)).Elif(down, after.eq(0)).Else(after.eq(before))
            wrong.append(Signal())
            self.comb += If(before, wrong[n].eq(~plus)).Else(wrong[n].eq(~minus))
            self.sync += [self.d[8 * n : 8 * n + 8].eq(d), self.k[n].eq(k)]
        self.sync += [disparity.eq(after), self.bad.eq(wrong[0] | wrong[1])]
