"""Byte-wise access to a flash-like store for the board's configuration."""

from litex.soc.interconnect.csr import CSR, AutoCSR, CSRStatus, CSRStorage
from migen import If, Module, Record, Signal

STORAGE_SIZE = 64 * 1024


def storage_layout() -> list[tuple[str, int]]:
    """Signals between the core and the store: all driven by the core except ``data`` and ``busy``."""
    return [("address", 16), ("value", 8), ("program", 1), ("erase", 1), ("data", 8), ("busy", 1)]


class Storage(Module, AutoCSR):
    """Front end of a store of 64 KiB whose bits programming can only clear and erasing sets.

    CSRs
      - ``address`` (16): byte address.
      - ``data`` (8): the byte at ``address``, once ``busy`` is 0.
      - ``program``: write v, the byte at ``address`` becomes (byte AND v).
      - ``erase``: write 1, every byte becomes 0xff.
      - ``busy``: 1 from a write to ``address``, ``program`` or ``erase`` until the store has done it. Writes to
        ``program`` and ``erase`` while the store is busy are ignored.

    ``store`` is a Record of :func:`storage_layout`. ``program`` and ``erase`` are high for one cycle, with ``address``
    and ``value`` valid; ``data`` follows ``address`` within one cycle unless ``busy`` says otherwise. ``data`` and
    ``busy`` are registered here, so that they may come from pads.
    """

    def __init__(self, store: Record | None = None):
        self.store = Record(storage_layout()) if store is None else store
        self._address = CSRStorage(16, name="address")
        self._data = CSRStatus(8, name="data")
        self._program = CSR(8, name="program")
        self._erase = CSR(1, name="erase")
        self._busy = CSRStatus(1, name="busy")

        # # #

        store = self.store
        idle = Signal()
        written = Signal()
        # A change needs a cycle to the store and one back through the input registers.
        settle = Signal(3)
        store_busy = Signal()
        self.comb += [
            store.address.eq(self._address.storage),
            idle.eq(~store.busy & ~store_busy),
            written.eq(self._address.re | self._program.re | self._erase.re | store.program | store.erase),
            self._busy.status.eq((settle != 0) | written | ~idle),
        ]
        self.sync += [
            store.value.eq(self._program.r),
            store.program.eq(self._program.re & idle),
            store.erase.eq(self._erase.re & self._erase.r & idle),
            self._data.status.eq(store.data),
            store_busy.eq(store.busy),
            If(written, settle.eq(0b111)).Else(settle.eq(settle[1:])),
        ]
