"""Records in bulk: log lines that are handed on without a call each, and broadcasts encoded beforehand."""

import asyncio
import contextlib
import random

from sipyco_peers import Kept, port_of, until

from sipyco import pyon
from sipyco._log_assembly import FormatError, RecordAssembler
from sipyco._log_lines import parse_log_message
from sipyco.broadcast import Broadcaster, Receiver
from sipyco.logs import Server

LINES = [b"s:INFO:n:m", b"s:ERROR:a.b:text: x", b"s:WARN:n:m", b"s:TRACE::", b"s:ERROR<3>:n:one", b"s:INFO<1>:n:m",
         b"s:no record", b"s:FATAL:n:m", b":INFO:n:m", b"s:INFO:n:\xff", b"s:DEBUG:n:\xc3\xa9", b"s:INFO:n:m\r", b"s:",
         b"s:ERROR<0>:n:m", b"worker(1,x):CRITICAL:n:" + b"long" * 50]


def records(data: bytes) -> list[tuple[int, str, str, str]]:
    """Of lines that came in bulk."""
    found = []
    for line in data.decode().split("\n")[:-1]:
        source, text = line.split(":", 1)
        extra, *record = parse_log_message(text)
        assert extra == 0
        found.append((record[0], source, record[1], record[2]))
    return found


def test_records_are_the_same_in_bulk_or_one_by_one(kept: Kept) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    choose = random.Random(seed)
    in_bulk = 0
    for _ in range(300):
        data = b"".join(choose.choice(LINES) + b"\n" for _ in range(choose.randrange(20)))
        if choose.random() < 0.2:
            data += b"no source\n" + data
        cuts = sorted(choose.randrange(len(data) + 1) for _ in range(3))
        portions = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        outcomes = []
        for bulk in (False, True):
            found: list[tuple[int, str, str, str]] = []

            def take(data: bytes, found: list[tuple[int, str, str, str]] = found) -> None:
                nonlocal in_bulk
                found += kept.records + records(data)
                kept.records.clear()
                in_bulk += 1

            assembler = RecordAssembler(None, take if bulk else None)
            with contextlib.suppress(FormatError):
                for portion in portions:
                    assembler.feed(portion)
                assembler.end()
            outcomes.append(found + kept.records)
            kept.records.clear()
        assert outcomes[0] == outcomes[1]
    assert in_bulk > 100


async def test_server_makes_senders_wait_for_its_throttle(kept: Kept) -> None:
    came = 0
    gate = asyncio.Event()

    def take(data: bytes) -> None:
        nonlocal came
        came += data.count(b"\n")

    server = Server(take, gate.wait)
    await server.start("127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    total = 200_000
    writer.write(b"ARTIQ logging\n" + b"s:INFO:n:a message of usual length\n" * total)
    await until(lambda: came > 0)
    first = came
    await asyncio.sleep(0.05)
    assert came == first < total
    gate.set()
    await until(lambda: came == total)
    writer.close()
    await server.stop()


async def test_messages_encoded_beforehand_keep_their_place_among_others() -> None:
    broadcaster = Broadcaster(queue_limit=10)
    await broadcaster.start("127.0.0.1", 0)
    came: list[int] = []
    receiver = Receiver("x", came.append)
    assert not broadcaster.listening("x")
    broadcaster.broadcast_encoded("x", b"0\n")  # to nobody
    await receiver.connect("127.0.0.1", port_of(broadcaster))
    await until(lambda: broadcaster.listening("x"))
    broadcaster.broadcast("x", 1)
    broadcaster.broadcast_encoded("x", "".join(pyon.encode(i) + "\n" for i in range(2, 1000)).encode())
    broadcaster.broadcast("x", 1000)
    await until(lambda: len(came) == 1000)
    assert came == list(range(1, 1001))
    await receiver.close()
    await broadcaster.stop()


async def test_slow_receiver_of_encoded_messages_is_told_how_many_it_missed() -> None:
    broadcaster = Broadcaster(queue_limit=10)
    await broadcaster.start("127.0.0.1", 0)
    came: list[str] = []
    missed: list[tuple[int, int]] = []
    receiver = Receiver("x", came.append, missed_cb=lambda count: missed.append((len(came), count)))
    await receiver.connect("127.0.0.1", port_of(broadcaster))
    await until(lambda: broadcaster.listening("x"))
    receiver.reader._transport.pause_reading()  # type: ignore[attr-defined]
    text, sent = "y" * 1000, 0
    while not broadcaster.missed:
        broadcaster.broadcast_encoded("x", b"".join(b'"%s %d"\n' % (text.encode(), sent + i) for i in range(100)))
        sent += 100
        await asyncio.sleep(0)
    receiver.reader._transport.resume_reading()  # type: ignore[attr-defined]

    async def last() -> None:
        nonlocal sent
        while not missed:
            broadcaster.broadcast("x", f"{text} {sent}")
            sent += 1
            await asyncio.sleep(0.01)

    async with asyncio.timeout(20):
        await last()
    await until(lambda: len(came) + receiver.missed == sent)
    numbers = [int(message.rpartition(" ")[2]) for message in came]
    (place, count), = missed
    assert numbers == [*range(place), *range(place + count, sent)]
    await receiver.close()
    await broadcaster.stop()
