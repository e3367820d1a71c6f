"""Whether the vendor's tool times what it should: every clock, and nothing between unrelated ones.

LiteX excepts the registers of MultiRegs and AsyncResetSynchronizers by itself; a FIFO's memory needs both clocks
declared as asynchronous (``add_false_path_constraints``), or its paths cannot meet timing.
"""

from collections.abc import Iterable
from typing import Any

from migen import Signal

from .clocks import Clock
from .design import Design


def without_period(design: Design, constrained: Iterable[Signal]) -> list[str]:
    """Clock domains whose clock starts in the FPGA, at no clock manager, and has no period: the vendor's tool would
    not look at their timing at all. Ports are the business of :mod:`constraints`.

    :param constrained: clock signals with a period.
    """
    known = {design.clocks.of(signal) for signal in constrained}
    clocks = {domain.name: design.clocks.domain(domain.name) for domain in design.fragment.clock_domains}
    return [
        f"clock domain {name} has no period: add_period_constraint for {clock.name}"
        for name, clock in clocks.items()
        if clock not in known and not design.clocks.is_derived(clock)
    ]


def faults(design: Design, memories: Iterable[tuple[Clock, Clock]], declared: Iterable[tuple[Any, Any]]) -> list[str]:
    """:param memories: clocks that a memory is written with and read with.
    :param declared: pairs of clock signals of the platform's toolchain.
    """
    pairs = {
        frozenset((design.clocks.of(one), design.clocks.of(other)))
        for one, other in declared
        if isinstance(one, Signal) and isinstance(other, Signal)
    }
    wrong = {frozenset(clocks) for clocks in memories if not design.clocks.apart(*clocks, pairs)}
    names = sorted(sorted(map(design.domain_of, clocks)) for clocks in wrong)
    return [f"a FIFO between {one} and {two} would be timed: add_false_path_constraints for both" for one, two in names]
