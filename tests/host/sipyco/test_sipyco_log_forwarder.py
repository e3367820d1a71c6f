import asyncio
import logging
import os
import socket
import sys

from sipyco_peers import VECTORS, Kept, port_of, receive, until, vector_bytes

from sipyco import logs

INFO, W, E = logging.INFO, logging.WARNING, logging.ERROR


def forwarding_logger(forwarder: logs.LogForwarder) -> logging.Logger:
    logger = logging.Logger("fwtest", 1)
    logger.addHandler(forwarder)
    return logger


class Peer:
    """A log server that reads only when told to."""

    def __init__(self) -> None:
        self.connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def start(self, port: int = 0) -> int:
        self.server = await asyncio.start_server(lambda *c: self.connections.append(c), "127.0.0.1", port,
                                                 limit=1 << 16)
        return self.server.sockets[0].getsockname()[1]

    async def read_until(self, end: bytes, index: int = -1) -> bytes:
        data = b""
        while not data.endswith(end):
            more = await asyncio.wait_for(self.connections[index][0].read(1 << 20), 20)
            assert more, data[-200:]
            data += more
        return data

    def close(self) -> None:
        self.server.close()
        for _, writer in self.connections:
            writer.transport.abort()


async def test_forwarder_sends_the_captured_bytes() -> None:
    peer = Peer()
    forwarder = logs.LogForwarder("127.0.0.1", await peer.start())
    forwarder.addFilter(logs.SourceFilter(INFO, "me"))
    forwarder.start()
    logger = forwarding_logger(forwarder)
    logger.info("one")
    logger.debug("below the level")
    logger.warning("a\nb")
    logger.debug("other src passes", extra={"source": "oth"})
    await until(lambda: peer.connections)
    expected = b"".join(vector_bytes(entry) for entry in VECTORS["logging"])
    assert await receive(peer.connections[0][0], len(expected)) == expected
    await forwarder.stop()
    assert await asyncio.wait_for(peer.connections[0][0].read(), 10) == b""
    peer.close()


async def test_forwarder_without_source_filter_and_with_odd_records_never_raises() -> None:
    peer = Peer()
    forwarder = logs.LogForwarder("127.0.0.1", await peer.start())
    forwarder.start()
    logger = forwarding_logger(forwarder)

    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")
    logger.info("no source")
    logger.info("%d", "not a number")
    logger.info("%s", Bad())
    logger.info("a\ud800", extra={"source": "with:colon\n"})
    logger.info("end", extra={"source": 5})
    await until(lambda: peer.connections)
    lines = (await peer.read_until(b":end\n")).decode().splitlines()
    own = os.path.basename(sys.argv[0])
    assert lines[1] == f"{own}:INFO:fwtest:no source"
    assert "'%d' [cannot be formatted:" in lines[2] and "'%s' [cannot be formatted:" in lines[3]
    assert lines[4:] == ["with_colon_:INFO:fwtest:a\\ud800", "5:INFO:fwtest:end"]
    await forwarder.stop()
    peer.close()


async def test_full_queue_drops_counts_and_tells_the_count_in_its_place(kept: Kept) -> None:
    server = logs.Server()
    await server.start("127.0.0.1", 0)
    forwarder = logs.LogForwarder("127.0.0.1", port_of(server), queue_size=10)
    logger = forwarding_logger(forwarder)
    for i in range(25):
        logger.info("%d", i, extra={"source": "s"})
    assert forwarder.lost == 15
    forwarder.start()
    await until(lambda: len(kept.records) == 11)
    logger.info("after", extra={"source": "s"})
    await until(lambda: len(kept.records) == 12)
    assert kept.records == [*[(INFO, "s", "fwtest", str(i)) for i in range(10)],
                            (W, "s", "sipyco.logs", "15 log records lost"), (INFO, "s", "fwtest", "after")]
    await forwarder.stop()
    await server.stop()


async def test_server_that_stops_reading_costs_exactly_the_records_that_are_declared_lost() -> None:
    peer = Peer()
    forwarder = logs.LogForwarder("127.0.0.1", await peer.start(), queue_size=100)
    forwarder.start()
    logger = forwarding_logger(forwarder)
    await until(lambda: peer.connections)
    count = 0
    while forwarder.lost < 500:
        for _ in range(500):
            logger.info("%d %s", count, "x" * 2000)
            count += 1
        await asyncio.sleep(0)
        assert count < 100_000
    data = b""
    while b"log records lost" not in data:
        data += await asyncio.wait_for(peer.connections[0][0].read(1 << 20), 20)
    logger.info("%d last", count)
    if not data.endswith(b"last\n"):
        data += await peer.read_until(b"last\n")
    lines = data.decode().splitlines()[1:]
    expected = 0
    for line in lines:
        words = line.split(":", 3)[3].split()
        if words[1:] == ["log", "records", "lost"]:
            expected += int(words[0])
        else:
            assert int(words[0]) == expected
            expected += 1
    assert expected == count + 1
    await forwarder.stop()
    peer.close()


