import json
import math
import os
import stat
import subprocess
import sys
from collections import OrderedDict, defaultdict, namedtuple
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sipyco_peers import VECTORS, vector_bytes

from sipyco import pyon, pyon_v1

REFUSALS = (ValueError, TypeError, ArithmeticError)

VALUES: dict[str, Any] = {
    "null": None, "true": True, "false": False, "integer": -5, "large integer": 1 << 80, "float": 1.5,
    "large float": 1e22, "small float": 1e-7, "negative zero": -0.0, "nan": math.nan, "infinity": math.inf,
    "minus infinity": -math.inf, "escapes": "\n\té\x7f𝄞/\ud800", "text": "a\né", "lists": [1, [2]],
    "dictionary": {"b": 1, "a": 2}, "dictionary with other keys": {1: "x", 2: None}, "tuple": (1, 2),
    "empty tuple": (), "tuple of one": (1,), "set": {1}, "empty set": set(), "bytes": b"\x00\xffAB",
    "complex": 1 - 2.5j, "slice": slice(1, None, 2), "fraction": Fraction(-1, 3),
    "ordered dictionary": OrderedDict([("b", 1), ("a", 2)]), "array": np.array([1, 2], "<i4"),
    "scalar": np.int32(-2), "log message": (20, "src", 1.5, "m:x"),
}
VALUES_V1 = {**VALUES, "tuple": (1, [2]), "scalar": np.float64(1.5)}


