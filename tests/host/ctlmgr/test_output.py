"""The output of a controller with the ecosystem's own line parser, which takes lines and not bytes."""

import random
from collections.abc import Callable

import pytest

from corelog.ctlmgr import output
from corelog.ctlmgr.output import LINE_MAX, Output, Stream


class LineParser:
    """Has what every release of sipyco has."""

    lines: list[str] = []

    def __init__(self, source_cb: Callable[[], str]):
        assert source_cb() == "controller(x)"

    def line_input(self, line: str) -> None:
        LineParser.lines.append(line)


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    monkeypatch.setattr(output, "LogParser", LineParser)
    LineParser.lines = []
    return Stream("controller(x)")


@pytest.mark.parametrize("seed", range(20))
def test_bytes_split_anywhere_give_the_same_lines(stream: Stream, seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    text = "".join(rng.choice(["a", "b", "\n", "é", "\r\n"]) for _ in range(300)) + "end"
    data = text.encode()
    while data:
        size = rng.randrange(1, 9)
        stream.feed(data[:size])
        data = data[size:]
    stream.end(killed=False)
    assert LineParser.lines == [line.removesuffix("\r") for line in text.split("\n")]
    assert stream.complete_lines == text.count("\n")


def test_unfinished_line_of_a_killed_controller_is_marked(stream: Stream) -> None:
    stream.feed(b"whole\nhalf")
    stream.end(killed=True)
    assert LineParser.lines == ["whole", "half [cut: the controller was killed]"]
    assert stream.complete_lines == 1


def test_whole_lines_of_a_killed_controller_are_not_marked(stream: Stream) -> None:
    stream.feed(b"whole\n")
    stream.end(killed=True)
    assert LineParser.lines == ["whole"]


@pytest.mark.parametrize("parts", [1, 7])
def test_endless_line_is_cut_and_memory_stays_bounded(stream: Stream, parts: int) -> None:
    data = b"x" * (2 * LINE_MAX + 5)
    for begin in range(0, len(data), len(data) // parts + 1):
        stream.feed(data[begin:begin + len(data) // parts + 1])
    stream.feed(b"\nnext\n")
    assert [len(line) for line in LineParser.lines[:-1]] == [LINE_MAX, LINE_MAX, 5]
    assert LineParser.lines[-1] == "next"


async def test_last_line_is_of_standard_error_if_there_is_any() -> None:
    async def no_wait() -> None:
        return None

    both = Output("controller(x)", no_wait)
    assert both.last_line == ""
    both.stdout.feed(b"on standard output\n")
    assert both.last_line == "on standard output"
    both.stderr.feed(b"first\nlast words\n\n")
    assert both.last_line == "last words"
