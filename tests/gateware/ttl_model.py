"""What TTL channels with fine time must do, mu by mu."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

LEVEL, ENABLE, SENSITIVITY, SAMPLE = range(4)
RISING, FALLING, SEND, ZERO = 1, 2, 4, 8
COARSE = 8


class Command(NamedTuple):
    """An output event of a TTL channel; time in mu."""

    time: int
    address: int
    data: int


def levels_of(commands: Iterable[Command], duration: int) -> list[int]:
    """Level in every mu from 0 on, low before the first command."""
    levels, level = [], 0
    at = {command.time: command.data & 1 for command in commands if command.address == LEVEL}
    for time in range(duration):
        level = at.get(time, level)
        levels.append(level)
    return levels


def edges_of(levels: Sequence[int], before: int = 0) -> list[tuple[int, int]]:
    """(mu, level from then on) of every change."""
    return [(time, level) for time, level in enumerate(levels) if level != (levels[time - 1] if time else before)]


def events_of(levels: Sequence[int], commands: Iterable[Command]) -> list[tuple[int, int]]:
    """(mu, level) of the input events that a pad with these levels makes; the first of every coarse cycle."""
    at = {(command.time, command.address): command.data for command in commands}
    events: list[tuple[int, int]] = []
    sensitivity, before = 0, levels[0]
    for time, level in enumerate(levels):
        sensitivity = at.get((time, SENSITIVITY), sensitivity)
        rising, falling = level > before, level < before
        wanted = (rising and sensitivity & RISING) or (falling and sensitivity & FALLING) or (time, SAMPLE) in at
        if wanted and not (events and events[-1][0] // COARSE == time // COARSE):
            events.append((time, level))
        before = level
    return events


def counts_of(levels: Sequence[int], commands: Iterable[Command], maximum: int = 2**31 - 1) -> list[tuple[int, int]]:
    """(mu, count) of the input events of an edge counter at a pad with these levels."""
    at = {command.time: command.data for command in commands}
    events, count, counting, before = [], 0, 0, levels[0]
    for time, level in enumerate(levels):
        if (settings := at.get(time)) is not None:
            counting = settings & (RISING | FALLING)
            if settings & SEND:
                events.append((time, count))
            if settings & ZERO:
                count = 0
        if (level > before and counting & RISING) or (level < before and counting & FALLING):
            count = min(count + 1, maximum)
        before = level
    return events
