"""Which bits of a Migen design are made from which, read from its statements before anything is lowered.

A bit of a signal is a number, so that sets of bits are cheap. Conditions count: what decides whether or which value is
assigned is among what the target is made from.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from migen import Case, Cat, ClockSignal, Constant, If, Replicate, ResetSignal, Signal
from migen.fhdl.bitcontainer import value_bits_sign
from migen.fhdl.structure import _ArrayProxy, _Assign, _Fragment, _Operator, _Part, _Slice

Bits = frozenset[int]
NONE: Bits = frozenset()
BITWISE = {"&", "|", "^", "~"}


class Netlist:
    """``comb`` and ``sync`` map a bit to the sets of bits it is made from, ``domains`` the bits of registers to their
    clock domains' names. A bit that is in neither ``comb`` nor ``sync`` has its value from elsewhere."""

    def __init__(self, fragment: _Fragment) -> None:
        self.fragment = fragment
        self.comb: dict[int, list[Bits]] = defaultdict(list)
        self.sync: dict[int, list[Bits]] = defaultdict(list)
        self.domains: dict[int, set[str]] = defaultdict(set)
        self._first: dict[int, int] = {}
        self._signals: list[tuple[int, Signal]] = []
        self._single: dict[int, list[Bits]] = {}
        self._total = 0
        self._expressions: dict[int, tuple[Any, list[Bits]]] = {}
        self._statements(fragment.comb, (), self.comb, None)
        for domain, statements in fragment.sync.items():
            self._statements(statements, (), self.sync, domain)

    # Signals and bits

    def number(self, signal: Signal) -> int:
        """The number of the signal's bit 0."""
        if id(signal) not in self._first:
            self._first[id(signal)] = self._total
            self._signals.append((self._total, signal))
            self._total += len(signal)
        return self._first[id(signal)]

    def bits_of(self, signal: Signal) -> range:
        first = self.number(signal)
        return range(first, first + len(signal))

    def signal(self, bit: int) -> tuple[Signal, int]:
        """The signal that ``bit`` belongs to, and its place in it."""
        low, high = 0, len(self._signals)
        while high - low > 1:
            middle = (low + high) // 2
            if self._signals[middle][0] <= bit:
                low = middle
            else:
                high = middle
        first, signal = self._signals[low]
        return signal, bit - first

    # Expressions

    def sources(self, expression: Any) -> list[Bits]:
        """For every bit of the expression the bits it is made from."""
        if isinstance(expression, bool | int):
            expression = Constant(expression)
        if isinstance(expression, Signal):
            if id(expression) not in self._single:
                self._single[id(expression)] = [frozenset((bit,)) for bit in self.bits_of(expression)]
            return self._single[id(expression)]
        known = self._expressions.get(id(expression))
        if known is None:
            # The expression is kept beside its bits, so that its id stays its own.
            known = self._expressions[id(expression)] = (expression, self._made(expression))
        return known[1]

    def all_sources(self, expression: Any) -> Bits:
        return union(self.sources(expression))

    def _made(self, node: Any) -> list[Bits]:
        if isinstance(node, Constant):
            return [NONE] * node.nbits
        if isinstance(node, ClockSignal):
            return self.sources(self.fragment.clock_domains[node.cd].clk)
        if isinstance(node, ResetSignal):
            reset = self.fragment.clock_domains[node.cd].rst
            return [NONE] if reset is None else self.sources(reset)
        if isinstance(node, _Slice):
            return self.sources(node.value)[node.start : node.stop]
        if isinstance(node, Cat):
            return [bits for part in node.l for bits in self.sources(part)]
        if isinstance(node, Replicate):
            return self.sources(node.v) * node.n
        if isinstance(node, _Part):
            return [self.all_sources(node.value) | self.all_sources(node.offset)] * node.width
        if isinstance(node, _ArrayProxy):
            width = value_bits_sign(node)[0]
            key = self.all_sources(node.key)
            choices = [self._extended(choice, width) for choice in node.choices]
            return [union([key, *(choice[n] for choice in choices)]) for n in range(width)]
        if isinstance(node, _Operator):
            return self._operator(node)
        raise TypeError(f"an expression of type {type(node).__name__} is none that the check of crossings knows")

    def _operator(self, node: _Operator) -> list[Bits]:
        width = value_bits_sign(node)[0]
        if node.op in BITWISE:
            operands = [self._extended(operand, width) for operand in node.operands]
            if node.op == "&":
                masks = [operand.value for operand in node.operands if isinstance(operand, Constant)]
                return [union(o[n] for o in operands) if all(m >> n & 1 for m in masks) else NONE for n in range(width)]
            return [union(operand[n] for operand in operands) for n in range(width)]
        if node.op == "m" and isinstance(node.operands[0], Constant):
            return self._extended(node.operands[1 if node.operands[0].value else 2], width)
        if node.op == "m":
            condition = self.all_sources(node.operands[0])
            yes, no = (self._extended(operand, width) for operand in node.operands[1:])
            return [condition | yes[n] | no[n] for n in range(width)]
        if node.op in ("<<<", ">>>") and isinstance(node.operands[1], Constant):
            shift = node.operands[1].value
            value = self._extended(node.operands[0], width + shift)
            return [NONE] * shift + value[: width - shift] if node.op == "<<<" else value[shift : shift + width]
        return [union(self.all_sources(operand) for operand in node.operands)] * width

    def _extended(self, expression: Any, width: int) -> list[Bits]:
        bits = self.sources(expression)
        if len(bits) >= width:
            return bits[:width]
        top = bits[-1] if bits and value_bits_sign(expression)[1] else NONE
        return bits + [top] * (width - len(bits))

    # Statements

    def _statements(
        self, statements: Any, conditions: tuple[Bits, ...], into: dict[int, list[Bits]], domain: str | None
    ) -> None:
        for node in statements:
            if isinstance(node, list | tuple):
                self._statements(node, conditions, into, domain)
            elif isinstance(node, _Assign):
                targets = list(self.targets(node.l))
                values = self._extended(node.r, len(targets))
                for (bits, chosen_by), value in zip(targets, values, strict=True):
                    made = [part for part in (value, chosen_by, *conditions) if part]
                    for bit in bits:
                        into[bit] += made
                        if domain is not None:
                            self.domains[bit].add(domain)
            elif isinstance(node, If) and isinstance(node.cond, Constant):
                self._statements(node.t if node.cond.value else node.f, conditions, into, domain)
            elif isinstance(node, If):
                inner = (*conditions, self.all_sources(node.cond))
                self._statements(node.t, inner, into, domain)
                self._statements(node.f, inner, into, domain)
            elif isinstance(node, Case):
                inner = (*conditions, self.all_sources(node.test))
                for choice in node.cases.values():
                    self._statements(choice, inner, into, domain)
            # What is left prints or ends a simulation.

    def targets(self, node: Any) -> Iterator[tuple[Sequence[int], Bits]]:
        """For every bit of what is assigned to: the bits it may be, and what decides which of them it is."""
        if isinstance(node, Signal):
            yield from (((bit,), NONE) for bit in self.bits_of(node))
        elif isinstance(node, ClockSignal):
            yield from self.targets(self.fragment.clock_domains[node.cd].clk)
        elif isinstance(node, ResetSignal):
            yield from self.targets(self.fragment.clock_domains[node.cd].rst)
        elif isinstance(node, _Slice):
            yield from list(self.targets(node.value))[node.start : node.stop]
        elif isinstance(node, Cat):
            for part in node.l:
                yield from self.targets(part)
        elif isinstance(node, _Part):
            inner = list(self.targets(node.value))
            anywhere = [bit for bits, _ in inner for bit in bits]
            decides = union([self.all_sources(node.offset), *(by for _, by in inner)])
            yield from [(anywhere, decides)] * node.width
        elif isinstance(node, _ArrayProxy):
            key = self.all_sources(node.key)
            choices = [list(self.targets(choice)) for choice in node.choices]
            for n in range(max(map(len, choices), default=0)):
                there = [choice[n] for choice in choices if n < len(choice)]
                yield [bit for bits, _ in there for bit in bits], union([key, *(by for _, by in there)])
        else:
            raise TypeError(f"nothing can be assigned to a {type(node).__name__}")


def union(sets: Iterable[Bits]) -> Bits:
    """One of the sets itself where that is enough, so that what is shared stays shared."""
    distinct = {bits for bits in sets if bits}
    if len(distinct) <= 1:
        return next(iter(distinct), NONE)
    return frozenset().union(*distinct)
