"""Argument processors: what an experiment's argument may be, and how a submitted value becomes the attribute."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from corelog.language.units import scale_of
from sipyco import pyon

__all__ = ["BooleanValue", "CancelledArgsError", "DefaultMissing", "EnumerationValue", "NoDefault", "NumberValue",
           "PYONValue", "StringValue"]


class NoDefault:
    """Marks an argument or dataset without a default."""


class DefaultMissing(Exception):
    """An argument without a default was not given."""


class CancelledArgsError(Exception):
    """An interactive request for arguments was cancelled."""


class Processor:
    """Base of the argument types.

    `process` makes the attribute's value of a submitted one and raises ValueError or TypeError saying what is wrong;
    `describe` gives the entry for the experiment list (protocols.md E.6).
    """

    def __init__(self, default: Any = NoDefault):
        self._default = NoDefault if default is NoDefault else self.process(default)

    def default(self) -> Any:
        """The default. Raises DefaultMissing."""
        if self._default is NoDefault:
            raise DefaultMissing
        return self._default

    def process(self, value: Any) -> Any:
        return value

    def describe(self) -> dict[str, Any]:
        description: dict[str, Any] = {"ty": type(self).__name__}
        if self._default is not NoDefault:
            description["default"] = self._default
        return description


def scale_or_unit(scale: float | None, unit: str) -> float:
    """`scale`, or if that is None the factor of the unit. Raises ValueError if the unit is not known."""
    if scale is None:
        scale = scale_of(unit) if unit else 1.0
    if scale is None:
        raise ValueError(f"unit {unit!r} is unknown: give its scale")
    return scale


class PYONValue(Processor):
    """Any value that PYON can hold; submitted as PYON text."""

    def __init__(self, default: Any = NoDefault):
        self._default = default

    def process(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return pyon.decode(value)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{value!r} is not PYON text: {error}") from None

    def describe(self) -> dict[str, Any]:
        description = super().describe()
        if "default" in description:
            description["default"] = pyon.encode(self._default)
        return description


class BooleanValue(Processor):
    """True or False."""

    def process(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is not a boolean (true or false)")
        return value


class EnumerationValue(Processor):
    """One of several strings. `quickstyle` asks clients for a button each, which submits at once."""

    def __init__(self, choices: Iterable[str], default: Any = NoDefault, quickstyle: bool = False):
        self.choices = list(choices)
        self.quickstyle = quickstyle
        super().__init__(default)

    def process(self, value: Any) -> Any:
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {', '.join(map(repr, self.choices))}")
        return value

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "choices": self.choices, "quickstyle": self.quickstyle}


class NumberValue(Processor):
    """A number.

    unit, scale: how clients show it (`unit="ms"` implies scale 1e-3); values are always in base units. step, precision:
    of the clients' input field. min, max: bounds, inclusive. type: "int", "float" or "auto", which is int if precision
    is 0, scale is 1 and step is a whole number.
    """

    def __init__(self, default: Any = NoDefault, unit: str = "", *, scale: float | None = None,
                 step: float | None = None, min: float | None = None, max: float | None = None, precision: int = 2,
                 type: str = "auto", ndecimals: int | None = None):
        scale = scale_or_unit(scale, unit)
        if type not in ("auto", "int", "float"):
            raise ValueError(f'type {type!r} is none of "auto", "int", "float"')
        self.unit, self.scale, self.min, self.max, self.type = unit, scale, min, max, type
        self.step = scale / 10.0 if step is None else step
        self.precision = precision if ndecimals is None else ndecimals  # ndecimals: its name in old experiments
        whole = self.precision == 0 and scale == 1 and float(self.step).is_integer()
        self._is_int = type == "int" or (type == "auto" and whole)
        # Not judged by min and max: the experiment's author may know better than its users.
        self._default = NoDefault if default is NoDefault else self._number(default)

    def process(self, value: Any) -> float:
        number = self._number(value)
        # Clients multiply what the user sees by scale, which may round beyond the bound.
        slack = 1e-9 * abs(number)
        if self.min is not None and number + slack < self.min:
            raise ValueError(f"{number} is below the minimum {self.min}")
        if self.max is not None and number - slack > self.max:
            raise ValueError(f"{number} is above the maximum {self.max}")
        return number

    def _number(self, value: Any) -> float:
        if isinstance(value, bool | str) or not hasattr(value, "__float__"):
            raise ValueError(f"{value!r} is not a number")
        if self._is_int and value != int(value):
            raise ValueError(f"{value!r} is not a whole number")
        return int(value) if self._is_int else float(value)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "unit": self.unit, "scale": self.scale, "step": self.step, "min": self.min,
                "max": self.max, "precision": self.precision, "type": self.type}


class StringValue(Processor):
    """Text."""

    def process(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a string")
        return value
