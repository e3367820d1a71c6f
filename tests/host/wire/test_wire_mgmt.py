"""Management requests and replies: frozen bytes, any portions, bytes that are no reply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_vectors import cases, ids

from corelog.wire import frames, mgmt
from corelog.wire.errors import ProtocolError
from corelog.wire.frames import Cursor, From
from corelog.wire.mgmt import Answer, DebugKind, Identity, Reply, Request

REQUESTS = cases("mgmt", "requests")
REPLIES = cases("mgmt", "replies")
CODES = {"GetLog": Request.GET_LOG, "ClearLog": Request.CLEAR_LOG, "Reboot": Request.REBOOT,
         "PullLog": Request.PULL_LOG, "DebugAllocator": Request.DEBUG_ALLOCATOR, "ConfigRead": Request.CONFIG_READ,
         "ConfigRemove": Request.CONFIG_REMOVE, "ConfigErase": Request.CONFIG_ERASE, "Identify": Request.IDENTIFY}


def make(case: dict, data: bytes) -> bytes:
    kind, fields = case["request"], case["fields"]
    if kind in CODES:
        return mgmt.request(CODES[kind], *([fields["key"].encode()] if "key" in fields else []))
    if kind == "ConfigWrite":
        value = data[len(data) - fields["length"] :]
        return mgmt.request(Request.CONFIG_WRITE, fields["key"].encode(), value)
    if kind == "Flash":
        return mgmt.request(Request.FLASH, mgmt.flash_image([b"\1\2\3\4", b"BL", b"RTFBI"]))
    if kind == "Subscribe":
        start = {"now": From.NOW, "oldest": From.OLDEST, "cursors": From.CURSORS}[fields["from"]]
        cursors = [Cursor(c["origin"], c["boot_id"], c["seq"],
                          frames.RETAINED_UNKNOWN if c["retained"] is None else c["retained"])
                   for c in fields["cursors"]]
        return frames.encode_subscribe(start, fields["min_level"], fields["origins"], cursors)
    if kind == "DebugPanic":
        return mgmt.debug_request(DebugKind.PANIC, level=0)
    if kind == "DebugFlood":
        return mgmt.debug_request(DebugKind.FLOOD, **fields)
    assert kind == "DebugMeasure", kind
    return mgmt.debug_request(DebugKind.BENCH, level=0, count=fields["count"])


@pytest.mark.parametrize(("_name", "data", "case"), REQUESTS, ids=ids(REQUESTS))
def test_frozen_request_is_made_byte_for_byte(_name: str, data: bytes, case: dict) -> None:
    assert make(case, data).hex() == data.hex()


def test_frozen_greeting() -> None:
    for _, data, case in cases("mgmt", "handshakes"):
        assert mgmt.greeting(case["destination"]) == data
        assert mgmt.byte_order(bytes.fromhex(case["reply"])) == "<"


@pytest.mark.parametrize(("_name", "data", "case"), REPLIES, ids=ids(REPLIES))
def test_frozen_reply_is_understood_and_only_when_whole(_name: str, data: bytes, case: dict) -> None:
    for cut in range(len(data)):
        assert mgmt.parse_reply(data[:cut]) is None
    parsed = mgmt.parse_reply(data + b"rest")
    assert parsed is not None
    answer, rest = parsed
    assert rest == b"rest"
    fields = case["fields"]
    if case["reply"] == "Identify":
        assert answer == Answer(Reply.IDENTITY, Identity(**fields_of_identity(fields)))
        assert mgmt.identity_reply(answer.payload) == data
    elif case["reply"] == "LogContent":
        assert answer == Answer(Reply.LOG_CONTENT, fields["text"].encode())
    elif case["reply"] == "ConfigData":
        assert answer == Answer(Reply.CONFIG_DATA, bytes.fromhex(fields["value"]))
    else:
        assert answer.code.name.replace("_", "").lower() == case["reply"].lower()
        assert answer.payload is None


def fields_of_identity(fields: dict) -> dict:
    return {k: fields[k] for k in ("board_id", "boot_id", "uptime", "capabilities", "gateware", "firmware")}


def test_big_endian_device_is_understood() -> None:
    assert mgmt.byte_order(b"E") == ">"
    assert mgmt.parse_reply(b"\x07\0\0\0\x03val", ">") == (Answer(Reply.CONFIG_DATA, b"val"), b"")
    assert mgmt.request(Request.CONFIG_READ, b"ip", order=">") == b"\x0c\0\0\0\x02ip"


@pytest.mark.parametrize("data", [b"\0", b"\x05", b"\xff", b"\x02\xff\xff\xff\xff", b"\x07\0\0\0\x80",
                                  mgmt.identity_reply(Identity(1, 2, 3, 4, "a", "b"))[:-1] + b"\xff"])
def test_absurd_reply_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="Incorrect reply"):
        mgmt.parse_reply(data)


def test_handshake_answered_with_anything_else_says_what_was_expected() -> None:
    with pytest.raises(ProtocolError, match="expected e/E"):
        mgmt.byte_order(b"\n")


@given(st.binary(max_size=100))
def test_any_bytes_are_a_reply_incomplete_or_a_protocol_error(data: bytes) -> None:
    try:
        mgmt.parse_reply(data)
    except ProtocolError:
        pass


@pytest.mark.parametrize("parts", [[], [b"a", b"b"], [b"a", b"", b"c"], [b""], [b"a"] * 4])
def test_image_without_all_three_components_is_refused(parts: list[bytes]) -> None:
    with pytest.raises(ValueError, match="image"):
        mgmt.flash_image(parts)


def test_boot_bin_goes_without_a_length() -> None:
    assert mgmt.flash_image([b"\1\2\3"]) == b"\1\2\3\x1d\x80\xbc\x55"


def test_number_that_does_not_fit_its_field_is_refused() -> None:
    with pytest.raises(ValueError, match="debug request"):
        mgmt.debug_request(DebugKind.FLOOD, count=2**32)
