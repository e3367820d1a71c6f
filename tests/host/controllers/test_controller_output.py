"""Writing to a pipe: in order, whole, never blocking, bounded."""

import asyncio
import os
from pathlib import Path

import pytest

from corelog.controllers.lines import CHUNK, Chunk
from corelog.controllers.output import HIGH_WATER, OWN_LIMIT, Output, OwnStream, ReaderGone
from corelog.controllers.state import State
from corelog.wire.frames import Cursor


def chunk(text: str, cursor: Cursor | None = None) -> Chunk:
    data = text.encode() + b"\n"
    return Chunk(data, data.count(b"\n"), cursor)


async def read_all(fd: int, size: int) -> bytes:
    data = b""
    async with asyncio.timeout(10):
        while len(data) < size:
            data += await asyncio.to_thread(os.read, fd, 1 << 16)
    return data


async def test_chunks_go_out_in_order_even_if_the_pipe_was_full() -> None:
    reader, writer = os.pipe()
    output = Output(writer)
    chunks = [chunk(f"{i} " + "x" * 1000) for i in range(500)]
    output.put(chunks)
    assert output.size > 0
    want = b"".join(c.data for c in chunks)
    assert await read_all(reader, len(want)) == want
    assert await output.drain(5)
    assert output.lines == 500
    output.close()
    os.close(reader)
    os.close(writer)


async def test_descriptor_that_others_share_stays_blocking() -> None:
    reader, writer = os.pipe()
    output = Output(writer)
    assert os.get_blocking(writer)
    output.close()
    os.close(reader)
    os.close(writer)


async def test_source_waits_while_the_reader_does_not_read() -> None:
    reader, writer = os.pipe()
    output = Output(writer)
    output.put([chunk("x" * 4000)] * (HIGH_WATER // 4000 + 50))
    waiting = asyncio.create_task(output.ready())
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    size = output.size
    await read_all(reader, size - HIGH_WATER // 4)
    async with asyncio.timeout(5):
        await waiting
    output.close()
    os.close(reader)
    os.close(writer)


async def test_own_messages_are_dropped_and_counted_when_too_much_waits() -> None:
    reader, writer = os.pipe()
    output = Output(writer)
    stream = OwnStream(output)
    for _ in range(OWN_LIMIT // 1000 + 500):
        stream.write("WARNING:own:" + "x" * 1000 + "\n")
    assert output.dropped > 100
    dropped, size = output.dropped, output.size
    assert size < OWN_LIMIT + 5000
    await read_all(reader, size)
    stream.write("INFO:own:again\n")
    assert b"%d messages of the log controller dropped" % dropped in await read_all(reader, 50)
    output.close()
    os.close(reader)
    os.close(writer)


async def test_own_text_in_pieces_becomes_whole_lines() -> None:
    reader, writer = os.pipe()
    stream = OwnStream(Output(writer))
    stream.write("INFO:a")
    stream.write(":b\nINFO:c:d\nrest")
    assert os.read(reader, 1000) == b"INFO:a:b\nINFO:c:d\n"
    os.close(reader)
    os.close(writer)


async def test_reader_that_is_gone_ends_the_source_and_takes_back_what_was_unread(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    state = State.open(tmp_path / "state")
    state.claim(None)
    output = Output(writer, state)
    for i in range(1, 2001):
        output.put([chunk("x" * 99, Cursor(0, 1, i))])
    read = len(await read_all(reader, 3000))
    os.close(reader)
    output.put([chunk("more")])
    async with asyncio.timeout(5):
        await output.failed
        with pytest.raises(ReaderGone):
            await output.ready()
    output.close()
    state.close()
    os.close(writer)
    state = State.open(tmp_path / "state")
    assert [c.seq for c in state.claim(None)] == [read // 100]
    state.close()


async def test_reader_that_is_gone_is_noticed_at_the_end_too(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    state = State.open(tmp_path / "state")
    state.claim(None)
    output = Output(writer, state)
    output.put([chunk("one", Cursor(0, 1, 1))])
    os.read(reader, 100)
    output.put([chunk("two", Cursor(0, 1, 2))])
    os.close(reader)
    output.close()
    state.close()
    os.close(writer)
    state = State.open(tmp_path / "state")
    assert [c.seq for c in state.claim(None)] == [1]
    state.close()


async def test_line_longer_than_a_pipe_takes_at_once_goes_out_whole() -> None:
    reader, writer = os.pipe()
    output = Output(writer)
    long = chunk("y" * 200_000)
    assert len(long.data) > CHUNK
    output.put([chunk("before"), long, chunk("after")])
    data = await read_all(reader, len(long.data) + 13)
    assert data == b"before\n" + long.data + b"after\n"
    assert output.lines == 3
    output.close()
    os.close(reader)
    os.close(writer)


async def test_file_takes_everything_at_once(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    output = Output(fd)
    output.put([chunk("x" * 1000)] * 2000)
    assert output.size == 0
    output.close()
    os.close(fd)
    assert (tmp_path / "out").stat().st_size == 2000 * 1001
