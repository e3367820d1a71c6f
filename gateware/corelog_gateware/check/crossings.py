"""Finds every signal of a Migen design that passes between unrelated clocks without a named primitive.

Named primitives: MultiReg of one register per bit (one bit wide, or of a GrayCounter), AsyncResetSynchronizer,
AsyncFIFO, BusSynchronizer, BlindTransfer, ElasticBuffer, and what is made of these.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from litex.gen.genlib import cdc as litex_cdc
from migen.genlib import cdc, fifo
from migen.genlib.cdc import MultiReg

from .clocks import Clock
from .design import CLOCK, FREE, PAD, REGISTER, Design, End, Origin
from .netlist import Bits

# Modules that hold data still while it crosses.
HOLDING = (fifo.AsyncFIFO, cdc.BusSynchronizer, litex_cdc.BusSynchronizer, cdc.BlindTransfer, cdc.ElasticBuffer,
           litex_cdc.ElasticBuffer)
LOGIC, BUS, MEMORY = "logic", "bus", "memory"
KINDS = {
    REGISTER: "from a register into one with another clock",
    PAD: "from a pad into a register",
    FREE: "from a pin without a clock into a register",
    CLOCK: "a clock used as data",
    LOGIC: "a MultiReg of logic instead of a register: it can catch a pulse that never was",
    BUS: "several bits of a register through MultiRegs that are no Gray code: they may be of different times",
    MEMORY: "a memory written with one clock and read with another, in none of the named primitives",
}


@dataclass(frozen=True, order=True)
class Crossing:
    """What passes from ``source`` to ``destination`` without a primitive; clocks by their domains' names."""

    kind: str
    source: str
    source_clock: str
    destination: str
    destination_clock: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.source} ({self.source_clock}) -> {self.destination} ({self.destination_clock})"


@dataclass
class Crossings:
    """``primitives`` counts those in use by (name, source clock, destination clock), ``related`` registers that take
    from clocks of the same clock manager by (source clock, destination clock), which the vendor's tool times."""

    faults: set[Crossing] = field(default_factory=set)
    # Clocks that memories are written and read with: LiteX excepts registers of MultiRegs from timing, not these.
    memories: set[tuple[Clock, Clock]] = field(default_factory=set)
    primitives: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    related: Counter[tuple[str, str]] = field(default_factory=Counter)


def crossings(design: Design) -> Crossings:
    return _Search(design).result


