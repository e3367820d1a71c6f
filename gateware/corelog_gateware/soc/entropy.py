"""Random words on real boards, from the jitter between two oscillators.

A ring oscillator of LUTs would be the usual source, but it is a combinational loop, which synthesis, simulation and
checks all have to be talked into, and whose quality depends on the placement. The oscillator of the FPGA's
configuration logic is a ring oscillator too, laid out by the vendor, and comes as an ordinary clock. The words serve
for boot ids and sequence numbers, which have to differ; they are not for keys.
"""

from migen import ClockDomain, Module, Mux, Signal
from migen.genlib.cdc import MultiReg

# Of maximal length.
POLYNOMIAL = 0x04C11DB7


class Entropy(Module):
    """Samples ``noise_clk`` in every cycle of ``sys`` into a 32-bit shift register with feedback, the CRC-32 of all
    samples since configuration. Output ``word`` (32): its state; no reset reaches it.

    Should the oscillator stand still, words still change, but are the same ones after every configuration.
    """

    def __init__(self, noise_clk: Signal):
        self.word = Signal(32, reset_less=True)
        self.clock_domains.cd_noise = ClockDomain(reset_less=True)

        # # #

        half, sample = Signal(reset_less=True), Signal()
        self.comb += self.cd_noise.clk.eq(noise_clk)
        self.sync.noise += half.eq(~half)
        self.specials += MultiReg(half, sample)
        feedback = Mux(self.word[-1] ^ sample, POLYNOMIAL, 0)
        self.sync += self.word.eq((self.word << 1) ^ feedback)
