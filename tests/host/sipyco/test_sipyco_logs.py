import argparse
import asyncio
import logging
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sipyco_peers import VECTORS, Kept, port_of, until, vector_bytes

from sipyco import common_args, logs
from sipyco._log_lines import MAX_LINE, MAX_RECORD

INFO, W, E = logging.INFO, logging.WARNING, logging.ERROR


@pytest.mark.parametrize("entry", VECTORS["log_lines"], ids=lambda entry: entry["name"])
def test_first_line_of_a_record_is_parsed_as_captured(entry: dict[str, Any]) -> None:
    expected = entry["extra"], entry["level"], entry["logger"], entry["message"]
    assert logs.parse_log_message(vector_bytes(entry).decode()) == expected


def test_trace_level_has_a_name() -> None:
    assert logging.TRACE == 5 and logging.getLevelName(5) == "TRACE"  # type: ignore[attr-defined]


def record(message: str, level: int = INFO, name: str = "n", **more: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "f", 1, message, (), more.pop("exc_info", None))
    made.__dict__.update(more)
    return made


def test_formatter_writes_process_lines_and_counts_the_lines_of_a_record() -> None:
    formatter = logs.MultilineFormatter()
    assert formatter.format(record("a: b")) == "INFO:n:a: b"
    assert formatter.format(record("a\nb\n", W)) == "WARNING<3>:n:a\nb\n"
    assert formatter.format(record("x", 25)) == "Level 25:n:x"
    assert formatter.format(record("x", name="two\nlines")) == "INFO:two lines:x"
    try:
        raise KeyError("k")
    except KeyError:
        text = formatter.format(record("a", E, exc_info=sys.exc_info()))
    first, *others = text.split("\n")
    assert first == f"ERROR<{len(others) + 1}>:n:a" and others[0].startswith("Traceback") and "KeyError" in others[-1]


def parsed(kept: Kept, data: bytes, *sizes: int) -> list[tuple[int, str, str, str]]:
    """The records in `data`, fed in portions."""
    parser = logs.LogParser(lambda: "src")
    for size in sizes:
        parser.feed(data[:size])
        data = data[size:]
    parser.feed(data)
    parser.end()
    result = kept.records[:]
    kept.records.clear()
    return result


def test_parser_takes_records_prints_and_line_ends_of_any_system(kept: Kept) -> None:
    data = b"INFO:a:b:c\r\nplain\r\nWARNING<3>:n:l1\r\nl2\nl3\r\nTRACE::\n\n"
    expected = [(INFO, "src", "a", "b:c"), (INFO, "src", "print", "plain"), (W, "src", "n", "l1\nl2\nl3"),
                (5, "src", "", ""), (INFO, "src", "print", "")]
    assert parsed(kept, data) == expected
    assert parsed(kept, data, *[1] * len(data)) == expected


def test_count_of_zero_or_absurd_does_not_swallow_what_follows(kept: Kept) -> None:
    data = b"INFO<0>:n:x\nINFO<70000000>:n:y\nINFO:n:z\n"
    assert parsed(kept, data) == [(INFO, "src", "n", "x"), (INFO, "src", "print", "INFO<70000000>:n:y"),
                                  (INFO, "src", "n", "z")]


def test_bad_utf8_is_shown_escaped(kept: Kept) -> None:
    assert parsed(kept, b"INFO:n:\xff\xe2\x82|\n\xc3\nERROR:n:\xe2\x82\xac\n", 11) == [
        (INFO, "src", "n", "\\xff\\xe2\\x82|"), (INFO, "src", "print", "\\xc3"), (E, "src", "n", "€")]


def test_record_and_line_without_an_end_are_delivered_at_the_end(kept: Kept) -> None:
    assert parsed(kept, b"ERROR<4>:n:a\nb\nhalf") == [(E, "src", "n", "a\nb\nhalf [record cut: 1 lines missing]")]
    assert parsed(kept, b"ERROR:n:a\nno newline") == [(E, "src", "n", "a"), (INFO, "src", "print", "no newline")]


def test_line_of_200_kb_is_one_record(kept: Kept) -> None:
    data = b"INFO:n:" + b"x" * 200_000 + b"\nINFO:n:after\n"
    assert parsed(kept, data, *[16384] * 10) == [(INFO, "src", "n", "x" * 200_000), (INFO, "src", "n", "after")]


