"""Where each clock of a design comes from, and which clocks are related."""

from dataclasses import dataclass
from typing import Any

from migen import Instance
from migen.fhdl.structure import _Fragment

from .blackboxes import CELLS, Cell
from .names import Names
from .netlist import Netlist, union


class CheckError(Exception):
    """What stops a check, in one line that says what to do."""


@dataclass(frozen=True)
class Clock:
    """``root`` is the bit that it starts at. Clocks of one ``group`` come from the same clock manager: their phases are
    known, so the vendor's timing analysis covers what passes between them."""

    name: str
    root: int
    group: int


def cell_of(instance: Instance) -> Cell:
    try:
        return CELLS[instance.of]
    except KeyError:
        raise CheckError(f"check/blackboxes.py does not have cell {instance.of}: add the clocks of its pins") from None


class Clocks:
    """:param names: of instances and signals, for messages.
    :param ports: bits of the design's ports.
    """

    def __init__(self, netlist: Netlist, names: Names, ports: set[int]) -> None:
        self.netlist, self.names, self.ports = netlist, names, ports
        self.fragment: _Fragment = netlist.fragment
        domains = [domain.name for domain in self.fragment.clock_domains]
        if twice := sorted({name for name in domains if domains.count(name) > 1}):
            raise CheckError(f"clock domain {twice[0]} is declared twice: what is in it gets the clock of either")
        self._drivers: dict[int, tuple[Instance, str]] = {}
        self._inputs: dict[tuple[int, str], Any] = {}
        for special in self.fragment.specials:
            if isinstance(special, Instance):
                self._pins(special)
        self._known: dict[int, Clock] = {}

    def _pins(self, instance: Instance) -> None:
        for item in instance.items:
            if isinstance(item, Instance.Input | Instance.InOut):
                self._inputs[id(instance), item.name] = item.expr
            elif isinstance(item, Instance.Output):
                for bits, _ in self.netlist.targets(item.expr):
                    for bit in bits:
                        self._drivers[bit] = (instance, item.name)

    def domain(self, name: str) -> Clock:
        try:
            return self.of(self.fragment.clock_domains[name].clk)
        except KeyError:
            raise CheckError(f"there is no clock domain {name}: declare it where clocks are made") from None

    def pin(self, instance: Instance, pin: str) -> Clock | None:
        """The clock at an instance's clock input; None if nothing is connected."""
        expression = self._inputs.get((id(instance), pin))
        return None if expression is None else self.of(expression)

    def of(self, expression: Any) -> Clock:
        """The clock that ``expression``, a clock or its inverse, is."""
        sources = self.netlist.all_sources(expression)
        if len(sources) > 1:
            among = ", ".join(map(self.names.bit, sorted(sources)))
            raise CheckError(f"a clock is made by logic from {among}: use a BUFGCTRL or BUFGCE")
        if not sources:
            return Clock("constant", -1, -1)
        return self._of_bit(next(iter(sources)))

    def _of_bit(self, start: int) -> Clock:
        bit, seen = start, set()
        while True:
            if bit in self._known:
                break
            if bit in seen:
                raise CheckError(f"clock {self.names.bit(start)} is made from itself")
            seen.add(bit)
            before = self._before(bit)
            if before is None:
                self._known[bit] = self._root(bit)
                break
            bit = before
        self._known[start] = self._known[bit]
        return self._known[start]

    def _before(self, bit: int) -> int | None:
        """The bit that this one merely repeats."""
        sources: set[int] = set()
        if bit in self.netlist.comb:
            sources = set().union(*self.netlist.comb[bit])
        elif bit in self._drivers:
            instance, pin = self._drivers[bit]
            inputs = cell_of(instance).through.get(pin, ())
            # Of a differential pair the positive side stands for both.
            sources = set().union(*(self.netlist.all_sources(self._inputs[id(instance), name])
                                    for name in inputs[:1] if (id(instance), name) in self._inputs))
        return next(iter(sources)) if len(sources) == 1 else None

    def _root(self, bit: int) -> Clock:
        if bit in self._drivers:
            instance, pin = self._drivers[bit]
            name = f"{self.names.special(instance)}.{pin}"
            # Bits and what else has a number count from 0: a group of one clock is below it.
            return Clock(name, bit, instance.duid if cell_of(instance).related else -2 - bit)
        name = self.names.bit(bit)
        if bit in self.netlist.comb:
            sources = ", ".join(map(self.names.bit, sorted(union(self.netlist.comb[bit])))) or "constants"
            raise CheckError(f"clock {name} is made by logic from {sources}: use a BUFGCTRL or BUFGCE")
        if bit not in self.ports and bit not in self.netlist.sync:
            raise CheckError(f"clock {name} comes from nowhere: connect it to a port or a clock manager")
        return Clock(name, bit, -2 - bit)

    def parents(self, clock: Clock) -> list[Clock]:
        """The clocks that a clock manager makes ``clock`` from; none if it starts at a port or elsewhere."""
        if clock.root not in self._drivers:
            return []
        instance, _ = self._drivers[clock.root]
        inputs = (self.pin(instance, pin) for pin in ("CLKIN1", "CLKIN2") if cell_of(instance).related)
        return [parent for parent in inputs if parent is not None and parent.root >= 0]

    def is_derived(self, clock: Clock) -> bool:
        """Its period follows from that of another clock, or is that of a port."""
        return clock.root in self.ports or bool(self.parents(clock)) or clock.root < 0

    def apart(self, one: Clock, other: Clock, declared: set[frozenset[Clock]]) -> bool:
        """Whether the vendor's tool is told not to time what passes between two clocks: they are ``declared`` as
        asynchronous, or everything that one of them is made from is."""
        if one == other or frozenset((one, other)) in declared:
            return True
        for clock, rest in ((one, other), (other, one)):
            parents = self.parents(clock)
            if parents and all(self.apart(parent, rest, declared) for parent in parents):
                return True
        return False
