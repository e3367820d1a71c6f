import asyncio
import gc
import logging
from typing import Any

import pytest
from sipyco_peers import VECTORS, Collector, ScriptedServer, port_of, receive, receive_line, until, vector_bytes

from sipyco import broadcast, pyon, sync_struct
from sipyco._streams import LineSplitter, LineTooLong
from sipyco.broadcast import Broadcaster, Receiver
from sipyco.sync_struct import ModAction, Notifier, Publisher, Subscriber, process_mod, update_from_dict

STRUCT: dict[Any, Any] = {"a": [1, {"b": []}], 5: "int"}


async def connect(server: Any, *lines: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server), limit=1 << 24)
    writer.write(b"".join(lines))
    return reader, writer


def lines_from(entries: list[dict[str, Any]], side: str) -> list[bytes]:
    return [vector_bytes(entry) for entry in entries if entry["from"] == side]


# -- sync_struct


async def publisher_of(**structs: Any) -> tuple[Publisher, dict[str, Notifier]]:
    notifiers = {name: Notifier(struct) for name, struct in structs.items()}
    publisher = Publisher(notifiers)
    await publisher.start("127.0.0.1", 0)
    return publisher, notifiers


async def test_publisher_sends_the_captured_bytes() -> None:
    publisher, notifiers = await publisher_of(x={"a": [1, {"b": []}], 5: "int"})
    server_lines = lines_from(VECTORS["sync_struct"], "server")
    reader, writer = await connect(publisher, *lines_from(VECTORS["sync_struct"], "client"))
    assert await receive_line(reader) == server_lines[0]
    x = notifiers["x"]
    x["a"][1]["b"].append(1)
    assert x["a"][1]["b"].pop() == 1
    x[5] = "new"
    del x["a"][1]
    for line in server_lines[1:]:
        assert await receive_line(reader) == line
    assert x.raw_view == {"a": [1], 5: "new"}
    writer.close()
    await publisher.stop()


async def test_subscriber_follows_the_captured_bytes() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        expected = lines_from(VECTORS["sync_struct"], "client")[0]
        assert await receive(reader, len(expected)) == expected
        writer.write(b"".join(lines_from(VECTORS["sync_struct"], "server")))

    actions: list[str] = []
    order: list[str] = []
    gone = asyncio.Event()
    async with ScriptedServer(script) as port:
        subscriber = Subscriber("x", lambda struct: struct, lambda mod: actions.append(mod["action"]), gone.set)
        await subscriber.connect("127.0.0.1", port, before_receive_cb=lambda: order.append("before"))
        await asyncio.wait_for(gone.wait(), 10)
        assert order == ["before"] and actions == ["init", "append", "pop", "setitem", "delitem"]
        assert subscriber.target == {"a": [1], 5: "new"}
        await subscriber.close()


def test_every_mod_applied_to_a_copy_gives_the_same_structure() -> None:
    notifier, copy = Notifier({"l": [1], "d": {}}), {"l": [1], "d": {}}
    mods: list[dict[str, Any]] = []
    notifier.publish = mods.append
    notifier["l"].append(2)
    notifier["l"].insert(0, 3)
    notifier["l"].insert(-1, 4)
    assert notifier["l"].pop(1) == 1
    notifier["d"][(1, "k")] = {"deep": [0]}
    notifier["d"][(1, "k")]["deep"][0] = [5]
    del notifier["l"][0]
    for mod in mods:
        assert mod["action"] in [action.value for action in ModAction]
        process_mod(copy, pyon.decode(pyon.encode(mod)))
    assert copy == notifier.raw_view == {"l": [4, 2], "d": {(1, "k"): {"deep": [[5]]}}}
    with pytest.raises(ValueError):
        process_mod(copy, {"action": "init", "path": []})
    with pytest.raises(KeyError):
        process_mod(copy, {"action": "append", "path": ["none"], "x": 1})


def test_notifier_has_no_length_iteration_or_membership() -> None:
    notifier = Notifier([1, 2])
    for use in (len, iter, lambda n: 1 in n):
        with pytest.raises(TypeError):
            use(notifier)


def test_update_from_dict_makes_only_the_necessary_mods() -> None:
    notifier = Notifier({"same": 1, "old": 2, "changed": [1]})
    mods: list[dict[str, Any]] = []
    notifier.publish = mods.append
    update_from_dict(notifier, {"same": 1, "changed": [2], "new": 3})
    assert notifier.raw_view == {"same": 1, "changed": [2], "new": 3}
    assert [mod["key"] for mod in mods] == ["old", "changed", "new"]
    plain = {"a": 1}
    update_from_dict(plain, {"b": 2})
    assert plain == {"b": 2}


