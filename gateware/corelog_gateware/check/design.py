"""A Migen design as the check of crossings sees it: where values start, where they end, with which clocks."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from litex.build import io
from migen import Instance, Memory, Signal
from migen.fhdl.specials import Tristate, _MemoryPort
from migen.genlib.cdc import MultiReg
from migen.genlib.resetsync import AsyncResetSynchronizer

from .clocks import CheckError, Clock, Clocks, cell_of
from .names import Names
from .netlist import NONE, Bits, Netlist, union

REGISTER, PAD, FREE, CLOCK = "register", "pad", "free pin", "clock"
TRANSCEIVERS = ("IBUFDS_GTE2", "GTPE2_CHANNEL", "GTXE2_CHANNEL")
SERIAL = re.compile(r"I|IB|GT[PX][RT]X[PN]")
CLOCKED_PADS = io.SDRIO | io.DDRInput | io.DDROutput | io.SDRTristate | io.DDRTristate


@dataclass(frozen=True)
class Origin:
    """Where a value starts; only a register has a clock."""

    what: str
    clock: Clock | None = None


@dataclass(frozen=True)
class End:
    """What a register, or a clocked pin of a cell, takes in."""

    name: str
    sources: Sequence[Bits]
    clock: Clock


class Design:
    """:param top: a Migen module. It is finalized, and can be built from afterwards.
    :param ports: signals that are the design's ports.
    :param pad_clocks: name patterns of input pads to the clock domain that they are synchronous to.
    """

    def __init__(self, top: Any, ports: Iterable[Signal] = (), pad_clocks: dict[str, str] | None = None) -> None:
        self.fragment = top.get_fragment()
        # It gives it only once; it is read here, and built by others.
        top.get_fragment_called = False
        self.names = Names(top)
        self.netlist = self.names.netlist = Netlist(self.fragment)
        self.ports = list(ports)
        self.instances = [special for special in self.fragment.specials if isinstance(special, Instance)]
        for port in self.ports:
            self.names.is_port(port)
        bits = {bit for port in self.ports for bit in self.netlist.bits_of(port)}
        self.clocks = Clocks(self.netlist, self.names, bits)
        self.origins: dict[int, Origin] = {}
        self.ends: list[End] = []
        self.multiregs: list[tuple[MultiReg, Clock]] = []
        self.reset_synchronizers: list[Clock] = []
        self.memories = [special for special in self.fragment.specials if isinstance(special, Memory)]
        self._memory_of = {id(port): memory for memory in self.memories for port in memory.ports}
        for special in sorted(self.fragment.specials, key=lambda special: special.duid):
            self._special(special)
        self._registers()
        self._clocks_and_pads(pad_clocks or {})

    def domain_of(self, clock: Clock) -> str:
        """``sys`` or the name of the first clock domain with that clock, else the clock's own."""
        found = [domain.name for domain in self.fragment.clock_domains if self.clocks.domain(domain.name) == clock]
        return "sys" if "sys" in found else next(iter(found), clock.name)

    def clock_ports(self) -> list[Signal]:
        """The ports that clocks enter at, for clock domains and for cells."""
        found = {id(signal): signal for clock in self._entering() for signal in self.ports
                 if clock.root in self.netlist.bits_of(signal)}
        return list(found.values())

    def _entering(self) -> Iterator[Clock]:
        for domain in self.fragment.clock_domains:
            yield self.clocks.domain(domain.name)
        for instance in self.instances:
            cell = cell_of(instance)
            for item in instance.items:
                if isinstance(item, Instance.Input) and cell.is_clock_input(item.name):
                    yield self.clocks.of(item.expr)

    def transceiver_ports(self) -> list[Signal]:
        """The ports of transceivers and of their reference clocks."""
        bits = {bit for instance in self.instances if instance.of in TRANSCEIVERS for item in instance.items
                if isinstance(item, Instance._IO) and SERIAL.fullmatch(item.name)
                for bit in self.netlist.all_sources(item.expr)}
        return [signal for signal in self.ports if not bits.isdisjoint(self.netlist.bits_of(signal))]

    def _start(self, expression: Any, origin: Origin) -> None:
        for bits, _ in self.netlist.targets(expression):
            for bit in bits:
                self.origins[bit] = origin

    def _end(self, name: str, expression: Any, clock: Clock) -> None:
        if expression is not None:
            self.ends.append(End(name, self.netlist.sources(expression), clock))

    def _wire(self, target: Any, source: Any) -> None:
        for (bits, _), made in zip(self.netlist.targets(target), self.netlist.sources(source), strict=False):
            for bit in bits:
                self.netlist.comb[bit].append(made)

    def _registers(self) -> None:
        clocks = {domain: self.clocks.domain(domain) for domain in self.fragment.sync}
        by_signal: dict[tuple[int, str], tuple[Signal, list[int]]] = {}
        for bit, domains in self.netlist.domains.items():
            if len(domains) > 1:
                among = ", ".join(sorted(domains))
                raise CheckError(f"{self.names.bit(bit)} is written in several clock domains: {among}")
            domain, signal = next(iter(domains)), self.netlist.signal(bit)[0]
            self.origins[bit] = Origin(REGISTER, clocks[domain])
            by_signal.setdefault((id(signal), domain), (signal, []))[1].append(bit)
        for (_, domain), (signal, bits) in by_signal.items():
            sources = [made for bit in bits for made in self.netlist.sync[bit]]
            self.ends.append(End(self.names.signal(signal), sources, clocks[domain]))
        for clock_domain in self.fragment.clock_domains:
            if clock_domain.rst is not None and clock_domain.name in clocks:
                self._end(f"reset of {clock_domain.name}", clock_domain.rst, clocks[clock_domain.name])

    def _clocks_and_pads(self, pad_clocks: dict[str, str]) -> None:
        for signal in self.ports:
            name = self.names.signal(signal)
            domain = next((domain for pattern, domain in pad_clocks.items() if fnmatchcase(name, pattern)), None)
            origin = Origin(PAD) if domain is None else Origin(REGISTER, self.clocks.domain(domain))
            for bit in self.netlist.bits_of(signal):
                if bit not in self.netlist.comb:
                    self.origins.setdefault(bit, origin)
        for domain in self.fragment.clock_domains:
            # Even if it is made from others: as data a clock is one.
            self._start(domain.clk, Origin(CLOCK))

    def _special(self, special: Any) -> None:
        if isinstance(special, Instance):
            self._instance(special)
        elif isinstance(special, MultiReg):
            clock = self.clocks.domain(special.odomain)
            self._start(special.o, Origin(REGISTER, clock))
            self.multiregs.append((special, clock))
        elif isinstance(special, AsyncResetSynchronizer):
            clock = self.clocks.of(special.cd.clk)
            self._start(special.cd.rst, Origin(REGISTER, clock))
            self.reset_synchronizers.append(clock)
        elif isinstance(special, _MemoryPort):
            self._port(special)
        elif isinstance(special, CLOCKED_PADS):
            self._clocked_pad(special)
        elif isinstance(special, io.DifferentialInput):
            self._wire(special.o, special.i_p)
        elif isinstance(special, io.ClkInput):
            self._wire(special.o, special.i)
        elif isinstance(special, Tristate):
            if special.i is not None:
                self._wire(special.i, special.target)
        elif not isinstance(special, Memory | io.DifferentialOutput | io.ClkOutput):
            raise CheckError(f"check/design.py does not know what a {type(special).__name__} does: add it")

    def _clocked_pad(self, special: Any) -> None:
        name, clock = self.names.special(special), self.clocks.of(special.clk)
        taken: tuple[str, ...]
        given: tuple[str, ...]
        if isinstance(special, io.SDRTristate | io.DDRTristate):
            taken, given = ("o", "o1", "o2", "oe", "oe1", "oe2"), ("i", "i1", "i2")
        elif isinstance(special, io.SDRInput | io.DDRInput):
            taken, given = (), ("o", "o1", "o2")
        else:
            taken, given = ("i", "i1", "i2"), ()
        for field in taken:
            self._end(name, getattr(special, field, None), clock)
        for field in given:
            if getattr(special, field, None) is not None:
                self._start(getattr(special, field), Origin(REGISTER, clock))

    def _port(self, port: Any) -> None:
        memory = self._memory_of[id(port)]
        clock, name = self.clocks.of(port.clock), f"{self.names.special(memory)}'s port"
        if port.async_read:
            # What is read changes with the address, and when somebody writes.
            made = union([self.netlist.all_sources(port.adr), *(self._contents(memory, p) for p in memory.ports)])
            for bits, _ in self.netlist.targets(port.dat_r):
                for bit in bits:
                    self.netlist.comb[bit].append(made)
        else:
            self._start(port.dat_r, Origin(REGISTER, clock))
        if port.we is not None or not port.async_read:
            self._end(name, port.adr, clock)
        for expression in (port.we, port.dat_w, port.re):
            self._end(name, expression, clock)

    def _contents(self, memory: Any, writer: Any) -> Bits:
        """A bit that stands for what ``writer`` writes."""
        if writer.we is None:
            return NONE
        contents = Signal()
        contents.name_override = self.names.special(memory)
        self._start(contents, Origin(REGISTER, self.clocks.of(writer.clock)))
        return self.netlist.all_sources(contents)

    def _instance(self, instance: Instance) -> None:
        cell, name = cell_of(instance), self.names.special(instance)
        pins = {item.name: item for item in instance.items if isinstance(item, Instance._IO)}
        for pin, item in pins.items():
            is_output = isinstance(item, Instance.Output)
            if is_output and cell.is_clock(pin):
                self._start(item.expr, Origin(CLOCK))
            elif is_output and pin in cell.through:
                for source in cell.through[pin]:
                    if source in pins:
                        self._wire(item.expr, pins[source].expr)
            elif not is_output and cell.is_clock_input(pin):
                continue
            elif (clock_pin := cell.clock_of(pin)) is not None:
                clock = self.clocks.pin(instance, clock_pin)
                if is_output:
                    self._start(item.expr, Origin(REGISTER, clock) if clock else Origin(FREE))
                elif clock is not None:
                    self._end(f"{name}.{pin}", item.expr, clock)
            elif not cell.is_free(pin):
                raise CheckError(f"check/blackboxes.py does not say which clock pin {pin} of {instance.of} belongs to")
            elif is_output:
                self._start(item.expr, Origin(FREE))