def test_line_above_the_limit_comes_in_marked_pieces_of_its_level(kept: Kept) -> None:
    text = "€" * MAX_LINE
    data = f"ERROR:n:{text}\nINFO:n:after\n".encode()
    records = parsed(kept, data, *[100_000] * 31)
    assert records[-1] == (INFO, "src", "n", "after")
    pieces = records[:-1]
    assert len(pieces) >= 3 and {piece[:3] for piece in pieces} == {(E, "src", "n")}
    assert all(piece[3].endswith(" [line cut, continues]") for piece in pieces[:-1])
    joined = "".join(p[3].removeprefix("[continued] ").removesuffix(" [line cut, continues]") for p in pieces)
    assert joined == text


def test_record_above_the_limit_comes_in_pieces_and_the_next_one_is_whole(kept: Kept) -> None:
    lines = ["x" * 1000] * (2 * MAX_RECORD // 1000)
    data = (f"ERROR<{len(lines)}>:n:" + "\n".join(lines) + "\nINFO:n:after\n").encode()
    records = parsed(kept, data, *[65536] * (len(data) // 65536))
    assert records[-1] == (INFO, "src", "n", "after") and len(records) >= 3
    assert sum(r[3].count("x") for r in records) == 1000 * len(lines)
    assert {r[:3] for r in records[:-1]} == {(E, "src", "n")}


def test_line_input_takes_lines_one_by_one(kept: Kept) -> None:
    parser = logs.LogParser(lambda: "src")
    for line in ("INFO<2>:n:a", "b", "c"):
        parser.line_input(line)
    assert kept.records == [(INFO, "src", "n", "a\nb"), (INFO, "src", "print", "c")]


async def test_stream_of_a_child_process_is_read_to_its_end(kept: Kept) -> None:
    code = "import sys; sys.stdout.buffer.write(b'INFO:n:' + b'x' * 200000 + b'\\n\\xff\\nERROR<3>:n:a\\nb')"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await asyncio.wait_for(logs.LogParser(lambda: "child").stream_task(process.stdout), 30)
    assert await process.wait() == 0
    assert kept.records == [(INFO, "child", "n", "x" * 200000), (INFO, "child", "print", "\\xff"),
                            (E, "child", "n", "a\nb [record cut: 1 lines missing]")]


@settings(max_examples=300)
@given(st.lists(st.binary() | st.sampled_from([b"INFO:a:b\n", b"ERROR<3>:a:b\n", b"s:INFO:a:b\n", b"s:WARN<2>:a:b\n",
                                               b"INFO<", b">:", b"\n", b":", b"\r\n", b"\xe2\x82"])))
def test_hostile_bytes_never_stop_a_parser_and_their_text_is_all_there(chunks: list[bytes]) -> None:
    handler = Kept()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    try:
        parser = logs.LogParser(lambda: "src")
        for chunk in chunks:
            parser.feed(chunk)
        parser.end()
        data = b"".join(chunks)
        lines = data.split(b"\n")
        assert sum(r[3].count("\n") + 1 for r in handler.records) == len(lines) - (lines[-1] == b"")
        parser.feed(b"\nERROR:n:last\n")
        assert handler.records[-1][3].endswith("last")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def test_records_go_through_level_filters_and_record_factory_of_the_logging_system(kept: Kept) -> None:
    root, fwd = logging.getLogger(), logging.getLogger("fwd")
    parser = logs.LogParser(lambda: "src")
    root.setLevel(W)
    parser.feed(b"INFO:n:a\nERROR:n:b\n")
    kept.setLevel(E)
    parser.feed(b"WARNING:n:c\nERROR:n:d\n")
    kept.setLevel(0)
    only_e = logging.Filter()
    only_e.filter = lambda r: r.getMessage() == "e"  # type: ignore[method-assign]
    fwd.addFilter(only_e)
    try:
        parser.feed(b"ERROR:n:e\nERROR:n:f\n")
    finally:
        fwd.removeFilter(only_e)
    factory = logging.getLogRecordFactory()
    made = []
    logging.setLogRecordFactory(lambda *a, **k: made.append(1) or factory(*a, **k))
    try:
        parser.feed(b"ERROR:n:g\n")
    finally:
        logging.setLogRecordFactory(factory)
    assert [r[3] for r in kept.records] == ["b", "d", "e", "g"] and made == [1]
    assert all(r[1:3] == ("src", "n") for r in kept.records)


def test_log_with_name_logs_under_any_name_and_leaves_no_logger_behind(kept: Kept) -> None:
    logs.log_with_name("some.one", W, "text %d %s", 1, "two", extra={"source": "s"})
    assert kept.records == [(W, "s", "some.one", "text 1 two")]
    assert "some.one" not in logging.Logger.manager.loggerDict


def test_source_filter_names_and_filters_local_records_only() -> None:
    chosen = logs.SourceFilter(W, "me")
    own, low, other = record("a", W), record("b", INFO), record("c", INFO, source="oth")
    assert [bool(chosen.filter(r)) for r in (own, low, other)] == [True, False, True]
    assert own.source == low.source == "me" and other.source == "oth"  # type: ignore[attr-defined]


# -- server


async def logging_server() -> tuple[logs.Server, asyncio.StreamReader, asyncio.StreamWriter]:
    server = logs.Server()
    await server.start("127.0.0.1", 0)
    return server, *await asyncio.open_connection("127.0.0.1", port_of(server))


async def test_server_takes_the_captured_lines(kept: Kept) -> None:
    server, _, writer = await logging_server()
    for entry in VECTORS["logging"]:
        writer.write(vector_bytes(entry))
    await until(lambda: len(kept.records) == 3)
    assert kept.records == [(INFO, "me", "fwtest", "one"), (W, "me", "fwtest", "a\nb"),
                            (logging.DEBUG, "oth", "fwtest", "other src passes")]
    writer.close()
    await server.stop()


async def test_server_keeps_a_carriage_return_and_survives_bad_text(kept: Kept) -> None:
    server, _, writer = await logging_server()
    writer.write(b"ARTIQ logging\ns:INFO:n:a\r\ns:\xff\ns:INFO<0>:n:b\ns:INFO:n:c\n")
    await until(lambda: len(kept.records) == 4)
    assert kept.records == [(INFO, "s", "n", "a\r"), (INFO, "s", "print", "\\xff"),
                            (INFO, "s", "n", "b"), (INFO, "s", "n", "c")]
    writer.close()
    await server.stop()


async def test_connection_that_dies_within_a_record_has_its_part_delivered_marked(kept: Kept) -> None:
    server, _, writer = await logging_server()
    writer.write(b"ARTIQ logging\ns:ERROR<3>:n:a\nb\n")
    await writer.drain()
    writer.close()
    await until(lambda: kept.records)
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    writer.write(b"ARTIQ logging\ns:ERROR:n:hal")
    writer.close()
    await until(lambda: len(kept.records) == 2)
    assert kept.records == [(E, "s", "n", "a\nb [record cut: 1 lines missing]"),
                            (E, "s", "n", "hal [cut: the connection ended]")]
    await server.stop()


@pytest.mark.parametrize("data", [b"ARTIQ logging\r\n", b"GET / HTTP/1.0\n", b"\n"], ids=repr)
async def test_wrong_banner_is_answered_by_silence_and_a_close(data: bytes, kept: Kept) -> None:
    server, reader, writer = await logging_server()
    writer.write(data)
    assert await asyncio.wait_for(reader.read(), 10) == b"" and not kept.records
    writer.close()
    await server.stop()


async def test_line_without_a_source_ends_the_connection_with_a_warning(kept: Kept,
                                                                        caplog: pytest.LogCaptureFixture) -> None:
    server, reader, writer = await logging_server()
    writer.write(b"ARTIQ logging\ns:INFO:n:a\nno colon\n")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    assert [r[3] for r in kept.records] == ["a"]
    assert "received improperly formatted message, dropping connection to" in caplog.text
    writer.close()
    await server.stop()


def test_command_line_options_set_level_and_addresses(capfd: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    common_args.verbosity_args(parser)
    common_args.simple_network_args(parser, 1068, ssl=True)
    args = parser.parse_args([])
    assert (args.port, args.ssl) == (1068, None)
    assert common_args.bind_address_from_args(args) == ["127.0.0.1", "::1"]
    args = parser.parse_args(["-vv", "-q", "-p", "5", "--bind", "a", "--bind", "b", "--ssl", "1", "2", "3"])
    assert args.port == 5 and args.ssl == ["1", "2", "3"]
    assert common_args.bind_address_from_args(args) == ["127.0.0.1", "::1", "a", "b"]
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        common_args.init_logger_from_args(args)
        assert root.level == logging.INFO
        logging.getLogger("x").info("a\nb")
        assert capfd.readouterr().err == "INFO<2>:x:a\nb\n"
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert common_args.bind_address_from_args(parser.parse_args(["--bind", "*"])) is None
    assert common_args.bind_address_from_args(parser.parse_args(["--no-localhost-bind"])) == []
    several = argparse.ArgumentParser()
    common_args.simple_network_args(several, [("notify", "notifications", 3250), ("control", "control", 3251)])
    assert vars(several.parse_args(["--port-control", "7"])) == {
        "bind": [], "no_localhost_bind": False, "port_notify": 3250, "port_control": 7}
