"""What a run hears of its scheduler: that it shall end, and that it takes too long."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

__all__ = ["TerminationRequested", "set_watchdog_factory", "watchdog"]


class TerminationRequested(Exception):
    """Raised by `scheduler.pause()` when the run has been asked to end."""


_factory: Callable[[float], AbstractContextManager[object]] = nullcontext


def set_watchdog_factory(factory: Callable[[float], AbstractContextManager[object]]) -> None:
    """For workers: what `watchdog` makes."""
    global _factory
    _factory = factory


def watchdog(timeout: float) -> AbstractContextManager[object]:
    """`with watchdog(10*s):` - the run is ended if the block takes longer. Without a master it has no effect."""
    return _factory(timeout)
