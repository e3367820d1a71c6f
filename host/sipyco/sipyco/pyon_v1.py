"""PYON version 1: Python expressions. Text is parsed into a tree of which only literals and a few names are taken.

Nothing is ever evaluated, so text from a hostile peer can at worst be refused. Spoken by peers that do not adopt
``pyon_v2`` and found in old files.
"""

import ast
import json
import os
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy

from sipyco import _numpy_codec
from sipyco._atomic_file import replace_text

__all__ = ["decode", "encode", "load_file", "store_file"]

_NAMES: dict[str, Any] = {
    "null": None, "true": True, "false": False, "inf": float("inf"), "nan": float("nan"),
    "infj": complex(0, float("inf")), "nanj": complex(0, float("nan")),  # as repr writes complex numbers
}
# What Python may warn about while it parses: odd escapes, and words that follow a number without a space.
_ODD = re.compile(r"\\[^\n\\'\"abfnrtvx0-7]|\\[4-7][0-7][0-7]|[0-9.][A-Za-z_]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SCALARS = frozenset({
    numpy.int8, numpy.int16, numpy.int32, numpy.int64, numpy.uint8, numpy.uint16, numpy.uint32, numpy.uint64,
    numpy.float16, numpy.float32, numpy.float64, numpy.complex64, numpy.complex128,
})


def _sequence(items: Any, level: int | None) -> str:
    return ", ".join(_text(item, level) for item in items)


def _tuple(items: Any, level: int | None) -> str:
    return f"({_text(items[0], level)}, )" if len(items) == 1 else f"({_sequence(items, level)})"


def _dict(o: dict[Any, Any], level: int | None) -> str:
    if level is None or len(o) < 2:
        return "{" + ", ".join(f"{_text(key, level)}: {_text(value, level)}" for key, value in o.items()) + "}"
    keys = sorted(o) if all(type(key) is str for key in o) else list(o)
    inner = "    " * (level + 1)
    lines = [f"{inner}{_text(key, level + 1)}: {_text(o[key], level + 1)}" for key in keys]
    return "{\n" + ",\n".join(lines) + "\n" + "    " * level + "}"


def _array(array: numpy.ndarray, level: int | None) -> str:
    shape, dtype, data = _numpy_codec.array_arguments(array)
    return f'nparray({_tuple(shape, None)}, {_text(dtype, None)}, b"{data}")'


def _scalar(scalar: Any) -> str:
    dtype, data = _numpy_codec.scalar_arguments(scalar)
    return f'npscalar({_text(dtype, None)}, b"{data}")'


_WRITERS: dict[type, Callable[[Any, int | None], str]] = {
    type(None): lambda o, level: "null",
    bool: lambda o, level: "true" if o else "false",
    int: lambda o, level: repr(o),
    float: lambda o, level: repr(o),
    complex: lambda o, level: repr(o),
    str: lambda o, level: json.dumps(o),
    bytes: lambda o, level: repr(o),
    tuple: _tuple,
    list: lambda o, level: f"[{_sequence(o, level)}]",
    # An unpacked empty tuple is how the empty set is written in an expression; `{}` would come back as a dictionary.
    set: lambda o, level: "{" + (_sequence(o, level) or "*()") + "}",
    dict: _dict,
    slice: lambda o, level: "slice(" + ", ".join(
        "None" if part is None else _text(part, level) for part in (o.start, o.stop, o.step)) + ")",
    Fraction: lambda o, level: f"Fraction({o.numerator}, {o.denominator})",
    OrderedDict: lambda o, level: f"OrderedDict([{_sequence(o.items(), level)}])",
    numpy.ndarray: _array,
    **dict.fromkeys(_SCALARS, lambda o, level: _scalar(o)),
}


def _text(x: Any, level: int | None) -> str:
    writer = _WRITERS.get(type(x))
    if writer is None:
        raise TypeError(f"`{x!r:.200}` ({type(x)}) is not PYON serializable")
    return writer(x, level)


