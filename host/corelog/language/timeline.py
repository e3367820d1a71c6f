"""The timeline of a running kernel: records RTIO operations and plays them on a core device when it must.

Where the device's cursor stands is often known to the device alone (after a reset, say), so times are symbolic: a
Segment is a stretch of the timeline with one unknown base, a MuTime an offset in it. Differences within a segment need
no round trip; any other question plays what was recorded so far and reads the answer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Protocol, SupportsIndex

from corelog.wire.session import MASK64, NO_EVENT, Done, Program

Player = Callable[[Program], Done]
"""Plays a program to its end. Raises what the core device raised, or that it could not be asked."""


class _Segment:
    __slots__ = ("base",)

    def __init__(self, base: int | None = None):
        self.base = base


class MuTime:
    """A point of a timeline in machine units; behaves like an int, and asks the device only when it must.

    Adding an int, and differences and comparisons of times between which nothing unknown happened, ask nothing.
    """

    __slots__ = ("_segment", "_timeline", "offset")

    def __init__(self, timeline: Timeline, segment: _Segment, offset: int):
        self._timeline = timeline
        self._segment = segment
        self.offset = offset

    @property
    def known(self) -> bool:
        """Whether `int()` needs no round trip."""
        return self._segment.base is not None

    def same_segment(self, other: MuTime) -> bool:
        return self._segment is other._segment

    def __int__(self) -> int:
        if self._segment.base is None:
            self._timeline.flush()
        if self._segment.base is None:
            raise RuntimeError("this time is not known: the kernel that would have reached it was stopped before")
        return (self._segment.base + self.offset) & MASK64

    __index__ = __int__

    def __float__(self) -> float:
        return float(int(self))

    def __add__(self, other: SupportsIndex) -> MuTime | int:
        if isinstance(other, MuTime):
            return int(self) + int(other)
        try:
            return MuTime(self._timeline, self._segment, self.offset + operator.index(other))
        except TypeError:
            return NotImplemented

    __radd__ = __add__

    def __sub__(self, other: SupportsIndex) -> MuTime | int:
        if isinstance(other, MuTime):
            return self.offset - other.offset if self.same_segment(other) else int(self) - int(other)
        try:
            return MuTime(self._timeline, self._segment, self.offset - operator.index(other))
        except TypeError:
            return NotImplemented

    def __rsub__(self, other: int) -> int:
        return other - int(self)

    def __mul__(self, other: float) -> float:
        return int(self) * other

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> float:
        return int(self) / other

    def __floordiv__(self, other: int) -> int:
        return int(self) // other

    def __mod__(self, other: int) -> int:
        return int(self) % other

    def __and__(self, other: int) -> int:
        return int(self) & other

    def __rshift__(self, other: int) -> int:
        return int(self) >> other

    def _compare(self, other: object, relation: Callable[[int, int], bool]) -> bool:
        if isinstance(other, MuTime):
            if self.same_segment(other):
                return relation(self.offset, other.offset)
            return relation(int(self), int(other))
        try:
            return relation(int(self), operator.index(other))  # type: ignore[arg-type]
        except TypeError:
            return NotImplemented

    def __eq__(self, other: object) -> bool:
        return self._compare(other, operator.eq)

    def __lt__(self, other: object) -> bool:
        return self._compare(other, operator.lt)

    def __le__(self, other: object) -> bool:
        return self._compare(other, operator.le)

    def __gt__(self, other: object) -> bool:
        return self._compare(other, operator.gt)

    def __ge__(self, other: object) -> bool:
        return self._compare(other, operator.ge)

    def __hash__(self) -> int:
        return hash(int(self))

    def __format__(self, spec: str) -> str:
        return format(int(self), spec)

    def __str__(self) -> str:
        return str(int(self))

    def __repr__(self) -> str:
        # Does not ask the device: debuggers and failed assertions call it.
        base = "?" if self._segment.base is None else str(self._segment.base)
        return f"MuTime({base}{self.offset:+d})"


class Clock(Protocol):
    """Conversion between seconds and machine units of one core device."""

    def seconds_to_mu(self, seconds: float) -> int: ...


class Timeline:
    """Cursor and recorded operations of one outermost kernel call.

    `longest_program` (bytes) bounds the memory: a longer recording is played in parts.
    """

    def __init__(self, play: Player, clock: Clock, longest_program: int):
        self._play = play
        self.clock = clock
        self._longest = longest_program
        self._absolute = _Segment(0)
        self._closed = False
        self._start_unknown()
        self._new_program()

    def _new_program(self) -> None:
        self._program = Program()
        self._waiting: list[tuple[int, Callable[..., None]]] = []

    def _start_unknown(self) -> None:
        """The cursor is where the device has it; the next program asks first."""
        self._start = _Segment()
        self.cursor = self._device = MuTime(self, self._start, 0)

    # Recording. Every operation goes through _record, with the number of its results and who wants them.

    def _record(self, append: Callable[[Program], None], results: int = 0,
                deliver: Callable[..., None] | None = None, *, at_cursor: bool = True) -> None:
        if len(self._program) + 64 > self._longest:
            self.flush()
        if not self._program.operations:
            self._begin()
        if at_cursor:
            self._sync()
        append(self._program)
        if deliver is not None:
            self._waiting.append((results, deliver))

    def _begin(self) -> None:
        """Between two programs of this kernel another's may have moved the device's cursor: ask or say where it is."""
        start = self._start
        if start.base is None:
            self._program.now()
            self._waiting.append((1, lambda base: setattr(start, "base", base)))
            self._device = MuTime(self, start, 0)
        else:
            self._program.at(int(self.cursor))
            self._device = self.cursor

    def _sync(self) -> None:
        """Brings the device's cursor, as it will be when the recording is played, to ours."""
        if not self.cursor.same_segment(self._device):
            time = int(self.cursor)  # may play what was recorded
            if not self._program.operations:
                self._begin()
            else:
                self._program.at(time)
        elif self.cursor.offset != self._device.offset:
            self._program.delay(self.cursor.offset - self._device.offset)
        self._device = self.cursor

    def flush(self) -> None:
        """Plays what was recorded so far; afterwards every time of this timeline is known."""
        if self._closed:
            return
        if not self._program.operations:
            if self._start.base is not None:
                return
            self._begin()
        program, waiting = self._program, self._waiting
        self._new_program()
        try:
            done = self._play(program)
        except BaseException:
            self._start_unknown()
            raise
        results: Iterator[int] = iter(done.results)
        for count, deliver in waiting:
            deliver(*(next(results) for _ in range(count)))

    def finish(self) -> None:
        """Plays the rest, leaves the device's cursor where the kernel left it."""
        if not self.cursor.same_segment(self._device) or self.cursor.offset != self._device.offset:
            if not self._program.operations:
                self._begin()
            self._sync()
        if self._program.operations:
            self.flush()

    def close(self) -> None:
        """Its times can no longer ask the device."""
        self._closed = True

    # Operations, as docs/wire.md names them

    def _jump(self, append: Callable[[Program], None], *, at_cursor: bool) -> None:
        after = _Segment()
        self._record(append, 1, lambda base: setattr(after, "base", base), at_cursor=at_cursor)
        self.cursor = self._device = MuTime(self, after, 0)

    def reset(self, slack: int) -> None:
        self._jump(lambda program: program.reset(slack), at_cursor=False)

    def break_realtime(self, slack: int) -> None:
        self._jump(lambda program: program.break_realtime(slack), at_cursor=True)

    def delay(self, duration: int) -> None:
        self.cursor = MuTime(self, self.cursor._segment, self.cursor.offset + duration)

    def at(self, time: SupportsIndex) -> None:
        if isinstance(time, MuTime) and time._timeline is self:
            self.cursor = time
        else:
            self.cursor = MuTime(self, self._absolute, operator.index(time))

    def output(self, channel: int, address: int, data: int) -> None:
        self._record(lambda program: program.output(channel, address, data))

    def _until(self, time: SupportsIndex) -> int:
        if isinstance(time, MuTime) and time.same_segment(self.cursor):
            return time.offset - self.cursor.offset
        return operator.index(time) - int(self.cursor)

    def input(self, channel: int, until: SupportsIndex) -> tuple[int, int] | None:
        """(timestamp, data) of the next event of the channel, or None if none comes before `until`. Waits."""
        duration = self._until(until)
        got: list[int] = []
        self._record(lambda program: program.input(channel, duration), 2, lambda *values: got.extend(values))
        self.flush()
        return None if got[0] == NO_EVENT else (got[0], got[1])

    def count(self, channel: int, until: SupportsIndex) -> int:
        """Number of events of the channel until then. Waits."""
        duration = self._until(until)
        got: list[int] = []
        self._record(lambda program: program.count(channel, duration), 1, got.append)
        self.flush()
        return got[0]

    def counter(self) -> int:
        """RTIO counter once everything recorded so far is submitted."""
        got: list[int] = []
        self._record(lambda program: program.counter(), 1, got.append, at_cursor=False)
        self.flush()
        return got[0]
