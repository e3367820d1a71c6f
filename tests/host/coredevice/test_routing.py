"""The routing table's file, and `corelog route`, which makes and checks it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelog.coredevice.routing import SIZE, RoutingError, RoutingTable
from corelog.frontend.route import main


def table(routes: dict[int, list[int]]) -> RoutingTable:
    t = RoutingTable()
    for destination, hops in routes.items():
        t.set(destination, hops)
    return t


def route(file: Path, *args: str) -> int:
    try:
        return main([str(file), *args])
    except SystemExit as exc:  # argparse
        return int(exc.code or 0)


def test_table_is_made_set_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "routes.bin"
    assert route(file, "init") == 0
    assert file.read_bytes() == b"\xff" * SIZE
    for args in (["0", "0"], ["1", "1", "0"], ["3", "1", "2", "0"], ["200", "254", "0"]):
        assert route(file, "set", *args) == 0
    data = file.read_bytes()
    assert data[3 * 32 : 4 * 32] == bytes([1, 2, 0]).ljust(32, b"\xff")
    assert data[2 * 32 : 3 * 32] == b"\xff" * 32
    assert route(file, "show") == 0
    assert capsys.readouterr().out == "  0:   0\n  1:   1   0\n  3:   1   2   0\n200: 254   0\n"
    assert route(file, "set", "3") == 0
    assert route(file, "show") == 0
    assert "  3:" not in capsys.readouterr().out


@pytest.mark.parametrize(("args", "text"), [
    (["256", "0"], "destination 256 is not"), (["-1", "0"], ""), (["1", "255", "0"], "hop 255 is not"),
    (["1", *["1"] * 30, "0"], "31 hops are too many: at most 30")])
def test_route_that_a_table_cannot_hold_is_refused_and_changes_nothing(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], text: str) -> None:
    file = tmp_path / "routes.bin"
    route(file, "init")
    assert route(file, "set", *args) != 0
    assert text in capsys.readouterr().err
    assert file.read_bytes() == b"\xff" * SIZE
    assert route(file, "set", "1", *["1"] * 29, "0") == 0


@pytest.mark.parametrize(("data", "text"), [(b"", "has 8192 bytes, this has 0"), (bytes(SIZE + 5), "this has 8197"),
                                            (None, "does not exist: make it with")])
def test_file_that_is_no_table_is_one_line(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes | None, text: str) -> None:
    file = tmp_path / "routes.bin"
    if data is not None:
        file.write_bytes(data)
    for action in (["show"], ["check"], ["set", "1", "0"]):
        assert route(file, *action) == 1
        err = capsys.readouterr().err
        assert text in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(("routes", "text"), [
    ({1: [1, 0]}, "destination 0 must have the route 0"),
    ({0: [0], 1: [1]}, "destination 1: the way does not end at an RTIO core"),
    ({0: [0], 1: [0, 1]}, "destination 1: the way ends with hop 0 at rank 0, but more hops follow"),
    ({0: [0], 1: [1, 0], 2: [1, 0]}, "destination 2: the same way as destination 1"),
    ({0: [0], 2: [1, 3, 0]}, "destination 2: the board on its way at   1 has no destination")])
def test_check_says_what_is_wrong(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], routes: dict[int, list[int]], text: str) -> None:
    file = tmp_path / "routes.bin"
    file.write_bytes(table(routes).encode())
    assert route(file, "check") == 1
    [line] = capsys.readouterr().out.splitlines()
    assert text in line


def test_check_finds_hops_behind_the_end_of_the_way() -> None:
    data = bytearray(table({0: [0], 1: [1, 0]}).encode())
    data[32 + 5] = 3
    [problem] = RoutingTable(bytes(data)).problems()
    assert problem.startswith("destination 1: there are hops behind the end")


def test_star_and_chain_are_well(tmp_path: Path) -> None:
    assert table({0: [0], 1: [1, 0], 2: [2, 0]}).problems() == []
    assert table({0: [0], 1: [1, 0], 2: [1, 1, 0], 3: [1, 1, 1, 0]}).problems() == []
    file = tmp_path / "routes.bin"
    file.write_bytes(table({0: [0]}).encode())
    assert route(file, "check") == 0


@given(st.dictionaries(st.integers(0, 255), st.lists(st.integers(0, 254), min_size=1, max_size=30), max_size=20))
def test_what_was_set_is_what_is_read(routes: dict[int, list[int]]) -> None:
    assert RoutingTable(table(routes).encode()).routes() == routes


@given(st.binary(max_size=SIZE), st.integers(0, SIZE))
def test_any_bytes_are_a_table_or_refused(data: bytes, at: int) -> None:
    with pytest.raises(RoutingError):
        RoutingTable(data[: SIZE - 1])
    hostile = RoutingTable((bytes(at) + data).ljust(SIZE, b"\xff")[:SIZE])
    str(hostile)
    assert all(isinstance(p, str) and "\n" not in p for p in hostile.problems())
