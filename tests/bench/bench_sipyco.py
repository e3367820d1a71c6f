"""How fast SiPyCo is between whole processes: RPC, sync_struct, broadcast, logs, PYON.

    python tests/bench/bench_sipyco.py [--seconds S]

Servers and what loads them are processes of their own. Senders of logs and readers of broadcasts are bare sockets
where the figure is about the other side. Takes about 40 s.
"""

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sipyco import pyon
from sipyco.broadcast import Broadcaster
from sipyco.logs import LogForwarder
from sipyco.logs import Server as LogServer
from sipyco.pc_rpc import AsyncioClient, Client, Server
from sipyco.sync_struct import Notifier, Publisher, Subscriber
from sipyco.tools import AsyncioServer

HOST = "127.0.0.1"
ARRAY = np.arange(131072.0)  # 1 MiB
LIMIT = 120.0


BUDGETS = {  # five times what the original was measured to do
    "logs.Server, 100 connections": 350_000,
    "RPC-driven mods, 64 tasks": 43_500,
}
UNITS = {"calls/s", "mods/s", "messages/s", "lines/s", "MB/s"}


def port_of(server: AsyncioServer) -> int:
    return server.asyncio_server.sockets[0].getsockname()[1]


# -- what runs in processes of its own: reads its arguments from the command line, prints lines of JSON


def say(*values: Any) -> None:
    print(json.dumps(values), flush=True)


class Target:
    """Small calls, calls with an array, and calls that become modifications of a published structure."""

    def __init__(self, notifier: Notifier) -> None:
        self.notifier = notifier

    def add(self, a: int, b: int) -> int:
        return a + b

    def same(self, value: Any) -> Any:
        return value

    def set(self, key: str, value: Any) -> None:
        self.notifier[key] = value


async def serve_rpc() -> None:
    notifier = Notifier({})
    publisher = Publisher({"values": notifier}, queue_limit=10_000_000, queue_bytes=1 << 30)
    server = Server({"target": Target(notifier)}, allow_parallel=True, builtin_terminate=True)
    await server.start(HOST, 0)
    await publisher.start(HOST, 0)
    say(port_of(server), port_of(publisher))
    await server.wait_terminate()
    await server.stop()
    await publisher.stop()


async def serve_logs() -> None:
    class Count(logging.Handler):
        lines = 0

        def emit(self, record: logging.LogRecord) -> None:
            Count.lines += 1
            if record.msg.endswith("last"):
                say(Count.lines, time.monotonic())
    logging.getLogger().addHandler(Count())
    logging.getLogger().setLevel(logging.DEBUG)
    server = LogServer()
    await server.start(HOST, 0)
    say(port_of(server))
    await asyncio.to_thread(sys.stdin.readline)
    await server.stop()


async def publish(kind: str, listeners: int, seconds: float) -> None:
    """Modifications or broadcasts, as fast as they go out, until the time is over and all is written."""
    notifier = Notifier({f"key{i}": 0 for i in range(100)})
    server: Any
    if kind == "mods":
        server = Publisher({"channel": notifier}, queue_limit=10_000_000, queue_bytes=1 << 30)
    else:
        server = Broadcaster(queue_limit=10_000_000)
    await server.start(HOST, 0)
    say(port_of(server))
    await asyncio.to_thread(sys.stdin.readline)  # the listeners are there
    count, began = 0, time.monotonic()
    while time.monotonic() < began + seconds:
        for i in range(100):
            if kind == "mods":
                notifier[f"key{i}"] = count
            else:
                server.broadcast("channel", (20, "source", 1.5, "logger:a message of usual length"))
            count += 1
        await asyncio.sleep(0)
    if kind == "mods":
        notifier["end"] = True
    else:
        server.broadcast("channel", "end")
    say(count, began)
    await asyncio.to_thread(sys.stdin.readline)
    await server.stop()


class Sink(asyncio.Protocol):
    """Reads and counts lines, until one that says that it is the last."""

    first = 0.0
    open = 0
    last = 0.0

    def __init__(self, ended: asyncio.Event) -> None:
        self.ended = ended
        self.tail = b""

    def data_received(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-60:]
        if b'"end"' in self.tail:
            Sink.open -= 1
            if not Sink.open:
                self.ended.set()


