"""The MMCM that makes `sys` and its multiples."""

from migen import ClockDomain, Instance, Module, Signal

FREQUENCY = 125_000_000
# Of the VCO, 1 GHz, in which every output is a whole number of periods.
_MULTIPLY, _SYS, _SYS4X = 8, 8, 2


class SysMMCM(Module):
    """Clock domains ``sys`` (125 MHz), ``sys4x`` (500 MHz, no reset) and, with ``dqs``, ``sys4x_dqs`` (500 MHz, a
    quarter period later, no reset), all in phase with the input, whichever it is.

    :param main, bootstrap: the inputs, 125 MHz, from global buffers.

    Inputs: ``select`` (1: main), to be changed only while ``stop`` (reset) is high. Output: ``locked``, of no domain.
    The reset of ``sys`` is its user's.
    """

    def __init__(self, main: Signal, bootstrap: Signal, dqs: bool) -> None:
        self.select = Signal()
        self.stop = Signal()
        self.locked = Signal()
        self.clock_domains.cd_sys = ClockDomain()
        self.clock_domains.cd_sys4x = ClockDomain(reset_less=True)
        if dqs:
            self.clock_domains.cd_sys4x_dqs = ClockDomain(reset_less=True)

        # # #

        feedback, buffered = Signal(), Signal()
        outputs = [(self.cd_sys, _SYS, 0.0), (self.cd_sys4x, _SYS4X, 0.0)]
        if dqs:
            outputs.append((self.cd_sys4x_dqs, _SYS4X, 90.0))
        parameters = {}
        for n, (domain, divide, phase) in enumerate(outputs):
            output = Signal()
            # The first output's divider is fractional, and called so.
            parameters |= {
                f"p_CLKOUT{n}_DIVIDE{'_F' if n == 0 else ''}": float(divide) if n == 0 else divide,
                f"p_CLKOUT{n}_PHASE": phase,
                f"o_CLKOUT{n}": output,
            }
            self.specials += Instance("BUFG", i_I=output, o_O=domain.clk)
        self.specials += [
            Instance(
                "MMCME2_ADV",
                p_CLKIN1_PERIOD=1e9 / FREQUENCY,
                p_CLKIN2_PERIOD=1e9 / FREQUENCY,
                p_CLKFBOUT_MULT_F=float(_MULTIPLY),
                p_DIVCLK_DIVIDE=1,
                i_CLKIN1=main,
                i_CLKIN2=bootstrap,
                i_CLKINSEL=self.select,
                i_CLKFBIN=buffered,
                o_CLKFBOUT=feedback,
                i_RST=self.stop,
                o_LOCKED=self.locked,
                **parameters,
            ),
            # A buffer of the same kind in the loop: the outputs come in phase with the input.
            Instance("BUFG", i_I=feedback, o_O=buffered),
        ]