async def test_subscriber_that_cannot_keep_up_gets_the_structure_anew_and_memory_stays_bounded() -> None:
    notifier = Notifier({})
    publisher = Publisher({"x": notifier}, queue_limit=100)
    await publisher.start("127.0.0.1", 0)
    reader, writer = await connect(publisher, b"ARTIQ sync_struct\nx\n")
    assert b"init" in await receive_line(reader)
    follower: dict[str, Any] = {}
    other = Subscriber("x", lambda struct: follower.update(struct) or follower)
    await other.connect("127.0.0.1", port_of(publisher))
    await until(lambda: len(publisher._subscribers[notifier]) == 2)
    i = 0
    while not any(outbox._refused for outbox in publisher._subscribers[notifier]):
        notifier[str(i % 7)] = [i, "x" * 5000]
        i += 1
        if i % 10 == 0:
            await asyncio.sleep(0)
        assert i < 20_000
    for _ in range(1000):
        notifier["end"] = i
    assert all(len(outbox._lines) <= 100 for outbox in publisher._subscribers[notifier])
    target: Any = {}
    inits = 0
    while target.get("end") != i or notifier.raw_view != target:
        mod = pyon.decode(await receive_line(reader))
        if mod["action"] == "init":
            inits += 1
            target = mod["struct"]
        else:
            process_mod(target, mod)
    assert inits == 1 and publisher.restarts >= 1
    await until(lambda: follower == notifier.raw_view)
    notifier["after"] = 1
    mod = pyon.decode(await receive_line(reader))
    assert mod["key"] == "after"
    await other.close()
    writer.close()
    await publisher.stop()


@pytest.mark.parametrize("data", [b"ARTIQ sync_struct\nnone\n", b"ARTIQ sync_struct\r\nx\n", b"ARTIQ broadcast\nx\n",
                                  b"ARTIQ sync_struct\n\xff\n"], ids=repr)
async def test_publisher_closes_on_wrong_banner_or_name_without_an_answer(data: bytes) -> None:
    publisher, _ = await publisher_of(x=[])
    reader, writer = await connect(publisher, data)
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await publisher.stop()


async def test_line_above_the_limit_resets_the_connection_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    publisher, _ = await publisher_of(x=[])
    reader, writer = await connect(publisher, b"x" * (5 << 20))
    try:
        assert await asyncio.wait_for(reader.read(), 10) == b""
    except ConnectionResetError:
        pass
    writer.transport.abort()
    await until(lambda: "Client connection closed with error" in caplog.text)
    await publisher.stop()


@pytest.mark.parametrize("end", ["close", "reset", "half"])
async def test_gone_subscriber_is_noticed_at_once_and_is_no_error(end: str, caplog: pytest.LogCaptureFixture) -> None:
    publisher, notifiers = await publisher_of(x=[])
    broadcaster = Broadcaster()
    await broadcaster.start("127.0.0.1", 0)
    writers = []
    for server, lines in ((publisher, b"ARTIQ sync_struct\nx\n"), (broadcaster, b"ARTIQ broadcast\nx\n")):
        writers.append((await connect(server, lines))[1])
    subscribers = publisher._subscribers[notifiers["x"]]
    await until(lambda: subscribers and broadcaster._listeners)
    for writer in writers:
        {"close": writer.close, "reset": writer.transport.abort, "half": writer.write_eof}[end]()
    await until(lambda: not subscribers and not broadcaster._listeners)
    notifiers["x"].append(1)
    broadcaster.broadcast("x", 1)
    await publisher.stop()
    await broadcaster.stop()
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    for writer in writers:
        writer.close()


async def test_subscriber_ends_with_disconnect_callback_on_end_and_on_failed_callback(
        caplog: pytest.LogCaptureFixture) -> None:
    publisher, notifiers = await publisher_of(x=[])
    calls: list[str] = []

    def fail(mod: dict[str, Any]) -> None:
        if mod["action"] != "init":
            raise RuntimeError("callback")
    seen = asyncio.Event()
    failing = Subscriber("x", lambda struct: struct, [lambda mod: seen.set(), fail], lambda: calls.append("failing"))
    closing = Subscriber("x", lambda struct: struct, None, lambda: calls.append("closing"))
    cut = Subscriber("x", lambda struct: struct, disconnect_cb=lambda: calls.append("cut"))
    for subscriber in (failing, closing, cut):
        await subscriber.connect("127.0.0.1", port_of(publisher))
    await until(lambda: len(publisher._subscribers[notifiers["x"]]) == 3 and seen.is_set())
    notifiers["x"].append(1)
    await until(lambda: calls == ["failing"])
    assert "callback" in caplog.text
    await closing.close()
    await publisher.stop()
    await until(lambda: calls == ["failing", "cut"])
    await failing.close()
    await cut.close()


