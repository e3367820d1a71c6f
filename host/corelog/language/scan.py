"""Scans: sequences of values for one argument, and the argument that takes them.

A scan can be iterated any number of times, also in nested loops, and gives the same values each time.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from corelog.language.arguments import NoDefault, Processor, scale_or_unit

__all__ = ["CenterScan", "ExplicitScan", "MultiScanManager", "NoScan", "RangeScan", "ScanObject", "Scannable"]


class ScanObject:
    """Base of the scans. `_fields` are the constructor's arguments, which are also attributes and described."""

    _fields: tuple[str, ...] = ()
    sequence: list[Any]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.sequence)

    def __len__(self) -> int:
        return len(self.sequence)

    def describe(self) -> dict[str, Any]:
        return {"ty": type(self).__name__, **{field: getattr(self, field) for field in self._fields}}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{f}={getattr(self, f)!r}' for f in self._fields)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScanObject) and self.describe() == other.describe()

    __hash__ = None  # type: ignore[assignment]


def _shuffled(sequence: list[Any], randomize: bool, seed: Any) -> list[Any]:
    if randomize:
        random.Random(seed).shuffle(sequence)
    return sequence


class NoScan(ScanObject):
    """One value, `repetitions` times."""

    _fields = ("value", "repetitions")

    def __init__(self, value: Any, repetitions: int = 1):
        self.value, self.repetitions = value, repetitions
        self.sequence = [value] * repetitions


class RangeScan(ScanObject):
    """`npoints` evenly spaced values from start to stop, both included; in random order if `randomize`."""

    _fields = ("start", "stop", "npoints", "randomize", "seed")

    def __init__(self, start: float, stop: float, npoints: int, randomize: bool = False, seed: Any = None):
        self.start, self.stop, self.npoints, self.randomize, self.seed = start, stop, npoints, randomize, seed
        step = (stop - start) / (npoints - 1) if npoints > 1 else 0
        values = [i * step + start for i in range(npoints)]
        self.sequence = _shuffled(values, randomize, seed)


class CenterScan(ScanObject):
    """center, then `step` after `step` away from it to both sides in turn, as far as half of `span`.

    In random order if `randomize`.
    """

    _fields = ("center", "span", "step", "randomize", "seed")

    def __init__(self, center: float, span: float, step: float, randomize: bool = False, seed: Any = None):
        self.center, self.span, self.step, self.randomize, self.seed = center, span, step, randomize, seed
        values: list[float] = []
        if step:
            values.append(center)
            for i in range(1, 1 + int(span / (2 * step))):
                values += [center - i * step, center + i * step]
        self.sequence = _shuffled(values, randomize, seed)


class ExplicitScan(ScanObject):
    """The values of a sequence."""

    _fields = ("sequence",)

    def __init__(self, sequence: Iterable[Any]):
        self.sequence = list(sequence)


SCANS = {cls.__name__: cls for cls in (NoScan, RangeScan, CenterScan, ExplicitScan)}


class Scannable(Processor):
    """An argument that is a scan.

    default: a scan, or a list of them, of which the first is the default and the others are what clients offer for
    the other kinds. unit, scale: how clients show values, as in NumberValue. global_min, global_max, global_step,
    precision: of the clients' input fields, for every kind of scan.
    """

    def __init__(self, default: Any = NoDefault, unit: str = "", scale: float | None = None,
                 global_step: float | None = None, global_min: float | None = None, global_max: float | None = None,
                 precision: int = 2, ndecimals: int | None = None):
        self.unit, self.scale = unit, scale_or_unit(scale, unit)
        self.global_step = self.scale / 10.0 if global_step is None else global_step
        self.global_min, self.global_max = global_min, global_max
        self.precision = precision if ndecimals is None else ndecimals  # ndecimals: its name in old experiments
        self.default_values: list[ScanObject] = []
        if default is not NoDefault:
            self.default_values = list(default) if isinstance(default, list | tuple) else [default]
            if not self.default_values:
                raise ValueError("the list of default scans is empty")
        super().__init__(self.default_values[0] if self.default_values else NoDefault)

    def process(self, value: Any) -> ScanObject:
        """A scan of its description, such as {"ty": "RangeScan", "start": 0, "stop": 1, "npoints": 5}."""
        if isinstance(value, ScanObject):
            return value
        if not isinstance(value, dict) or value.get("ty") not in SCANS:
            raise ValueError(f'{value!r} is not a scan: a dict with "ty" of {", ".join(SCANS)}')
        kind = SCANS[value["ty"]]
        try:
            return kind(**{field: value[field] for field in kind._fields if field in value})
        except TypeError as error:
            raise ValueError(f"{value['ty']}: {error}") from None

    def describe(self) -> dict[str, Any]:
        description: dict[str, Any] = {"ty": type(self).__name__}
        if self.default_values:
            description["default"] = [scan.describe() for scan in self.default_values]
        return {**description, "unit": self.unit, "scale": self.scale, "global_step": self.global_step,
                "global_min": self.global_min, "global_max": self.global_max, "precision": self.precision}


class MultiScanManager:
    """Several scans, one inside the other, as one: `MultiScanManager(("x", scan_x), ("y", scan_y))`.

    Iteration gives points with the attributes x and y; the last scan varies fastest.
    """

    def __init__(self, *scans: tuple[str, Iterable[Any]]):
        self.names = [name for name, _ in scans]
        self.scan_objects = [scan for _, scan in scans]

    def __iter__(self) -> Iterator[ScanPoint]:
        for values in itertools.product(*self.scan_objects):
            yield ScanPoint(**dict(zip(self.names, values, strict=True)))


class ScanPoint(SimpleNamespace):
    """A point of several scans; `attr` are the names of its coordinates."""

    @property
    def attr(self) -> set[str]:
        return set(vars(self))
