"""Argument processors: what an experiment's argument may be, and how a submitted value becomes the attribute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from corelog.language.units import scale_of
from sipyco import pyon


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


class PYONValue(Processor):
    """Any value that PYON can hold; submitted as PYON text."""

    def __init__(self, default: Any = NoDefault):
        self._default = default

    def process(self, value: Any) -> Any:
        return pyon.decode(value) if isinstance(value, str) else value

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
    is 0 and step and scale are whole numbers.
    """

    def __init__(self, default: Any = NoDefault, unit: str = "", *, scale: float | None = None,
                 step: float | None = None, min: float | None = None, max: float | None = None, precision: int = 2,
                 type: str = "auto", ndecimals: int | None = None):
        if scale is None:
            scale = scale_of(unit) if unit else 1.0
            if scale is None:
                raise ValueError(f"unit {unit!r} is unknown: give its scale")
        if type not in ("auto", "int", "float"):
            raise ValueError(f'type {type!r} is none of "auto", "int", "float"')
        self.unit, self.scale, self.min, self.max, self.type = unit, scale, min, max, type
        self.step = scale / 10.0 if step is None else step
        self.precision = precision if ndecimals is None else ndecimals  # ndecimals: its name in old experiments
        whole = self.precision == 0 and all(float(x).is_integer() for x in (self.step, scale))
        self._is_int = type == "int" or (type == "auto" and whole)
        super().__init__(default)

    def process(self, value: Any) -> float:
        if isinstance(value, bool | str) or not hasattr(value, "__float__"):
            raise ValueError(f"{value!r} is not a number")
        if self._is_int and value != int(value):
            raise ValueError(f"{value!r} is not a whole number")
        number = int(value) if self._is_int else float(value)
        if self.min is not None and number < self.min:
            raise ValueError(f"{number} is below the minimum {self.min}")
        if self.max is not None and number > self.max:
            raise ValueError(f"{number} is above the maximum {self.max}")
        return number

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "unit": self.unit, "scale": self.scale, "step": self.step, "min": self.min,
                "max": self.max, "precision": self.precision, "type": self.type}


class StringValue(Processor):
    """Text."""

    def process(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a string")
        return value


class Arguments:
    """The submitted arguments of one experiment; knows which of them it asked for."""

    def __init__(self, submitted: Mapping[str, Any]):
        self._submitted = dict(submitted)
        self._asked: set[str] = set()

    def get(self, key: str, processor: Processor, group: str | None = None, tooltip: str | None = None) -> Any:
        """The processed value, or the default. Raises DefaultMissing or ValueError, naming the argument."""
        self._asked.add(key)
        if key not in self._submitted:
            try:
                return processor.default()
            except DefaultMissing:
                raise DefaultMissing(f"argument {key!r} has no default: give {key}=VALUE") from None
        try:
            return processor.process(self._submitted[key])
        except (ValueError, TypeError) as error:
            raise ValueError(f"argument {key!r}: {error}") from None

    def check_unused(self) -> None:
        """Raises AttributeError if something was submitted that the experiment does not ask for."""
        unused = sorted(set(self._submitted) - self._asked)
        if unused:
            known = ", ".join(sorted(self._asked)) or "none"
            raise AttributeError(f"the experiment has no argument {', '.join(map(repr, unused))} (it has: {known})")