async def test_malformed_mods_end_a_subscriber_cleanly() -> None:
    for answer in (b"not pyon\n", b"[]\n", b'{"action":"append","path":[],"x":1}\n', b"\xff\n",
                   b'{"action":"init","struct":[]}\n{"action":"pop","path":[],"i":0}\n'):
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = answer) -> None:
            await receive_line(reader)
            writer.write(answer)
            await reader.read()
        gone = asyncio.Event()
        async with ScriptedServer(script) as port:
            subscriber = Subscriber("x", lambda struct: struct, disconnect_cb=gone.set)
            await subscriber.connect("127.0.0.1", port)
            await asyncio.wait_for(gone.wait(), 10)
            await subscriber.close()


# -- broadcast


async def test_broadcaster_sends_the_captured_bytes_and_receiver_takes_them() -> None:
    client, server_lines = lines_from(VECTORS["broadcast"], "client"), lines_from(VECTORS["broadcast"], "server")
    broadcaster = Broadcaster()
    await broadcaster.start("127.0.0.1", 0)
    reader, writer = await connect(broadcaster, *client)
    got: list[Any] = []
    receiver = Receiver("log", [got.append])
    await receiver.connect("127.0.0.1", port_of(broadcaster))
    await until(lambda: len(broadcaster._listeners.get("log", ())) == 2)
    broadcaster.broadcast("other", object())  # no listener: not even encoded
    broadcaster.broadcast("log", (20, "src", 1.5, "m:x"))
    assert await receive_line(reader) == server_lines[0]
    await until(lambda: got == [(20, "src", 1.5, "m:x")])
    await receiver.close()
    writer.close()
    await broadcaster.stop()


async def test_receiver_sends_the_captured_bytes() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        expected = lines_from(VECTORS["broadcast"], "client")[0]
        assert await receive(reader, len(expected)) == expected
        writer.write(b"".join(lines_from(VECTORS["broadcast"], "server")))
    got: list[Any] = []
    gone = asyncio.Event()
    async with ScriptedServer(script) as port:
        receiver = Receiver("log", got.append, gone.set)
        await receiver.connect("127.0.0.1", port)
        await asyncio.wait_for(gone.wait(), 10)
        await receiver.close()
    assert got == [(20, "src", 1.5, "m:x")]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 1000, 1 << 40])
def test_mark_of_missed_messages_is_white_space_to_json(count: int) -> None:
    line = broadcast.mark_missed(b'["a b"]\n', count)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert pyon.decode(line.decode()) == ["a b"]
    assert broadcast.missed_before(line[:-1]) == count
    assert broadcast.missed_before(b'["a b"]') == 0


@pytest.mark.parametrize("notice", [False, True], ids=["mark only", "loss message"])
async def test_listener_that_fell_behind_gets_the_exact_count_in_its_place(notice: bool) -> None:
    broadcaster = Broadcaster(64, loss_message=(lambda name, n: ("lost", name, n)) if notice else None)
    await broadcaster.start("127.0.0.1", 0)
    collector = await Collector.connect(port_of(broadcaster), b"ARTIQ broadcast\nlog\n")
    await until(lambda: broadcaster._listeners)
    outbox = next(iter(broadcaster._listeners["log"])).outbox
    sent = 0
    for _ in range(3):
        collector.transport.pause_reading()
        before = broadcaster.missed
        while broadcaster.missed < before + 500:
            broadcaster.broadcast("log", (sent, "x" * 2000))
            sent += 1
            assert sent < 50_000
        collector.transport.resume_reading()
        await until(lambda: not outbox._lines and not outbox._stalled and not outbox._refused)
    broadcaster.broadcast("log", (sent, "last"))
    await until(lambda: b'"last"' in collector.data[-200:])
    expected = marks = notices = 0
    for line in collector.data.splitlines():
        missed, message = broadcast.missed_before(line), pyon.decode(bytes(line))
        marks += missed
        expected += missed
        if message[0] == "lost":
            assert message == ("lost", "log", missed)
            notices += missed
        else:
            assert message[0] == expected
            expected += 1
    assert expected == sent + 1
    assert marks == broadcaster.missed and notices == (broadcaster.missed if notice else 0)
    assert broadcaster.missed >= 1500
    await collector.close()
    await broadcaster.stop()


async def test_receiver_counts_what_it_missed_before_the_next_message() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await receive_line(reader)
        writer.write(b"1\n" + broadcast.mark_missed(b"2\n", 10) + b"3 \n" + broadcast.mark_missed(b"4\n", 3))
    events: list[Any] = []
    gone = asyncio.Event()
    async with ScriptedServer(script) as port:
        receiver = Receiver("x", events.append, gone.set, missed_cb=lambda n: events.append(("missed", n)))
        await receiver.connect("127.0.0.1", port)
        await asyncio.wait_for(gone.wait(), 10)
        await receiver.close()
    assert events == [1, ("missed", 10), 2, 3, ("missed", 3), 4] and receiver.missed == 13