class _Search:
    """Which origins reach a bit is a mask with a bit for each distinct origin."""

    def __init__(self, design: Design) -> None:
        self.design, self.netlist, self.names = design, design.netlist, design.names
        self.result = Crossings()
        self.kinds = sorted(set(design.origins.values()), key=str)
        number = {origin: 1 << n for n, origin in enumerate(self.kinds)}
        self.masks = {bit: number[origin] for bit, origin in design.origins.items()}
        self._domains: dict[Clock, str] = {}
        # What a holder holds: its specials.
        self.held = {id(special): type(module).__name__ for _, module in self.names.modules
                     if isinstance(module, HOLDING) for special in module._fragment.specials}
        self.gray = {bit for _, module in self.names.modules if isinstance(module, cdc.GrayCounter)
                     for bit in self.netlist.bits_of(module.q)}
        self._propagate()
        for end in design.ends:
            self._end(end)
        self._alone: dict[tuple[int, Clock], dict[int, str]] = {}
        for multireg, clock in design.multiregs:
            self._multireg(multireg, clock)
        self._apart()
        for memory in design.memories:
            self._memory(memory)
        for clock in design.reset_synchronizers:
            self.result.primitives["AsyncResetSynchronizer", "any", self._domain(clock)] += 1

    def _domain(self, clock: Clock | None) -> str:
        if clock is None:
            return "no clock"
        if clock not in self._domains:
            self._domains[clock] = self.design.domain_of(clock)
        return self._domains[clock]

    # Which origins reach which bits

    def _mask(self, sets: Iterable[Bits]) -> int:
        mask, masks = 0, self.masks
        for bits in sets:
            for bit in bits:
                mask |= masks.get(bit, 0)
        return mask

    def _propagate(self) -> None:
        comb, origins = self.netlist.comb, self.design.origins
        order: list[int] = []
        seen: set[int] = set()
        for start in comb:
            stack = [(start, False)]
            while stack:
                bit, done = stack.pop()
                if done:
                    order.append(bit)
                elif bit not in seen:
                    seen.add(bit)
                    stack.append((bit, True))
                    stack += [(source, False) for bits in comb[bit] for source in bits
                              if source in comb and source not in origins and source not in seen]
        changed = True
        while changed:  # Once, and again as long as there are loops to carry something around.
            changed = False
            for bit in order:
                if bit not in origins:
                    mask = self._mask(comb[bit])
                    if mask != self.masks.get(bit, 0):
                        self.masks[bit] = mask
                        changed = True

    def _origins(self, sets: Iterable[Bits], wanted: int = -1) -> set[int]:
        """The bits with an origin among ``wanted`` that ``sets`` are made from."""
        found: set[int] = set()
        seen: set[int] = set()
        stack = [bit for bits in sets for bit in bits]
        while stack:
            bit = stack.pop()
            if bit in seen or not self.masks.get(bit, 0) & wanted:
                continue
            seen.add(bit)
            if bit in self.design.origins:
                found.add(bit)
            else:
                stack += [source for bits in self.netlist.comb.get(bit, ()) for source in bits]
        return found

    def _foreign(self, mask: int, clock: Clock) -> int:
        """The part of ``mask`` that is not of ``clock`` or a related one."""
        foreign = 0
        for n, origin in enumerate(self.kinds):
            if mask >> n & 1 and not (origin.clock is not None and origin.clock.group == clock.group):
                foreign |= 1 << n
        return foreign

    # What becomes of them

    def _fault(self, kind: str, bits: Iterable[int], origin: Origin, destination: str, clock: Clock) -> None:
        signals = sorted({self.names.signal(self.netlist.signal(bit)[0]) for bit in bits})
        shown = ", ".join(signals[:3]) + (f" and {len(signals) - 3} more" if len(signals) > 3 else "")
        self.result.faults.add(
            Crossing(kind, shown, self._domain(origin.clock), destination, self._domain(clock))
        )

    def _end(self, end: End) -> None:
        mask = self._mask(end.sources)
        for n, origin in enumerate(self.kinds):
            clock = origin.clock
            if mask >> n & 1 and clock is not None and clock != end.clock and clock.group == end.clock.group:
                self.result.related[self._domain(clock), self._domain(end.clock)] += 1
        foreign = self._foreign(mask, end.clock)
        if foreign:
            for bit in self._origins(end.sources, foreign):
                origin = self.design.origins[bit]
                self._fault(origin.what, [bit], origin, end.name, end.clock)

    def _multireg(self, multireg: MultiReg, clock: Clock) -> None:
        crossing: list[set[int]] = []
        for made in self.netlist.sources(multireg.i):
            if self._foreign(self._mask([made]), clock):
                crossing.append(self._origins([made]))
        if not crossing:
            return
        origins = self.design.origins
        sources = set().union(*crossing)
        first = origins[min(sources)]
        registers = [bits for bits in crossing if any(origins[bit].what == REGISTER for bit in bits)]
        name = self.names.special(multireg) if not hasattr(multireg.o, "backtrace") else self.names.signal(multireg.o)
        primitive = "MultiReg"
        if id(multireg) in self.held:
            primitive = self.held[id(multireg)]
        elif any(len(bits) > 1 for bits in crossing):
            self._fault(LOGIC, sources, first, name, clock)
            return
        elif len(set().union(*registers)) > 1:
            if not sources <= self.gray:
                self._fault(BUS, sources, first, name, clock)
                return
            primitive = "MultiReg of a GrayCounter"
        elif registers:
            bit = min(registers[0])
            self._alone.setdefault((id(self.netlist.signal(bit)[0]), clock), {})[bit] = name
        self.result.primitives[primitive, self._domain(first.clock), self._domain(clock)] += 1

    def _apart(self) -> None:
        """A word is one also if each of its bits has a MultiReg of its own."""
        for (_, clock), bits in self._alone.items():
            if len(bits) > 1 and not bits.keys() <= self.gray:
                names = sorted(set(bits.values()))
                self._fault(BUS, bits, self.design.origins[min(bits)], ", ".join(names[:3]), clock)

    def _memory(self, memory: Any) -> None:
        clocks = [(port, self.design.clocks.of(port.clock)) for port in memory.ports]
        for writer, written in clocks:
            for reader, read in clocks:
                if writer is reader or writer.we is None or reader.async_read or written.group == read.group:
                    continue
                self.result.memories.add((written, read))
                holder = self.held.get(id(memory))
                if holder is None:
                    name = self.names.special(memory)
                    self.result.faults.add(
                        Crossing(MEMORY, name, self._domain(written), f"{name}'s port", self._domain(read))
                    )
                else:
                    self.result.primitives[f"memory of {holder}", self._domain(written), self._domain(read)] += 1
