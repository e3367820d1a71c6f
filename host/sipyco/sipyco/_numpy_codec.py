"""numpy values as (shape, dtype, base64) for both PYON versions; data from the wire is checked before numpy sees it."""

import binascii
import re
from typing import Any

import numpy

try:
    import pybase64
except ImportError:
    pybase64 = None  # type: ignore[assignment]

# One type, its size and, for times, its unit. numpy's comma and parenthesis forms are not part of PYON, nor is its
# former alias `a`.
_DTYPE_TEXT = re.compile(r"[<>|=]?(?!a[0-9]*$)[A-Za-z?]+[0-9]*(\[[0-9]*[A-Za-z]+(/[0-9]+)?\])?")


def b64encode(data: Any) -> str:
    """Standard base64 of anything with the buffer interface."""
    if pybase64 is not None:
        return pybase64.b64encode_as_string(data)
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def b64decode(text: str | bytes) -> bytes:
    """Reverse of `b64encode`; characters outside the alphabet are skipped."""
    return bytes(_b64decode(text))


def _b64decode(text: str | bytes) -> bytes | bytearray:
    if pybase64 is not None:
        try:
            return pybase64.b64decode_as_bytearray(text, validate=True)  # the fast one, which skips nothing
        except (binascii.Error, ValueError):
            pass
    return bytearray(binascii.a2b_base64(text))


def packed_dtype(dtype: numpy.dtype[Any]) -> numpy.dtype[Any]:
    """The same fields, in order and without padding, overlap or titles: the form that has a portable description."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return numpy.dtype((packed_dtype(base), shape))
    if dtype.names is None:
        return dtype
    assert dtype.fields is not None
    return numpy.dtype([(name, packed_dtype(dtype.fields[name][0])) for name in dtype.names])


def describe_dtype(dtype: numpy.dtype[Any]) -> Any:
    """What stands for `dtype` on the wire: its string, or for a structure the list of field tuples numpy accepts."""
    return dtype.str if dtype.names is None else dtype.descr


def parse_dtype(description: Any) -> numpy.dtype[Any]:
    """The dtype for a description from the wire. ValueError or TypeError if it is not one, or holds objects."""
    if isinstance(description, str):
        if not _DTYPE_TEXT.fullmatch(description):
            raise ValueError(f"not a dtype of PYON: {description[:80]!r}")
        dtype = numpy.dtype(description)
    elif isinstance(description, list) and description:
        dtype = numpy.dtype([_parse_field(field) for field in description])
    else:
        raise TypeError("a dtype is a string or a list of fields")
    if dtype.hasobject:
        raise ValueError("a dtype with objects cannot come from outside the process")
    return dtype


def _parse_field(field: Any) -> tuple[Any, ...]:
    if not isinstance(field, list | tuple) or not 2 <= len(field) <= 3 or not isinstance(field[0], str):
        raise TypeError("a dtype field is (name, dtype) or (name, dtype, shape)")
    shape = field[2] if len(field) == 3 else ()
    if not isinstance(shape, list | tuple) or not all(type(n) is int for n in shape):
        raise TypeError("the shape of a dtype field is a tuple of integers")
    return (field[0], parse_dtype(field[1]), tuple(shape))


def _raw(value: Any) -> Any:
    """The bytes of an array or scalar in C order, its dtype packed; not a copy if they are like that already."""
    array = numpy.asarray(value)
    if array.dtype.hasobject:
        raise TypeError(f"`{array.dtype}` arrays hold objects and are not PYON encodable")
    if array.dtype.names is not None:
        array = array.astype(packed_dtype(array.dtype))
    if array.nbytes < 4096 or not array.flags.c_contiguous:
        return array.tobytes()
    return array.reshape(-1).view(numpy.uint8).data


def array_arguments(array: numpy.ndarray) -> tuple[tuple[int, ...], Any, str]:
    """(shape, dtype, base64 text) of an array."""
    return array.shape, describe_dtype(packed_dtype(array.dtype)), b64encode(_raw(array))


def scalar_arguments(scalar: Any) -> tuple[Any, str]:
    """(dtype, base64 text) of a numpy scalar."""
    return describe_dtype(packed_dtype(scalar.dtype)), b64encode(_raw(scalar))


def build_array(shape: Any, dtype: Any, data: str | bytes) -> numpy.ndarray:
    """A writable array. ValueError if data and shape do not fit each other."""
    if not isinstance(shape, list | tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("the shape of an array is a list of sizes")
    parsed = parse_dtype(dtype)
    # Of a bytearray the array is writable, and nobody else has it.
    return numpy.frombuffer(_b64decode(data), dtype=parsed).reshape(tuple(shape))


def build_scalar(dtype: Any, data: str | bytes) -> Any:
    """A numpy scalar: the first item in the data. ValueError if there is none."""
    parsed = parse_dtype(dtype)
    raw = b64decode(data)
    if not parsed.itemsize or len(raw) < parsed.itemsize:
        raise ValueError("not enough data for a numpy scalar")
    return numpy.frombuffer(raw, dtype=parsed, count=1)[0]