async def test_stalled_listener_costs_others_nothing() -> None:
    broadcaster = Broadcaster()
    await broadcaster.start("127.0.0.1", 0)
    stalled = await Collector.connect(port_of(broadcaster), b"ARTIQ broadcast\nx\n")
    stalled.transport.pause_reading()
    got: list[Any] = []
    receiver = Receiver("x", got.append)
    await receiver.connect("127.0.0.1", port_of(broadcaster))
    await until(lambda: len(broadcaster._listeners.get("x", ())) == 2)
    sent = 0
    while broadcaster.missed < 1000:
        for _ in range(50):
            broadcaster.broadcast("x", [sent, "x" * 2000])
            sent += 1
        await until(lambda least=sent - 50: len(got) >= least)
        assert sent < 50_000
    await until(lambda: len(got) == sent)
    assert [message[0] for message in got] == list(range(sent)) and receiver.missed == 0
    await stalled.close()
    await receiver.close()
    await broadcaster.stop()


async def test_failed_callback_ends_a_receiver_and_close_raises_it() -> None:
    broadcaster = Broadcaster()
    await broadcaster.start("127.0.0.1", 0)
    gone = asyncio.Event()

    def fail(message: Any) -> None:
        raise RuntimeError(message)
    receiver = Receiver("x", fail, gone.set)
    await receiver.connect("127.0.0.1", port_of(broadcaster))
    await until(lambda: broadcaster._listeners)
    broadcaster.broadcast("x", "why")
    await asyncio.wait_for(gone.wait(), 10)
    with pytest.raises(RuntimeError, match="why"):
        await receiver.close()
    await broadcaster.stop()
    gc.collect()


async def test_burst_within_one_turn_of_the_loop_reaches_a_reading_listener_whole() -> None:
    broadcaster = Broadcaster(queue_limit=16)
    await broadcaster.start("127.0.0.1", 0)
    reader, writer = await connect(broadcaster, b"ARTIQ broadcast\nx\n")
    await until(lambda: broadcaster._listeners)
    for i in range(1000):
        broadcaster.broadcast("x", i)
    assert [int(await receive_line(reader)) for _ in range(1000)] == list(range(1000))
    assert broadcaster.missed == 0
    writer.close()
    await broadcaster.stop()


@pytest.mark.parametrize("tls_used", [False, True], ids=["plain", "TLS"])
async def test_servers_work_over_ipv6_and_tls(tls_used: bool, tls: dict[str, Any]) -> None:
    server_tls, client_tls = (tls["server"], tls["client"]) if tls_used else (None, None)
    broadcaster = Broadcaster()
    publisher = Publisher({"x": (notifier := Notifier({"big": "y" * 3_000_000}))})
    try:
        await broadcaster.start("::1", 0, server_tls)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    await publisher.start("::1", 0, server_tls)
    got: list[Any] = []
    receiver = Receiver("x", got.append)
    await receiver.connect("::1", port_of(broadcaster), client_tls)
    subscriber = Subscriber("x", lambda struct: struct)
    await subscriber.connect("::1", port_of(publisher), ssl_config=client_tls)
    await until(lambda: broadcaster._listeners and subscriber.target)
    broadcaster.broadcast("x", "z" * 3_000_000)
    notifier["more"] = [1]
    await until(lambda: len(got) == 1 and "more" in subscriber.target)
    assert subscriber.target == notifier.raw_view and len(got[0]) == 3_000_000
    await receiver.close()
    await subscriber.close()
    await broadcaster.stop()
    await publisher.stop()


def test_lines_are_split_wherever_the_chunks_end_and_the_limit_holds() -> None:
    data = b"\n\nabc\nde\n" + b"x" * 100 + b"\nend"
    for size in (1, 2, 3, 7, 200):
        splitter = LineSplitter(100)
        lines = [line for i in range(0, len(data), size) for line in splitter.feed(data[i:i + size])]
        assert lines == [b"", b"", b"abc", b"de", b"x" * 100]
    for size in (1, 7, 200):
        splitter = LineSplitter(99)
        with pytest.raises(LineTooLong):
            for i in range(0, len(data), size):
                splitter.feed(data[i:i + size])


def test_module_names_are_as_documented() -> None:
    assert set(sync_struct.__all__) == {"ModAction", "Notifier", "Publisher", "Subscriber", "process_mod",
                                        "update_from_dict"}
    assert [action.value for action in ModAction] == ["init", "append", "insert", "pop", "setitem", "delitem"]