async def listen(banner: str, port: int, count: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    transports = []
    for _ in range(count):
        transport, _ = await loop.create_connection(lambda: Sink(ended), HOST, port)
        transport.write(f"ARTIQ {banner}\nchannel\n".encode())
        transports.append(transport)
    Sink.open = count
    await asyncio.sleep(0.3)  # the listeners of a broadcast are not told that they are
    say("ready")
    await ended.wait()
    say(time.monotonic())
    for transport in transports:
        transport.abort()


async def send_logs(port: int, connections: int, lines: int) -> None:
    """Prepared lines from bare sockets."""
    writers = [(await asyncio.open_connection(HOST, port))[1] for _ in range(connections)]
    per = lines // connections
    for writer in writers:
        writer.write(b"ARTIQ logging\n")
    block = b"".join(b"source:INFO:some.module:a message of usual length, number %d\n" % i for i in range(100))
    say(time.monotonic())

    async def send(writer: asyncio.StreamWriter) -> None:
        for _ in range(per // 100):
            writer.write(block)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
    await asyncio.gather(*map(send, writers))
    writer = (await asyncio.open_connection(HOST, port))[1]
    writer.write(b"ARTIQ logging\nsource:INFO:m:last\n")
    await writer.drain()
    writer.close()


async def forward_logs(port: int, forwarders: int, seconds: float) -> None:
    """Real forwarders, each logging in turn."""
    handlers = [LogForwarder(HOST, port, queue_size=100_000) for _ in range(forwarders)]
    loggers = []
    for i, handler in enumerate(handlers):
        handler.start()
        logger = logging.getLogger(f"module{i}")
        logger.propagate = False
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        loggers.append(logger)
    await asyncio.sleep(0.5)  # they connect
    began, number = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        for logger, handler in zip(loggers, handlers, strict=True):
            for _ in range(20):
                logger.info("a message of usual length, number %d", number)
                number += 1
            await handler.wait_room()
        await asyncio.sleep(0)
    for handler in handlers:
        await handler.stop()
    say(began, number, sum(handler.lost for handler in handlers))
    writer = (await asyncio.open_connection(HOST, port))[1]
    writer.write(b"ARTIQ logging\nsource:INFO:m:last\n")
    await writer.drain()
    writer.close()


async def call(port: int, publisher: int, what: str, tasks: int, seconds: float) -> None:
    """Calls from some tasks that share a client; `tasks` 0: from the blocking client."""
    arguments: dict[str, tuple[Any, ...]] = {"add": (1, 2), "same": (ARRAY,), "set": ("key", 1.5)}
    received = 0

    def count_mod(mod: Any) -> None:
        nonlocal received
        received += 1
    subscriber = Subscriber("values", lambda struct: struct, count_mod)
    if what == "set":
        await subscriber.connect(HOST, publisher)
        while not received:
            await asyncio.sleep(0.01)
        received = 0
    calls, began = 0, time.monotonic()
    end = began + seconds
    args = arguments[what]
    if tasks:
        client = AsyncioClient(timeout=None)
        await client.connect_rpc(HOST, port)
        method = getattr(client, what)

        async def use() -> None:
            nonlocal calls
            while time.monotonic() < end:
                await method(*args)
                calls += 1
        await asyncio.gather(*[use() for _ in range(tasks)])
        took = time.monotonic() - began
        await client.close_rpc()
    else:
        blocking = Client(HOST, port)
        method = getattr(blocking, what)
        while time.monotonic() < end:
            method(*args)
            calls += 1
        took = time.monotonic() - began
        blocking.close_rpc()
    if what == "set":
        while received < calls:
            await asyncio.sleep(0.001)
        took = time.monotonic() - began
        await subscriber.close()
    say(calls / took)


ROLES: dict[str, Callable[..., Any]] = {f.__name__: f for f in (
    serve_rpc, serve_logs, publish, listen, send_logs, forward_logs, call)}


# -- the measurements


class Role:
    """One of ROLES in a process of its own."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.process = subprocess.Popen([sys.executable, __file__, "--role", json.dumps([name, *arguments])],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the benchmark ended with status {self.process.wait(10)}")
        return json.loads(line)

    def end(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write("\n")
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait(LIMIT)
        self.process.stdout.close()


def rpc(seconds: float) -> dict[str, float]:
    server = Role("serve_rpc")
    ports = server.hear()
    cases = {"RPC calls, blocking client": ("add", 0), "RPC calls, AsyncioClient, 1 task": ("add", 1),
             "RPC calls, AsyncioClient, 64 tasks": ("add", 64), "RPC calls with 1 MiB array, both ways": ("same", 0),
             "RPC-driven mods, blocking client": ("set", 0), "RPC-driven mods, 64 tasks": ("set", 64)}
    figures = {}
    for name, (what, tasks) in cases.items():
        role = Role("call", *ports, what, tasks, seconds)
        figures[name], = role.hear()
        role.end()
    client = Client(HOST, ports[0], timeout=10)
    client.terminate()
    client.close_rpc()
    server.end()
    return figures


def to_listeners(kind: str, banner: str, count: int, seconds: float) -> float:
    """Messages per second, each to `count` listeners."""
    server = Role("publish", kind, count, seconds)
    port, = server.hear()
    sink = Role("listen", banner, port, count)
    sink.hear()
    assert server.process.stdin is not None
    server.process.stdin.write("\n")
    server.process.stdin.flush()
    messages, began = server.hear()
    ended, = sink.hear()
    sink.end()
    server.end()
    return messages / (ended - began)


def logs(connections: int, lines: int) -> float:
    server = Role("serve_logs")
    port, = server.hear()
    sender = Role("send_logs", port, connections, lines)
    began, = sender.hear()
    arrived, ended = server.hear()
    sender.end()
    server.end()
    return arrived / (ended - began)  # the last line comes over a connection of its own and may overtake some others


def forwarded(seconds: float) -> float:
    server = Role("serve_logs")
    port, = server.hear()
    sender = Role("forward_logs", port, 100, seconds)
    began, number, lost = sender.hear()
    arrived, ended = server.hear()
    sender.end()
    server.end()
    return min(number - lost, arrived) / (ended - began)


DOCUMENTS = {
    "structures": {f"device{i}": {"type": "local", "module": "a.b.c", "class": "Klass", "comment": None,
                                  "arguments": {"channel": i, "gain": 1.5, "names": ["a", "b"]}} for i in range(500)},
    "tuples": [(20, f"source{i}", 1.5 * i, "logger:a message of usual length") for i in range(3000)],
    "numbers": [[float(i) / 7 for i in range(1000)] for _ in range(20)],
    "arrays": {f"trace{i}": ARRAY for i in range(4)},
}


def codec(seconds: float) -> dict[str, float]:
    figures = {}
    for name, value in DOCUMENTS.items():
        text = pyon.encode(value)
        for verb, function, argument in (("encode", pyon.encode, value), ("decode", pyon.decode, text)):
            rounds, began = 0, time.perf_counter()
            while (took := time.perf_counter() - began) < seconds / 4:
                function(argument)
                rounds += 1
            figures[f"PYON {verb}, {name}"] = rounds * len(text) / took / 1e6
    return figures


def figures(seconds: float = 1.5) -> dict[str, tuple[float, str]]:
    """name -> (figure, unit), absolute figures first and then ratios between configurations of our own."""
    found = {name: (value, "calls/s" if "calls" in name else "mods/s") for name, value in rpc(seconds).items()}
    for count in (1, 10, 100):
        found[f"sync_struct to {count}"] = to_listeners("mods", "sync_struct", count, seconds), "mods/s"
    found["broadcast to 1"] = to_listeners("messages", "broadcast", 1, seconds), "messages/s"
    found["broadcast to 100"] = to_listeners("messages", "broadcast", 100, seconds), "messages/s"
    found["logs.Server, 1 connection"] = logs(1, int(400_000 * seconds)), "lines/s"
    found["logs.Server, 100 connections"] = logs(100, int(400_000 * seconds)), "lines/s"
    found["100 LogForwarders in a process to logs.Server"] = forwarded(seconds), "lines/s"
    found.update({name: (value, "MB/s") for name, value in codec(seconds).items()})

    def ratio(name: str, over: str, under: str) -> None:
        found[name] = found[over][0] / found[under][0], "ratio"
    ratio("RPC calls: 64 tasks / 1 task", "RPC calls, AsyncioClient, 64 tasks", "RPC calls, AsyncioClient, 1 task")
    ratio("sync_struct: to 1 / to 100", "sync_struct to 1", "sync_struct to 100")
    ratio("broadcast: to 1 / to 100", "broadcast to 1", "broadcast to 100")
    ratio("logs.Server: 100 connections / 1", "logs.Server, 100 connections", "logs.Server, 1 connection")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.5, help="for each measurement (%(default)g)")
    parser.add_argument("--role", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        name, *arguments = args.role
        asyncio.run(asyncio.wait_for(ROLES[name](*arguments), LIMIT))
        return
    for name, (value, unit) in figures(args.seconds).items():
        print(f"{name:50s} {value:14,.{0 if value >= 100 else 2}f} {unit}")
    print(f"load average {os.getloadavg()[0]:.1f} (rates suffer from other work)")


if __name__ == "__main__":
    main()
