"""Fields that the names of log lines carry: between programs that know of them, and never seen by others."""

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sipyco_peers import Kept, ScriptedServer, port_of, until

from sipyco import _log_forwarder, logs
from sipyco._log_lines import split_fields, without_fields


class KeptFields(logging.Handler):
    """Keeps (name, fields, message) of all records with a source."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[str, str | None, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "source", None) is not None:
            self.records.append((record.name, getattr(record, "line_fields", None), record.getMessage()))


@pytest.fixture
def fields(kept: Kept) -> Iterator[KeptFields]:
    handler = KeptFields()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@contextmanager
def record_factory() -> Iterator[None]:
    """Logging as it is with a record factory of the user's."""
    logging.setLogRecordFactory(lambda *args, **more: logging.LogRecord(*args, **more))
    try:
        yield
    finally:
        logging.setLogRecordFactory(logging.LogRecord)


LINES = (b"INFO:a.b\x1fseq=1,us=2:message: \x1fseq=9:x\n"
         b"ERROR<2>:c\x1fk=v:one\nWARNING:d\x1fk=w:two\n"
         b"INFO:a.b:\x1fseq=1\n"
         b"INFO:odd\x1f:m\nINFO:odd\x1fNo=1:m\nINFO:odd\x1fa=1\x1fb=2:m\nINFO:odd\x1fa=1 b:m\n")
TAKEN = [("a.b", "seq=1,us=2", "message: \x1fseq=9:x"), ("c", "k=v", "one\nWARNING:d\x1fk=w:two"),
         ("a.b", None, "\x1fseq=1"), ("odd\x1f", None, "m"), ("odd\x1fNo=1", None, "m"),
         ("odd\x1fa=1\x1fb=2", None, "m"), ("odd\x1fa=1 b", None, "m")]


def test_parser_takes_fields_from_names_alone_and_only_proper_ones(fields: KeptFields) -> None:
    parser = logs.LogParser(lambda: "src")
    parser.feed(LINES)
    assert fields.records == TAKEN
    with record_factory():
        parser.feed(LINES)
    assert fields.records == TAKEN * 2


def test_record_without_fields_is_the_record_before_they_were_added() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    choose = random.Random(seed)
    for _ in range(2000):
        name = "".join(choose.choices("ab. =", k=choose.randrange(4)))
        message = "".join(choose.choices("a:=\n\x1f ", k=choose.randrange(12)))
        plain = f"s:INFO:{name}:{message}\n".encode()
        assert without_fields(plain) == plain
        assert without_fields(f"s:INFO:{name}\x1fa=b,c=:{message}\n".encode()) == plain
    assert split_fields("n\x1fa=b") == ("n", "a=b") and split_fields("n") == ("n", "")


def forward(forwarder: logs.LogForwarder, lines: bytes) -> None:
    """Lets the forwarder have what a program printed."""
    logging.getLogger().addHandler(forwarder)
    parser = logs.LogParser(lambda: "src")
    parser.feed(lines)
    logging.getLogger().removeHandler(forwarder)


async def test_fields_pass_to_a_server_of_this_package(fields: KeptFields) -> None:
    server = logs.Server()
    await server.start("127.0.0.1", 0)
    forwarder = logs.LogForwarder("127.0.0.1", port_of(server), fields=True)
    forward(forwarder, LINES)
    fields.records.clear()
    forwarder.start()
    await until(lambda: len(fields.records) >= len(TAKEN))
    assert fields.records == TAKEN
    await forwarder.stop()
    await server.stop()


async def test_fields_stand_in_the_lines_that_a_server_takes_in_bulk(kept: Kept) -> None:
    bulk: list[bytes] = []
    server = logs.Server(bulk.append)
    await server.start("127.0.0.1", 0)
    forwarder = logs.LogForwarder("127.0.0.1", port_of(server), fields=True)
    forward(forwarder, b"INFO:a.b\x1fseq=1:m\nERROR:a.b\x1fseq=2:m: \x1fseq=9:x\n")
    forwarder.start()
    await until(lambda: b"".join(bulk).count(b"\n") == 2)
    assert b"".join(bulk) == b"src:INFO:a.b\x1fseq=1:m\nsrc:ERROR:a.b\x1fseq=2:m: \x1fseq=9:x\n"
    await forwarder.stop()
    await server.stop()


@pytest.mark.parametrize("answer", ["closes", "says nothing", "says something else"])
async def test_server_that_knows_no_fields_gets_ordinary_lines(
        answer: str, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_log_forwarder, "_ANSWER_DEADLINE", 0.1)
    banners: list[bytes] = []
    received = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        banners.append(await reader.readline())
        if banners[-1] != b"ARTIQ logging\n":
            if answer == "says something else":
                writer.write(b"what?\n")
            if answer != "closes":
                await reader.read()
            return
        while data := await reader.read(4096):
            received += data

    async with ScriptedServer(serve) as port:
        forwarder = logs.LogForwarder("127.0.0.1", port, fields=True)
        forward(forwarder, LINES)
        forwarder.start()
        await until(lambda: received.endswith(b"a=1 b:m\n"))
        await forwarder.stop()
    assert banners == [b"ARTIQ logging, fields\n", b"ARTIQ logging\n"]
    assert received.startswith(b"src:INFO:a.b:message: \x1fseq=9:x\nsrc:ERROR<2>:c:one\nWARNING:d\x1fk=w:two\n")


async def test_forwarder_that_was_not_asked_sends_no_fields_and_the_usual_banner(kept: Kept) -> None:
    received = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        while data := await reader.read(4096):
            received += data

    async with ScriptedServer(serve) as port:
        forwarder = logs.LogForwarder("127.0.0.1", port)
        forward(forwarder, LINES)
        forwarder.start()
        await until(lambda: received.endswith(b"a=1 b:m\n"))
        await forwarder.stop()
    assert received.startswith(b"ARTIQ logging\nsrc:INFO:a.b:message: \x1fseq=9:x\n")


async def test_server_that_comes_back_knowing_no_fields_gets_every_record_once_without_them(kept: Kept) -> None:
    """The records of the broken connection that had not arrived are sent again, as the new server takes them."""
    connections: list[list[bytes]] = []
    first = logs.Server(lambda data: None)
    await first.start("127.0.0.1", 0)
    port = port_of(first)
    forwarder = logs.LogForwarder("127.0.0.1", port, 0.05, fields=True)
    forwarder.start()
    await until(lambda: forwarder._writer is not None)
    await first.stop()
    await until(lambda: forwarder._writer is None)
    forward(forwarder, LINES)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines: list[bytes] = []
        connections.append(lines)
        while line := await reader.readline():
            lines.append(line)
            if line == b"ARTIQ logging, fields\n":
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await until(lambda: connections and connections[-1][-1:] == [b"src:INFO:odd\x1fa=1 b:m\n"])
    plain = connections[-1]
    assert plain[0] == b"ARTIQ logging\n"
    assert sum(b"INFO:a.b" in line for line in plain) == 2
    assert not any(b"\x1fseq=1,us" in line for line in plain)
    await forwarder.stop()
    server.close()
