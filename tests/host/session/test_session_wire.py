"""The session codec against the frozen bytes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelog.wire import session as wire

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "session.json").read_text())
METHODS = {"Reset": "reset", "BreakRealtime": "break_realtime", "At": "at", "Delay": "delay", "Input": "input",
           "Count": "count", "Now": "now", "Counter": "counter"}


def names(entries: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(entry, id=entry["name"]) for entry in entries]


@pytest.mark.parametrize("vector", names(VECTORS["programs"]))
def test_program_has_the_frozen_bytes(vector: dict[str, Any]) -> None:
    program = wire.Program()
    for name, *fields in vector["ops"]:
        if name == "Output":
            program.output(fields[0] >> 8, fields[0] & 0xFF, fields[1])
        else:
            getattr(program, METHODS[name])(*fields)
    assert program.encode().hex() == vector["hex"]
    assert program.results == vector["results"]
    assert program.operations == len(vector["ops"])


@pytest.mark.parametrize("vector", names(VECTORS["requests"]))
def test_request_has_the_frozen_bytes(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    code = {"Hello": wire.REQUEST_HELLO, "Run": wire.REQUEST_RUN}[vector["request"]]
    assert wire.encode_request(code, data[8:]) == data
    assert len(data) - 8 == vector["announced"]


def decode(data: bytes) -> wire.Reply:
    code, length = wire.decode_header(data[:wire.HEADER_SIZE])
    assert length == len(data) - wire.HEADER_SIZE
    return wire.decode_reply(code, data[wire.HEADER_SIZE:])


@pytest.mark.parametrize("vector", names(VECTORS["replies"]))
def test_reply_is_understood(vector: dict[str, Any]) -> None:
    reply = decode(bytes.fromhex(vector["hex"]))
    f = vector["fields"]
    expected = {
        "Hello": lambda: wire.Hello(1, f["mu_per_coarse"], f["machine_unit_fs"], f["channels"], f["longest_program"],
                                    f["counter"]),
        "Done": lambda: wire.Done(f["cursor"], f["counter"], f["async_errors"], tuple(f["results"])),
        "Exception": lambda: wire.Exceptional(f["kind"], f["channel"], f["timestamp"], f["slack"], f["index"]),
        "Error": lambda: wire.Refused(f["text"]),
    }[vector["reply"]]()
    assert reply == expected


def test_handshake_is_the_frozen_one() -> None:
    assert wire.MAGIC.hex() == VECTORS["handshakes"][0]["hex"]
    assert wire.READY.hex() == VECTORS["handshakes"][0]["reply"]


@given(st.binary(min_size=8, max_size=8), st.binary(max_size=80))
def test_any_bytes_are_a_reply_or_a_protocol_error(header: bytes, payload: bytes) -> None:
    for attempt in (lambda: wire.decode_header(header), lambda: wire.decode_reply(header[0] % 8, payload)):
        try:
            attempt()
        except wire.SessionProtocolError:
            continue


@pytest.mark.parametrize("cut", range(1, 24))
def test_reply_cut_anywhere_is_a_protocol_error(cut: int) -> None:
    for vector in VECTORS["replies"]:
        if vector["reply"] != "Error":
            data = bytes.fromhex(vector["hex"])
            with pytest.raises(wire.SessionProtocolError):
                wire.decode_reply(data[0], data[8:-cut])


def test_target_that_does_not_exist_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="no such RTIO channel"):
        wire.Program().output(1 << 24, 0, 0)
    with pytest.raises(ValueError, match="no such RTIO target"):
        wire.Program().output(0, 256, 0)
    for read in (wire.Program().input, wire.Program().count):
        with pytest.raises(ValueError, match="no such RTIO channel"):
            read(1 << 24, 0)
