"""Names of signals, memories and cells by the module that drives them: ``ethmac.core.tx_cdc.fifo.produce.q``."""

from typing import Any

from migen import Signal
from migen.fhdl.tools import list_targets

from .netlist import Netlist


class Names:
    """Reads the tree of finalized modules below ``top``."""

    def __init__(self, top: Any) -> None:
        self.modules: list[tuple[str, Any]] = []
        self._paths: dict[int, str] = {}
        self._seen: set[int] = set()
        self._kept: list[Any] = []
        self._walk(top, "")
        self.netlist: Netlist | None = None

    def _walk(self, module: Any, path: str) -> None:
        anonymous: dict[str, int] = {}
        for name, child in module._submodules:
            if name is None:
                kind = type(child).__name__.lower()
                name = f"{kind}{anonymous.get(kind, 0)}"
                anonymous[kind] = anonymous.get(kind, 0) + 1
            self._walk(child, f"{path}.{name}" if path else name)
        self.modules.append((path, module))
        # A module's fragment holds those of its children too, which have named theirs by now.
        fragment = module._fragment
        for statements in (fragment.comb, *fragment.sync.values()):
            for statement in statements:
                if id(statement) not in self._seen:
                    self._seen.add(id(statement))
                    self._kept.append(statement)
                    for signal in list_targets(statement):
                        self._paths.setdefault(id(signal), path)
        for special in fragment.specials:
            if id(special) not in self._paths:
                self._paths[id(special)] = path
                for signal in special.list_ios(False, True, False):
                    self._paths.setdefault(id(signal), path)

    def is_port(self, signal: Signal) -> None:
        """A port is called as on the outside, whichever module drives it."""
        self._paths[id(signal)] = ""

    def signal(self, signal: Signal) -> str:
        path, name = self._paths.get(id(signal), ""), own_name(signal)
        return f"{path}.{name}" if path else name

    def bit(self, bit: int) -> str:
        if self.netlist is None:
            raise ValueError("no netlist to look up bits in")
        signal, place = self.netlist.signal(bit)
        return self.signal(signal) + (f"[{place}]" if len(signal) > 1 else "")

    def special(self, special: Any) -> str:
        """Of a cell or a memory."""
        path = self._paths.get(id(special), "")
        name = getattr(special, "name_override", None) or type(special).__name__
        return f"{path}.{name}" if path else name


def own_name(signal: Signal) -> str:
    if signal.name_override:
        return str(signal.name_override)
    return str(signal.backtrace[-1][0] or "signal")
