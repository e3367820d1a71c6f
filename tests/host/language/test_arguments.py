"""Arguments: what clients are told of them, what is taken and what is refused."""

from typing import Any

import pytest

from corelog.language.arguments import (
    BooleanValue,
    CancelledArgsError,
    DefaultMissing,
    EnumerationValue,
    NumberValue,
    Processor,
    PYONValue,
    StringValue,
)
from corelog.language.managers import ProcessArgumentManager, TraceArgumentManager
from corelog.language.scan import CenterScan, ExplicitScan, MultiScanManager, NoScan, RangeScan, Scannable, ScanObject
from sipyco import pyon

NUMBER = {"unit": "", "scale": 1.0, "step": 0.1, "min": None, "max": None, "precision": 2, "type": "auto"}
SCAN = {"unit": "", "scale": 1.0, "global_step": 0.1, "global_min": None, "global_max": None, "precision": 2}


@pytest.mark.parametrize(("processor", "description"), [
    (PYONValue(), {"ty": "PYONValue"}),
    (PYONValue([1, (2,)]), {"ty": "PYONValue", "default": '[1,{"__jsonclass__":["tuple",[[2]]]}]'}),
    (BooleanValue(), {"ty": "BooleanValue"}),
    (BooleanValue(False), {"ty": "BooleanValue", "default": False}),
    (StringValue("x"), {"ty": "StringValue", "default": "x"}),
    (EnumerationValue(("a", "b"), "b"), {"ty": "EnumerationValue", "default": "b", "choices": ["a", "b"],
                                         "quickstyle": False}),
    (EnumerationValue(["a"], quickstyle=True), {"ty": "EnumerationValue", "choices": ["a"], "quickstyle": True}),
    (NumberValue(), {"ty": "NumberValue", **NUMBER}),
    (NumberValue(2e-3, "ms"), {"ty": "NumberValue", **NUMBER, "default": 2e-3, "unit": "ms", "scale": 1e-3,
                               "step": 1e-4}),
    (NumberValue(5, "xyz", scale=10, ndecimals=0, step=1, min=0, max=9, type="int"),
     {"ty": "NumberValue", "default": 5, "unit": "xyz", "scale": 10, "step": 1, "min": 0, "max": 9, "precision": 0,
      "type": "int"}),
    (Scannable(), {"ty": "Scannable", **SCAN}),
    (Scannable(NoScan(1)), {"ty": "Scannable", **SCAN, "default": [{"ty": "NoScan", "value": 1, "repetitions": 1}]}),
    (Scannable([RangeScan(0, 1, 3, seed=4), CenterScan(1, 2, 3), ExplicitScan([1])], unit="kHz", global_min=0,
               global_max=9, ndecimals=1),
     {"ty": "Scannable", "unit": "kHz", "scale": 1e3, "global_step": 100.0, "global_min": 0, "global_max": 9,
      "precision": 1, "default": [
          {"ty": "RangeScan", "start": 0, "stop": 1, "npoints": 3, "randomize": False, "seed": 4},
          {"ty": "CenterScan", "center": 1, "span": 2, "step": 3, "randomize": False, "seed": None},
          {"ty": "ExplicitScan", "sequence": [1]}]}),
])
def test_clients_are_told_what_the_protocol_documents(processor: Processor, description: dict[str, Any]) -> None:
    described = processor.describe()
    assert described == description
    assert pyon.decode(pyon.encode(described)) == description


@pytest.mark.parametrize(("processor", "submitted", "value"), [
    (PYONValue(), "[1, null]", [1, None]),
    (PYONValue(), {"a": 1}, {"a": 1}),
    (BooleanValue(), True, True),
    (NumberValue(), 3, 3.0),
    (NumberValue(precision=0, step=1), 3.0, 3),
    (NumberValue(type="int"), 3.0, 3),
    (NumberValue(precision=0, step=1, type="float"), 3, 3.0),
    (NumberValue(precision=0, step=1000, unit="kHz"), 3000, 3000.0),
    (NumberValue(max=0.3), 3 * 0.1, 3 * 0.1),
    (NumberValue(5, max=3), 2, 2.0),
    (Scannable(), {"ty": "NoScan", "value": 2, "repetitions": 3}, NoScan(2, 3)),
    (Scannable(), {"ty": "NoScan", "value": 2, "later": "field"}, NoScan(2)),
    (Scannable(), {"ty": "RangeScan", "start": 0, "stop": 2, "npoints": 3}, RangeScan(0, 2, 3)),
    (Scannable(), {"ty": "ExplicitScan", "sequence": [3, 1]}, ExplicitScan([3, 1])),
])
def test_submitted_value_becomes_the_attribute(processor: Processor, submitted: Any, value: Any) -> None:
    result = processor.process(submitted)
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(("processor", "submitted", "text"), [
    (PYONValue(), "[1", "not PYON text"),
    (BooleanValue(), 1, "not a boolean"),
    (StringValue(), 1, "not a string"),
    (EnumerationValue(["a"]), "b", "none of 'a'"),
    (NumberValue(), "3", "not a number"),
    (NumberValue(), True, "not a number"),
    (NumberValue(type="int"), 1.5, "not a whole number"),
    (NumberValue(min=1), 0, "below the minimum"),
    (NumberValue(max=1), 1.001, "above the maximum"),
    (Scannable(), 5, "not a scan"),
    (Scannable(), {"ty": "LinearScan"}, "not a scan"),
    (Scannable(), {"ty": "RangeScan", "start": 1}, "RangeScan: .*missing"),
])
def test_value_that_does_not_fit_is_refused_with_the_arguments_name(processor: Processor, submitted: Any,
                                                                    text: str) -> None:
    with pytest.raises(ValueError, match=f"argument 'x': .*{text}"):
        ProcessArgumentManager({"x": submitted}).get("x", processor)


