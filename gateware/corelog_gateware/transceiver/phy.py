"""Physical layer of a DRTIO link over a channel of a transceiver."""

from litex.soc.cores.code_8b10b import Encoder
from litex.soc.interconnect.csr import AutoCSR, CSRStatus, CSRStorage
from migen import Cat, ClockDomainsRenamer, If, Module, Record, Signal

from ..clocking.mmcm import FREQUENCY
from ..drtio.interface import phy_layout
from .aligner import CommaAligner
from .crossing import PhaseBuffer
from .decoder import Decoder

WATCH = 4096


class Channel(Module):
    """What a transceiver's channel looks like from here; base of those of the devices and of the tests' model.

    ``tx`` (20, `sys`): the symbols of every cycle, bit 0 goes first. ``inhibit`` (`sys`): send nothing.
    ``rx`` (20, `rx`): symbols received, in any position; clock domain ``rx`` is the channel's, recovered.
    ``restart`` (``bootstrap``): start the receiver anew. ``started`` (``bootstrap``): it is started and gives symbols.
    """

    def __init__(self) -> None:
        self.tx = Signal(20)
        self.inhibit = Signal(reset=1)
        self.rx = Signal(20)
        self.restart = Signal()
        self.started = Signal()


class TransceiverPHY(Module, AutoCSR):
    """``phy``, a Record of ``phy_layout()``, over ``channel``. Sending takes the encoder's 2 cycles, receiving the
    decoder's 2 of `rx` and the buffer's constant number: README.md.

    :param uplink: it is a satellite's, whose `sys` comes from this very link: nothing is passed on until the firmware
        says that the clock is settled.
    :param frequency: of ``bootstrap``. :param watch: cycles for which the crossing looks at the phase before it starts.

    Outputs: ``ready`` (`sys`, register), ``recovered``: the clock of ``rx``, good while ``ready``.

    CSRs
      - ``receive`` (1): 1: pass on what is received. At reset 0 for an uplink, otherwise 1.
      - ``rx_ready`` (1): the channel receives, words are aligned: its recovered clock is good. It may still be another
        clock than that of `sys`, so that ``rx_up`` is 0.
      - ``phase`` (3), ``phase_ambiguous`` (1): of the crossing to `sys`, see :class:`PhaseBuffer`.
      - ``slips`` (16): since reset, saturating: the two clocks went apart.
      - ``restarts`` (16): of the receiver, since power-on, modulo 2^16; about 20 for each time the link comes up.
    """

    def __init__(
        self, channel: Channel, uplink: bool = False, frequency: float = FREQUENCY, watch: int = WATCH
    ) -> None:
        self.phy = phy = Record(phy_layout())
        self.recovered = channel.cd_rx.clk
        self.ready = Signal()
        self._receive = CSRStorage(1, reset=not uplink, name="receive")
        self._rx_ready = CSRStatus(1, name="rx_ready")
        self._phase = CSRStatus(3, name="phase")
        self._phase_ambiguous = CSRStatus(1, name="phase_ambiguous")
        self._slips = CSRStatus(16, name="slips")
        self._restarts = CSRStatus(16, name="restarts")

        # # #

        self.submodules.channel = channel
        self.submodules.encoder = encoder = Encoder(2, lsb_first=True)
        self.comb += [
            Cat(*encoder.d).eq(phy.tx_d),
            Cat(*encoder.k).eq(phy.tx_k),
            channel.tx.eq(Cat(*encoder.output)),
        ]
        self.sync += channel.inhibit.eq(~phy.tx_enable)

        self.submodules.decoder = decoder = ClockDomainsRenamer("rx")(Decoder())
        self.submodules.aligner = aligner = CommaAligner(frequency)
        received = Cat(phy.rx_d, phy.rx_k, phy.rx_bad)
        self.submodules.crossing = crossing = PhaseBuffer(len(received), watch)
        self.comb += [
            decoder.symbols.eq(channel.rx),
            aligner.d.eq(decoder.d),
            aligner.k.eq(decoder.k),
            aligner.bad.eq(decoder.bad),
            aligner.started.eq(channel.started),
            channel.restart.eq(aligner.restart),
            crossing.din.eq(Cat(decoder.d, decoder.k, decoder.bad)),
            self.ready.eq(aligner.ready),
            crossing.enable.eq(aligner.ready & self._receive.storage),
            received.eq(crossing.dout),
            phy.rx_up.eq(crossing.up),
            self._rx_ready.status.eq(aligner.ready),
            self._phase.status.eq(crossing.phase),
            self._phase_ambiguous.status.eq(crossing.ambiguous),
            self._restarts.status.eq(aligner.restarts),
        ]
        slips = self._slips.status
        self.sync += If(crossing.slipped & (slips != 2 ** len(slips) - 1), slips.eq(slips + 1))