def encode(x: Any, pretty: bool = False) -> str:
    """The version 1 text of `x`, on one line unless `pretty` and it holds a dictionary of several entries.

    Raises TypeError for types that version 1 does not know, ValueError for what is nested too deeply.
    """
    try:
        return _text(x, 0 if pretty else None)
    except RecursionError:
        raise ValueError("too deeply nested for PYON, or containing itself") from None


class _Refused(ValueError):
    def __init__(self, node: ast.AST) -> None:
        super().__init__(f"not PYON: {type(node).__name__} is not allowed in data")


def _join_surrogates(text: str) -> str:
    """JSON escapes an astral character as two surrogates, which Python syntax leaves apart."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _make_slice(*arguments: Any) -> slice:
    return slice(*arguments)


def _make_fraction(numerator: Any, denominator: Any = 1) -> Fraction:
    if not isinstance(numerator, int) or not isinstance(denominator, int):
        raise TypeError("a Fraction is made of two integers")
    return Fraction(numerator, denominator)


_CALLS: dict[str, Callable[..., Any]] = {
    "slice": _make_slice,
    "Fraction": _make_fraction,
    "OrderedDict": OrderedDict,
    "nparray": _numpy_codec.build_array,
    "npscalar": _numpy_codec.build_scalar,
}


def _value(node: ast.AST) -> Any:
    match node:
        case ast.Constant(value=str() as text):
            return _join_surrogates(text)
        case ast.Constant(value=value) if value is not Ellipsis:
            return value
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Set(elts=[ast.Starred(value=ast.Tuple(elts=[]))]):
            return set()
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_value(key): _value(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as operator, operand=operand):
            number = _number(operand)
            if isinstance(operator, ast.UAdd):
                return number
            # repr writes a complex number without a real part only if that is +0, and minus turned it into -0.
            return complex(0.0, -number.imag) if isinstance(number, complex) else -number
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as operator, right=right):
            real, imaginary = _number(left), _number(right)
            if isinstance(real, complex) or not isinstance(imaginary, complex):
                raise _Refused(node)
            # Not an addition: that would lose the sign of zeros and turn infinities into nan. `-0` is an integer.
            minus_zero = real == 0 and isinstance(left, ast.UnaryOp) and isinstance(left.op, ast.USub)
            return complex(-0.0 if minus_zero else real,
                           -imaginary.imag if isinstance(operator, ast.Sub) else imaginary.imag)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _CALLS:
            return _CALLS[name](*[_value(argument) for argument in arguments])
        case _:
            raise _Refused(node)


def _number(node: ast.AST) -> Any:
    value = _value(node)
    if type(value) not in (int, float, complex):
        raise _Refused(node)
    return value


def _parse(text: str) -> ast.Expression:
    if not _ODD.search(text):
        return ast.parse(text, mode="eval")
    with warnings.catch_warnings():  # such text is unusual but legal; a warning on our console would help nobody
        warnings.simplefilter("ignore")
        return ast.parse(text, mode="eval")


def decode(s: str) -> Any:
    """The value of version 1 text. Raises ValueError, TypeError, OverflowError or ZeroDivisionError for other text."""
    try:
        return _value(_parse(s.strip()).body)
    except (SyntaxError, Warning) as error:
        raise ValueError(f"not PYON: {error}") from None
    except (RecursionError, MemoryError):
        raise ValueError("PYON text is too deeply nested") from None


def store_file(filename: str | os.PathLike[str], x: Any) -> None:
    """Write `x` to a file, pretty and with a newline at the end, in one step."""
    replace_text(filename, encode(x, True) + "\n", sync=False)


def load_file(filename: str | os.PathLike[str]) -> Any:
    """The value in a version 1 file. Raises OSError and what `decode` raises."""
    with open(filename, encoding="utf-8") as file:
        return decode(file.read())