def test_default_is_used_where_nothing_is_submitted() -> None:
    arguments = ProcessArgumentManager({})
    scan = RangeScan(0, 1, 2)
    assert arguments.get("a", NumberValue(3, type="int")) == 3
    assert arguments.get("b", Scannable([scan, NoScan(1)])) is scan
    assert arguments.get("c", PYONValue(None)) is None
    with pytest.raises(DefaultMissing, match="'d' has no default"):
        arguments.get("d", Scannable())


def test_unknown_unit_needs_a_scale() -> None:
    for kind in (NumberValue, Scannable):
        with pytest.raises(ValueError, match="'parsec' is unknown"):
            kind(unit="parsec")


def test_scans_give_their_documented_values_each_time() -> None:
    cases: list[tuple[ScanObject, list[float]]] = [
        (NoScan(5, 2), [5, 5]), (RangeScan(0, 1, 5), [0, 0.25, 0.5, 0.75, 1]), (RangeScan(3, 9, 1), [3]),
        (RangeScan(3, 9, 0), []), (RangeScan(1, 0, 3), [1, 0.5, 0]), (CenterScan(10, 4, 1), [10, 9, 11, 8, 12]),
        (CenterScan(10, 3.9, 1), [10, 9, 11]), (CenterScan(10, 0, 1), [10]), (CenterScan(10, 4, 0), []),
        (ExplicitScan((3, 1, 2)), [3, 1, 2])]
    for scan, values in cases:
        assert list(scan) == values and list(scan) == values and len(scan) == len(values), scan
    scan = RangeScan(0, 1, 2)
    assert [(a, b) for a in scan for b in scan] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_random_order_has_the_same_points_and_the_seed_repeats_it() -> None:
    ordered = list(RangeScan(0, 1, 50))
    first, second = RangeScan(0, 1, 50, randomize=True, seed=1), RangeScan(0, 1, 50, randomize=True, seed=1)
    assert list(first) == list(second) == list(first) != ordered
    assert sorted(first) == ordered
    other = CenterScan(0, 50, 1, randomize=True, seed=2)
    assert list(other) != list(CenterScan(0, 50, 1)) and sorted(other) == sorted(CenterScan(0, 50, 1))


def test_scans_in_one_another_give_points_with_names() -> None:
    scans = MultiScanManager(("x", RangeScan(0, 1, 2)), ("y", ExplicitScan("ab")))
    assert [(point.x, point.y) for point in scans] == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
    assert [point.attr for point in scans] == [{"x", "y"}] * 4


def test_examination_notes_arguments_in_the_order_of_requests() -> None:
    arguments = TraceArgumentManager()
    assert arguments.get("z", NumberValue(1), "Group", "A tip") is None
    assert arguments.get("a", BooleanValue()) is None
    assert list(arguments.describe_arguments().items()) == [
        ("z", (NumberValue(1).describe(), "Group", "A tip")), ("a", ({"ty": "BooleanValue"}, None, None))]


def test_interactive_arguments_are_described_asked_for_and_processed() -> None:
    asked: list[Any] = []

    def ask(descriptions: Any, title: str) -> Any:
        asked.append((descriptions, title))
        return {"n": 5}

    arguments = ProcessArgumentManager({}, ask)
    requests: Any = [("n", NumberValue(1), "G", None), ("text", StringValue("default"), None, "tip")]
    assert arguments.get_interactive(requests, "Title") == {"n": 5.0, "text": "default"}
    assert asked == [([("n", NumberValue(1).describe(), "G", None), ("text", StringValue("default").describe(), None,
                                                                     "tip")], "Title")]
    with pytest.raises(CancelledArgsError):
        ProcessArgumentManager({}, lambda *_: None).get_interactive(requests, "")
    with pytest.raises(ValueError, match="'n'"):
        ProcessArgumentManager({}, lambda *_: {"n": "five"}).get_interactive(requests, "")