def same(a: Any, b: Any) -> bool:
    """Equal in type and value, nan and the order of dictionaries included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, set):
        return a == b
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, complex):
        return same((a.real, a.imag), (b.real, b.imag))
    return (a == b and str(a) == str(b)) or (a != a and b != b)


@pytest.mark.parametrize("entry", VECTORS["pyon_v2"], ids=lambda entry: entry["name"])
def test_version_2_text_is_as_captured(entry: dict[str, Any]) -> None:
    text, value = vector_bytes(entry).decode(), VALUES[entry["name"]]
    assert pyon.encode(value) == text
    assert same(pyon.decode(text), value)
    assert same(pyon.decode(text.encode()), value)


@pytest.mark.parametrize("entry", VECTORS["pyon_v1"], ids=lambda entry: entry["name"])
def test_version_1_text_is_as_captured(entry: dict[str, Any]) -> None:
    text, value = vector_bytes(entry).decode(), VALUES_V1[entry["name"]]
    assert pyon_v1.encode(value) == text
    assert same(pyon_v1.decode(text), value)


@pytest.mark.parametrize("entry", VECTORS["bad_pyon_v2"], ids=lambda entry: entry["name"])
def test_text_that_is_not_version_2_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(REFUSALS):
        pyon.decode(vector_bytes(entry).decode())


@pytest.mark.parametrize("entry", VECTORS["bad_pyon_v1"], ids=lambda entry: entry["name"])
def test_version_1_text_that_is_more_than_data_is_refused_and_not_executed(entry: dict[str, Any],
                                                                          capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(REFUSALS):
        pyon_v1.decode(vector_bytes(entry).decode())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("array", [
    np.array(5), np.array([[1, 2], [3, 4]], ">i2")[:, ::-1], np.zeros((0, 3)), np.array(["ab", "c"]),
    np.array([b"ab", b"c"]), np.array([True, False]), np.array([1 + 2j]),
    np.array(["2020-01-01", "NaT"], "M8[D]"), np.array([1, 2], "m8[25s]"),
    np.array([(1, 2.5), (3, 4.5)], [("a", "<i4"), ("b", "<f8")]),
    np.array([(1, [1, 2], (3,))], [("a", "<i4"), ("b", "<i2", (2,)), ("c", [("d", "u1")])]),
], ids=lambda array: f"{array.dtype}{array.shape}".replace(" ", ""))
@pytest.mark.parametrize("codec", [pyon, pyon_v1], ids=["v2", "v1"])
def test_arrays_survive_dates_and_structures_too(array: np.ndarray, codec: Any) -> None:
    back = codec.decode(codec.encode(array))
    assert same(back, np.ascontiguousarray(array).reshape(array.shape))
    assert back.flags.writeable


def test_padding_of_a_structure_does_not_travel() -> None:
    dtype = np.dtype({"names": ["a", "b"], "formats": ["u1", "<i8"], "offsets": [3, 16], "itemsize": 40})
    array = np.array([(1, -2)], dtype)
    back = pyon.decode(pyon.encode(array))
    assert back.dtype == np.dtype([("a", "u1"), ("b", "<i8")]) and back[0].item() == (1, -2)


@pytest.mark.parametrize("scalar", [
    np.bool_(True), np.uint8(3), np.int64(-1), np.float16(0.5), np.float32(1.5), np.complex64(1j), np.complex128(2),
    np.bytes_(b"ab"), np.datetime64("2020-01-01"), np.timedelta64(3, "s"), np.void(b"ab"),
    np.array([(1, 2.5)], [("a", "<i4"), ("b", "<f8")])[0],
], ids=lambda scalar: str(scalar.dtype).replace(" ", ""))
def test_numpy_scalars_survive(scalar: Any) -> None:
    assert same(pyon.decode(pyon.encode(scalar)), scalar)


def test_subclasses_of_what_json_has_become_that() -> None:
    class Number(IntEnum):
        one = 1
    pair = namedtuple("pair", "a b")
    assert pyon.encode([np.float64(1.5), np.str_("ab"), Number.one, defaultdict(int, a=1)]) == '[1.5,"ab",1,{"a":1}]'
    assert pyon.decode(pyon.encode(pair(1, 2))) == (1, 2)


@pytest.mark.parametrize("value", [frozenset(), bytearray(), range(3), memoryview(b""), np.longdouble(1), object(),
                                   np.array([None]), np.ma.array([1]), np.rec.array([(1,)], [("a", "i4")])],
                         ids=lambda value: type(value).__name__)
def test_other_types_are_refused_by_both_versions(value: Any) -> None:
    with pytest.raises(TypeError, match="PYON encodable"):
        pyon.encode(value)
    with pytest.raises(TypeError, match="PYON"):
        pyon_v1.encode(value)


def test_a_dictionary_that_would_be_taken_for_a_special_value_is_refused() -> None:
    with pytest.raises(AssertionError):
        pyon.encode([{"__jsonclass__": 1}])


def test_decoding_is_lenient_where_captures_show_it() -> None:
    assert pyon.decode('{"__jsonclass__":["tuple",[[1]]],"more":1}') == (1,)
    assert pyon.decode('{"a":1,"a":2}') == {"a": 2}
    assert pyon.decode('{"__jsonclass__":["bytes",["!!!"]]}') == b""
    assert same(pyon.decode('{"__jsonclass__":["npscalar",["<i2","AQACAA=="]]}'), np.int16(1))


def test_what_version_1_got_wrong_survives_it() -> None:
    numbers = [complex(math.nan, math.inf), complex(-0.0, -0.0), complex(1, -math.inf), -1j]
    for value in (set(), [set(), {}], "𝄞 and é", *numbers):
        assert same(pyon_v1.decode(pyon_v1.encode(value)), value)
    assert eval(pyon_v1.encode(set()), {"__builtins__": {}}) == set()  # an old peer gets a set as well


def test_pretty_text() -> None:
    assert pyon.encode({"b": [1, ()], "a": {}}, pretty=True) == """{
    "b": [
        1,
        {
            "__jsonclass__": [
                "tuple",
                [
                    []
                ]
            ]
        }
    ],
    "a": {}
}"""
    assert pyon_v1.encode({"b": 1, "a": {"y": [1, 2], "x": {"z": 1}}}, True) == """{
    "a": {
        "x": {"z": 1},
        "y": [1, 2]
    },
    "b": 1
}"""


def test_registered_type_travels_by_its_own_functions_until_deregistered() -> None:
    class Point(tuple):
        pass
    pyon.register([Point], name="point", encode=lambda p: [pyon.wrap(tuple(p))], decode=lambda t: Point(t))
    try:
        text = pyon.encode({"p": Point((1, (2,)))})
        assert '["point",' in text
        back = pyon.decode(text)["p"]
        assert type(back) is Point and back == (1, (2,))
    finally:
        pyon.deregister([Point], "point")
    with pytest.raises(TypeError, match="not PYON decodable"):
        pyon.decode(text)


def test_nesting_without_end_is_refused_and_does_not_crash() -> None:
    loop: list[Any] = []
    loop.append(loop)
    for codec in (pyon, pyon_v1):
        with pytest.raises(ValueError):
            codec.encode(loop)
        with pytest.raises(ValueError):
            codec.decode("[" * 100_000)
    for text in ("-" * 100_000 + "1", "1" + "+1j" * 50_000, "(" * 5000 + ")" * 5000, "[" * 150 + "-" * 3000 + "1"):
        with pytest.raises(ValueError):
            pyon_v1.decode(text)


@pytest.mark.parametrize(("codec", "end"), [(pyon, ""), (pyon_v1, "\n")], ids=["v2", "v1"])
def test_file_is_replaced_whole_keeps_its_mode_and_leaves_nothing_behind(tmp_path: Path, codec: Any, end: str) -> None:
    path = tmp_path / "values.pyon"
    codec.store_file(path, {"b": (1,), "a": 2})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == codec.encode({"b": (1,), "a": 2}, pretty=True) + end
    assert codec.load_file(str(path)) == {"b": (1,), "a": 2}
    path.chmod(0o640)
    with pytest.raises(TypeError):
        codec.store_file(path, [object()])
    assert codec.load_file(path) == {"b": (1,), "a": 2}
    codec.store_file(str(path), [1])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["values.pyon"]


def test_failed_replacement_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(OSError):
        pyon.store_file(tmp_path / "target", 1)
    assert os.listdir(tmp_path) == ["target"]


def test_old_file_is_converted_in_place_once(tmp_path: Path) -> None:
    path = tmp_path / "old.pyon"
    pyon_v1.store_file(path, {"a": (1, 2)})
    old = path.read_text()
    command = [sys.executable, "-m", "sipyco.pyon", str(path)]
    subprocess.run(command, check=True, timeout=60)
    assert pyon.load_file(path) == {"a": (1, 2)}
    assert (tmp_path / "old.pyon_v1").read_text() == old
    pyon_v1.store_file(path, 1)
    again = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert again.returncode == 1 and "FileExistsError" in again.stderr
    assert pyon_v1.load_file(path) == 1


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
ANY = st.recursive(
    SCALARS | st.complex_numbers() | st.fractions(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.sets(st.integers() | st.text())
    | st.dictionaries(st.text() | st.integers() | st.tuples(st.text(), st.integers()), inner)
    | st.dictionaries(st.text(), inner).map(OrderedDict), max_leaves=20)


@given(ANY)
def test_any_value_comes_back_as_it_was(value: Any) -> None:
    for codec in (pyon, pyon_v1):
        text = codec.encode(value)
        assert text.isascii() and "\n" not in text
        assert same(codec.decode(text), value)


@given(st.text() | st.text(alphabet='[]{}()",:1-+.eEjb\'\\xunaiflstrueO* '))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    for codec in (pyon, pyon_v1):
        try:
            codec.decode(text)
        except REFUSALS:
            pass


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3))


@given(st.sampled_from(["tuple", "dict", "set", "bytes", "complex", "slice", "Fraction", "OrderedDict", "nparray",
                        "npscalar"]), st.lists(JSON, max_size=4) | JSON)
def test_any_arguments_of_a_special_value_are_taken_or_refused(name: str, arguments: Any) -> None:
    try:
        pyon.decode(json.dumps({"__jsonclass__": [name, arguments]}))
    except REFUSALS:
        pass


@given(st.text(alphabet="<>|=?biufcmMOSUVadgGDFL0123456789[]/,()nsDM", max_size=10), st.binary(max_size=40))
def test_any_dtype_is_taken_or_refused(dtype: str, data: bytes) -> None:
    import base64
    for name, arguments in (("nparray", [[1]]), ("npscalar", [])):
        try:
            pyon.decode(json.dumps({"__jsonclass__": [name, [*arguments, dtype, base64.b64encode(data).decode()]]}))
        except REFUSALS:
            pass


@pytest.mark.parametrize("fast", [True, False], ids=["pybase64", "binascii"])
def test_large_arrays_travel_the_same_with_and_without_the_fast_base64(fast: bool,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    import base64

    from sipyco import _numpy_codec
    if fast:
        pytest.importorskip("pybase64")
    else:
        monkeypatch.setattr(_numpy_codec, "pybase64", None)
    values = np.random.default_rng(5).random((50, 400))
    big = {"a": [values, values[:, ::2], values.T], "b": bytes(values[0]) * 10, "text": "0;" * 4000,
           "dates": np.arange(20000).astype("M8[s]"), "deep": ({1: (values,)}, {values[0].tobytes()})}
    text = pyon.encode(big)
    assert base64.b64encode(values.tobytes()).decode() in text and text == pyon.encode(big, indent=None)
    assert same(pyon.decode(text), {**big, "a": [np.ascontiguousarray(array) for array in big["a"]]})
    assert pyon.decode('{"__jsonclass__":["bytes",["AP9!B Qg=="]]}') == b"\x00\xffAB"
    assert same(pyon.decode('{"__jsonclass__":["nparray",[[2],"|u1","!AQI="]]}'), np.array([1, 2], "u1"))


def test_registered_encoder_may_encode_arrays_itself() -> None:
    class Box:
        def __init__(self, value: Any) -> None:
            self.value = value
    array = np.arange(10000)
    try:
        pyon.register(Box, name="box", decode=Box,
                      encode=lambda o: [pyon.encode(o.value), pyon.encode(o.value, pretty=True), pyon.wrap(o.value)])
        name, arguments = json.loads(pyon.encode([array, Box((array,)), array]))[1]["__jsonclass__"]
        assert name == "box" and len(arguments) == 3
        assert all(same(pyon.decode(text), (array,)) for text in arguments[:2])
        assert same(pyon.decode(json.dumps(arguments[2])), (array,))
    finally:
        pyon.deregister(Box, "box")
