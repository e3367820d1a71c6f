"""PYON version 2: JSON, with the values JSON lacks as ``{"__jsonclass__": [type name, [constructor arguments]]}``.

Kept beside what JSON has: tuples, sets, dictionaries with keys of any kind, OrderedDict, bytes, complex numbers,
slices, fractions, numpy arrays (also of dates and of structures) and numpy scalars. Decoding builds only these.

``python -m sipyco.pyon FILE`` converts a version 1 file in place and keeps the original as ``FILE_v1``.
"""

import json
import os
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy

from sipyco import _numpy_codec
from sipyco._atomic_file import replace_text

__all__ = ["decode", "deregister", "encode", "load_file", "register", "store_file", "wrap"]

_MARK = "__jsonclass__"
_PLAIN = frozenset({str, int, float, bool, type(None)})
_SEQUENCES = frozenset({list, tuple})
_FEW = 8
_LARGE = 4096

_encoders: dict[type, tuple[str, Callable[[Any], Any]]] = {}
_decoders: dict[str, Callable[..., Any]] = {}


def register(types: type | Iterable[type], *, name: str, encode: Callable[[Any], Any],
             decode: Callable[..., Any]) -> None:
    """Teach PYON `types` (one or several, matched exactly) under `name`.

    `encode(value)` returns the argument list (see `wrap` for what may stand in it), `decode(*arguments)` the value.
    """
    for kind in _as_types(types):
        _encoders[kind] = (name, encode)
    _decoders[name] = decode


def deregister(types: type | Iterable[type], name: str) -> None:
    """Undo a `register`. KeyError if it was not registered."""
    for kind in _as_types(types):
        del _encoders[kind]
    del _decoders[name]


def _as_types(types: type | Iterable[type]) -> Iterable[type]:
    return (types,) if isinstance(types, type) else types


def wrap(o: Any) -> Any:
    """Protect the tuples and dictionaries in `o`, which JSON alone would change, so that they survive encoding.

    For the arguments that an encoder given to `register` returns.
    """
    kind = type(o)
    if kind in _PLAIN:
        return o
    if kind is tuple:
        return {_MARK: ["tuple", [_wrap_items(o)]]}
    if kind is list:
        return _wrap_items(o)
    if kind is dict:
        return _wrap_dict(o)
    if kind is OrderedDict:
        return {_MARK: ["OrderedDict", [[[wrap(key), wrap(value)] for key, value in o.items()]]]}
    if kind in _encoders:
        return _encode_special(o)  # here, since JSON would take a registered subclass of its own types for the base
    if isinstance(o, tuple):
        return {_MARK: ["tuple", [_wrap_items(o)]]}
    if isinstance(o, list):
        return _wrap_items(o)
    if isinstance(o, dict):
        return _wrap_dict(o)
    return o


def _wrap_items(items: Any) -> Any:
    # Many long sequences hold numbers or text only, which is found out much faster than they are copied.
    if type(items) in _SEQUENCES and len(items) > _FEW and _PLAIN.issuperset(map(type, items)):
        return items
    return [item if type(item) in _PLAIN else wrap(item) for item in items]


def _wrap_dict(o: dict[Any, Any]) -> dict[str, Any]:
    for key in o:
        if not isinstance(key, str):
            return {_MARK: ["dict", [[[wrap(key), wrap(value)] for key, value in o.items()]]]}
    if _MARK in o:
        raise AssertionError(f"a dictionary with the key `{_MARK}` is not PYON encodable")
    if len(o) > _FEW and type(o) is dict and _PLAIN.issuperset(map(type, o.values())):
        return o
    return {key: value if type(value) in _PLAIN else wrap(value) for key, value in o.items()}


def _encode_special(o: Any) -> dict[str, Any]:
    try:
        name, arguments = _encoders[type(o)]
    except KeyError:
        raise TypeError(f"`{o!r:.200}` ({type(o)}) is not PYON encodable") from None
    return {_MARK: [name, arguments(o)]}


_compact_encoder = json.JSONEncoder(separators=(",", ":"), default=_encode_special, check_circular=False)


def _make_compact() -> Callable[[Any], str]:
    """What JSONEncoder.encode does, without making a new C encoder for each call as that does."""
    try:
        encoder = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            None, _encode_special, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True)

        def compact(o: Any) -> str:
            return "".join(encoder(o, 0))
        if compact({"a": [1, None, "\u00e9"]}) == '{"a":[1,null,"\\u00e9"]}':
            return compact
    except (AttributeError, TypeError):  # the interpreter has none, or a later version of it
        pass
    return _compact_encoder.encode


_compact = _make_compact()