async def test_reader_of_a_flooding_program_waits_for_room_and_nothing_is_lost(kept: Kept) -> None:
    server = logs.Server()
    await server.start("127.0.0.1", 0)
    forwarder = logs.LogForwarder("127.0.0.1", port_of(server))
    forwarder.start()
    count = 100_000
    code = f"print(*(f'INFO:n:{{i}}' for i in range({count})), sep='\\n')"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None

    class OnlyDirect(logging.Filter):
        """All is in one process here: what the parser logs must go out, what the server then logs must not."""

        def filter(self, record: logging.LogRecord) -> bool:
            passes = record.__dict__.get("source") == "direct"
            if passes:
                record.source = "far"
            return passes
    forwarder.addFilter(OnlyDirect())
    kept.addFilter(lambda r: getattr(r, "source", "") == "far")
    root = logging.getLogger()
    root.addHandler(forwarder)
    try:
        parser = logs.LogParser(lambda: "direct", throttle=forwarder.wait_room)
        await asyncio.wait_for(parser.stream_task(process.stdout), 60)
        await until(lambda: len(kept.records) >= count or forwarder.lost)
    finally:
        root.removeHandler(forwarder)
    assert forwarder.lost == 0
    assert [r[3] for r in kept.records] == [str(i) for i in range(count)]
    assert await process.wait() == 0
    await forwarder.stop()
    await server.stop()


async def test_records_under_way_when_the_link_breaks_are_sent_again_none_twice() -> None:
    peer = Peer()
    forwarder = logs.LogForwarder("127.0.0.1", await peer.start(), reconnect_timer=0.01, queue_size=100_000)
    forwarder.start()
    logger = forwarding_logger(forwarder)
    await until(lambda: peer.connections)
    count = 20_000
    for i in range(count):
        logger.info("%d %s", i, "x" * 500)
        if i % 100 == 0:
            await asyncio.sleep(0)
    transport = peer.connections[0][1].transport
    transport.pause_reading()  # from here on what the kernel acknowledged is what the first server could have read
    sock = transport.get_extra_info("socket")
    first = bytes(peer.connections[0][0]._buffer)  # type: ignore[attr-defined]
    with socket.socket(fileno=os.dup(sock.fileno())) as copy:
        copy.setblocking(False)
        logger.info("%d last", count)
        await until(lambda: not forwarder._queue or forwarder._stalled)
        pending = b""
        while True:
            try:
                pending += copy.recv(1 << 22)
            except BlockingIOError:
                break
        transport.abort()
    await until(lambda: len(peer.connections) == 2)
    second = await peer.read_until(b" last\n")
    first_lines = (first + pending).split(b"\n")
    numbers = [int(line.split(b":", 3)[3].split()[0]) for line in first_lines[1:-1]]
    again = second.decode().splitlines()
    assert again[0] == "ARTIQ logging"
    resent = [int(line.split(":", 3)[3].split()[0]) for line in again[1:] if "connection to the log server" not in line]
    assert len(resent) == len(again) - 2
    assert numbers == list(range(len(numbers)))
    assert resent[-1] == count and resent == list(range(resent[0], count + 1))
    # What lay in the first server's receive buffer when it aborted may have been acknowledged by its kernel.
    assert resent[0] <= len(numbers) + 1 and resent[0] >= len(numbers)
    assert forwarder.lost == 0
    await forwarder.stop()
    peer.close()


async def test_dead_server_is_noticed_without_a_record_to_send_and_found_again() -> None:
    peer = Peer()
    port = await peer.start()
    forwarder = logs.LogForwarder("127.0.0.1", port, reconnect_timer=0.01)
    forwarder.start()
    await until(lambda: peer.connections)
    peer.close()
    await until(lambda: forwarder._writer is None)
    logger = forwarding_logger(forwarder)
    logger.error("while away")
    again = Peer()
    await again.start(port)
    await until(lambda: again.connections)
    assert b":ERROR:fwtest:while away\n" in await again.read_until(b"while away\n")
    await forwarder.stop()
    again.close()


async def test_records_from_many_threads_arrive_once_and_in_the_order_of_each(kept: Kept) -> None:
    server = logs.Server()
    await server.start("127.0.0.1", 0)
    forwarder = logs.LogForwarder("127.0.0.1", port_of(server), queue_size=100_000)
    forwarder.start()
    logger = forwarding_logger(forwarder)

    def write(source: str) -> None:
        for i in range(2000):
            logger.info("%d", i, extra={"source": source})
    await asyncio.gather(*[asyncio.to_thread(write, f"t{n}") for n in range(4)])
    await until(lambda: len(kept.records) == 8000)
    for n in range(4):
        assert [r[3] for r in kept.records if r[1] == f"t{n}"] == [str(i) for i in range(2000)]
    await forwarder.stop()
    await server.stop()


async def test_lines_too_long_for_an_upstream_server_are_broken_and_nothing_of_them_missing(kept: Kept) -> None:
    server = logs.Server()
    await server.start("127.0.0.1", 0)
    forwarder = logs.LogForwarder("127.0.0.1", port_of(server))
    forwarder.start()
    text = "€" * 3_000_000
    forwarding_logger(forwarder).error(text, extra={"source": "s"})
    forwarding_logger(forwarder).error("after", extra={"source": "s"})
    await until(lambda: kept.records and kept.records[-1][3] == "after")
    assert {r[:3] for r in kept.records} == {(E, "s", "fwtest")}
    assert sum(r[3].count("€") for r in kept.records) == len(text)
    await forwarder.stop()
    await server.stop()


async def test_stop_sends_what_waits() -> None:
    peer = Peer()
    forwarder = logs.LogForwarder("127.0.0.1", await peer.start())
    forwarder.start()
    await until(lambda: peer.connections)
    forwarding_logger(forwarder).error("last words")
    await forwarder.stop()
    assert (await asyncio.wait_for(peer.connections[0][0].read(), 10)).endswith(b":ERROR:fwtest:last words\n")
    peer.close()
