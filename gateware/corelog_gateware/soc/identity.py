"""Who this board is, why it was reset, and the signals by which its firmware speaks to the world around the SoC."""

from litex.soc.interconnect.csr import CSR, AutoCSR, CSRStatus, CSRStorage
from migen import Module, Record, Signal


def identity_layout() -> list[tuple[str, int]]:
    """Signals between the core and its surroundings: ``board_id`` and ``entropy`` go in, the others come out."""
    return [
        ("board_id", 64),
        ("entropy", 32),
        ("entropy_taken", 1),
        ("ready", 1),
        ("mark", 32),
        ("marked", 1),
    ]


class Identity(Module, AutoCSR):
    """Board identity and reset request.

    CSRs
      - ``board_id`` (64): constant and unique to the board.
      - ``entropy`` (32): a random word; every read takes one and a different one follows.
      - ``reset``: write 1 to reset the SoC.
      - ``reset_cause`` (2): 0 power-on, 1 requested, 2 watchdog, 3 change of clock (real boards).
      - ``ready`` (1): the firmware writes 1 when it is up; 0 after a reset.
      - ``mark`` (32): every write is seen outside with the cycle it happened in, for measurements.

    Interface
      - ``pads``: Record of :func:`identity_layout`. ``board_id`` and ``entropy`` are registered here. ``entropy_taken``
        is high in the cycle after a read, then a new word has a few cycles to arrive (a CPU read takes longer).
        ``marked`` is high for one cycle while ``mark`` holds the value written.
      - ``reset_request``: high for one cycle. ``reset_cause`` (2): input.
    """

    def __init__(self, pads: Record | None = None):
        self.pads = Record(identity_layout()) if pads is None else pads
        self.reset_request = Signal()
        self.reset_cause = Signal(2)
        self._board_id = CSRStatus(64, name="board_id")
        self._entropy = CSRStatus(32, name="entropy")
        self._reset = CSR(1, name="reset")
        self._reset_cause = CSRStatus(2, name="reset_cause")
        self._ready = CSRStorage(1, name="ready")
        self._mark = CSRStorage(32, name="mark")

        # # #

        pads = self.pads
        self.comb += [
            self.reset_request.eq(self._reset.re & self._reset.r),
            self._reset_cause.status.eq(self.reset_cause),
            pads.ready.eq(self._ready.storage),
            pads.mark.eq(self._mark.storage),
            pads.marked.eq(self._mark.re),
        ]
        self.sync += [
            self._board_id.status.eq(pads.board_id),
            self._entropy.status.eq(pads.entropy),
            pads.entropy_taken.eq(self._entropy.we),
        ]