class _Large(threading.local):
    """Long base64 texts on their way past the JSON encoder, which would look at each character.

    In its output a token stands for each. Nobody else can know the token, as it never leaves this module.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self.pattern = re.compile(self.token + "([0-9]+);")
        self.texts: list[str] = []
        self.active = False

    def pass_by(self, text: str) -> str:
        """What stands for `text`; itself if that is not worth while."""
        if not self.active or len(text) < _LARGE:
            return text
        self.texts.append(text)
        return f"{self.token}{len(self.texts) - 1};"

    def put_in(self, output: str) -> str:
        """The output with the texts in their places."""
        parts = self.pattern.split(output)
        parts[1::2] = [self.texts[int(number)] for number in parts[1::2]]
        return "".join(parts)


_large = _Large()


def encode(x: Any, pretty: bool = False, **json_kw: Any) -> str:
    """The PYON text of `x`: one line of ASCII, or with `pretty` indented by 4 spaces.

    Further keywords go to the JSON encoder. Raises TypeError ("... is not PYON encodable") for what PYON does not
    know, ValueError for what contains itself.
    """
    try:
        if not pretty and not json_kw:
            return _encode_compact(x)
        return _encode_as_told(x, pretty, json_kw)
    except RecursionError:
        raise ValueError("too deeply nested for PYON, or containing itself") from None


def _encode_compact(x: Any) -> str:
    large = _large
    if large.active:  # within the encoder of a registered type
        return large.put_in(_compact(wrap(x)))
    large.active = True
    try:
        text = _compact(wrap(x))
        return large.put_in(text) if large.texts else text
    finally:
        large.active = False
        large.texts.clear()


def _encode_as_told(x: Any, pretty: bool, json_kw: dict[str, Any]) -> str:
    layout: dict[str, Any] = {"indent": 4, "separators": (",", ": ")} if pretty else {"separators": (",", ":")}
    active, _large.active = _large.active, False
    try:
        return json.dumps(wrap(x), **{"default": _encode_special, **layout, **json_kw})
    finally:
        _large.active = active


def _decode_object(o: dict[str, Any]) -> Any:
    if _MARK not in o:
        return o
    mark = o[_MARK]
    if not isinstance(mark, list) or len(mark) != 2:
        raise ValueError(f"`{_MARK}` must be a pair of a type name and its arguments")
    name, arguments = mark
    if name == "tuple" and type(arguments) is list and len(arguments) == 1:
        return tuple(arguments[0])
    if not isinstance(name, str) or name not in _decoders:
        raise TypeError(f"`{name!r:.200}` is not PYON decodable")
    if not isinstance(arguments, list):
        raise TypeError(f"the arguments of `{name}` must be a list")
    return _decoders[name](*arguments)


_loads = json.JSONDecoder(object_hook=_decode_object).decode


def decode(s: str | bytes, **json_kw: Any) -> Any:
    """The value of PYON text. Further keywords go to the JSON decoder.

    Raises json.JSONDecodeError, ValueError, TypeError, UnicodeDecodeError, OverflowError or ZeroDivisionError for
    text that is not PYON.
    """
    try:
        if json_kw or not isinstance(s, str) or s.startswith("\ufeff"):
            return json.loads(s, **{"object_hook": _decode_object, **json_kw})
        return _loads(s)
    except RecursionError:
        raise ValueError("PYON text is too deeply nested") from None


def store_file(filename: str | os.PathLike[str], x: Any, **kw: Any) -> None:
    """Write `x` to a file, pretty, in one step: after a failure or crash the file is the old or the new one."""
    replace_text(filename, encode(x, **{"pretty": True, **kw}), sync=True)


def load_file(filename: str | os.PathLike[str], **kw: Any) -> Any:
    """The value in a PYON file. Raises OSError and what `decode` raises."""
    with open(filename, encoding="utf-8") as file:
        return decode(file.read(), **kw)


def _numbers(*values: Any) -> None:
    if not all(isinstance(value, int | float) for value in values):
        raise TypeError("expected numbers")


def _make_complex(real: Any, imag: Any = 0.0) -> complex:
    _numbers(real, imag)
    return complex(real, imag)


def _make_fraction(numerator: Any, denominator: Any = 1) -> Fraction:
    # Fraction also takes text, where "1e999999999" costs gigabytes; PYON only ever sends two integers.
    if not isinstance(numerator, int) or not isinstance(denominator, int):
        raise TypeError("a Fraction is made of two integers")
    return Fraction(numerator, denominator)


def _array_to_pyon(array: numpy.ndarray) -> list[Any]:
    shape, dtype, data = _numpy_codec.array_arguments(array)
    return [list(shape), wrap(dtype), _large.pass_by(data)]


def _scalar_to_pyon(scalar: Any) -> list[Any]:
    dtype, data = _numpy_codec.scalar_arguments(scalar)
    return [wrap(dtype), data]


_decoders["tuple"] = tuple
_decoders["dict"] = dict
_decoders["OrderedDict"] = OrderedDict
register(set, name="set", encode=lambda o: [_wrap_items(o)], decode=set)
register(bytes, name="bytes", encode=lambda o: [_large.pass_by(_numpy_codec.b64encode(o))],
         decode=_numpy_codec.b64decode)
register(complex, name="complex", encode=lambda o: [o.real, o.imag], decode=_make_complex)
register(slice, name="slice", encode=lambda o: [wrap(o.start), wrap(o.stop), wrap(o.step)], decode=slice)
register(Fraction, name="Fraction", encode=lambda o: [o.numerator, o.denominator], decode=_make_fraction)
register(numpy.ndarray, name="nparray", encode=_array_to_pyon, decode=_numpy_codec.build_array)
_SCALARS = (numpy.bool_, numpy.int8, numpy.int16, numpy.int32, numpy.int64, numpy.uint8, numpy.uint16, numpy.uint32,
            numpy.uint64, numpy.float16, numpy.float32, numpy.complex64, numpy.complex128, numpy.bytes_,
            numpy.datetime64, numpy.timedelta64, numpy.void)
register(_SCALARS, name="npscalar", encode=_scalar_to_pyon, decode=_numpy_codec.build_scalar)


def _main() -> None:
    import argparse

    from sipyco import pyon_v1

    parser = argparse.ArgumentParser(description="Convert a PYON version 1 file to version 2, keeping FILE_v1")
    parser.add_argument("file", metavar="FILE")
    name = parser.parse_args().file
    backup = name + "_v1"
    value = pyon_v1.load_file(name)
    text = encode(value, pretty=True)
    os.link(name, backup)  # refuses an existing backup, and leaves FILE in place until its successor is complete
    replace_text(name, text, sync=True)


if __name__ == "__main__":
    _main()
