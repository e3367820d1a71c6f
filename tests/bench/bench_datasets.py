"""How fast datasets change by RPC while subscribers follow, and what a persistent change costs.

    python tests/bench/bench_datasets.py [--seconds S]

Server, subscribers and requesters are processes of their own; the latter two are bare sockets, so that the figure is
about the server. Each requester has a window of requests under way.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from corelog.master.datasets import DatasetDB
from corelog.master.rids import RIDCounter
from sipyco.pc_rpc import Server
from sipyco.sync_struct import Publisher
from sipyco.tools import AsyncioServer

HOST = "127.0.0.1"
SUBSCRIBERS = 10
WINDOW = 32

BUDGETS = {"datasets, 10 subscribers": 20_000}


def port_of(server: AsyncioServer) -> int:
    return int(server.asyncio_server.sockets[0].getsockname()[1])


async def serve() -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = DatasetDB(Path(folder) / "dataset_db.mdb")
        await db.start()
        server = Server({"dataset_db": db}, allow_parallel=True, builtin_terminate=True)
        publisher = Publisher({"datasets": db.notifier})
        await server.start(HOST, 0)
        await publisher.start(HOST, 0)
        print(port_of(server), port_of(publisher), flush=True)
        await server.wait_terminate()
        await server.stop()
        await publisher.stop()
        await db.stop()
        print(time.process_time(), flush=True)


async def subscribe(port: int, count: int) -> None:
    """Says when all are connected; at the end of the connection, how many modifications the slowest got."""
    connections = [await asyncio.open_connection(HOST, port) for _ in range(count)]

    async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        writer.write(b"ARTIQ sync_struct\ndatasets\n")
        lines = 0
        while data := await reader.read(1 << 18):
            lines += data.count(b"\n")
        return lines - 1  # the first is the whole structure

    tasks = [asyncio.create_task(follow(*connection)) for connection in connections]
    print("ready", flush=True)
    print(min(await asyncio.gather(*tasks)), flush=True)


async def change(port: int, seconds: float, persist: bool) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"ARTIQ pc_rpc\n")
    await reader.readline()
    writer.write(b"dataset_db pyon_v2\n")
    await reader.readline()
    asked = answered = 0
    end = time.monotonic() + seconds
    while True:
        more = WINDOW - (asked - answered) if time.monotonic() < end else 0
        writer.write(b"".join(_request(asked + i, persist) for i in range(more)))
        asked += more
        if asked == answered:
            break
        data = await reader.read(1 << 18)
        assert data and b"failed" not in data, data
        answered += data.count(b"\n")
    print(answered, flush=True)


def _request(number: int, persist: bool) -> bytes:
    call = {"action": "call", "name": "set", "args": [f"scan.point {number % 8}", number / 7], "kwargs":
            {"persist": persist}}
    return json.dumps(call, separators=(",", ":")).encode() + b"\n"


@contextmanager
def process(*arguments: object) -> Iterator[Any]:
    with subprocess.Popen([sys.executable, __file__, *map(str, arguments)], stdout=subprocess.PIPE,
                          text=True) as running:
        yield running.stdout


def rate(seconds: float, persist: bool) -> tuple[float, float]:
    """Changes per second as the slowest subscriber saw them, and the server's processor time of one."""
    with process("serve") as server:
        port, publisher = map(int, server.readline().split())
        with process("subscribe", publisher, SUBSCRIBERS) as subscribers:
            assert subscribers.readline() == "ready\n"
            with process("change", port, seconds, persist or "") as requester:
                changes = int(requester.readline())
            _terminate(port)
            seen, used = int(subscribers.readline()), float(server.readline())
    assert seen == changes, f"{changes} changes, of which a subscriber saw {seen}"
    return changes / seconds, used / changes


def _terminate(port: int) -> None:
    from sipyco.pc_rpc import Client

    client = Client(HOST, port, "dataset_db")
    client.terminate()
    client.close_rpc()


def identifiers(seconds: float) -> float:
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:  # a real disk rather than /tmp
        rids = RIDCounter(Path(folder) / "last_rid.pyon", Path(folder) / "results")
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            rids.get()
        return rids.last / seconds


def figures(seconds: float = 2.0) -> dict[str, tuple[float, str]]:
    """Name -> value, unit."""
    shown, cost = rate(seconds, False)
    stored, _ = rate(seconds, True)
    return {f"datasets, {SUBSCRIBERS} subscribers": (shown, "changes/s"),
            f"datasets, {SUBSCRIBERS} subscribers, persistent": (stored, "changes/s"),
            "datasets, processor time of a change": (1e6 * cost, "us"),
            "run identifiers given": (identifiers(seconds / 2), "1/s")}


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] == "serve":
        asyncio.run(serve())
    elif len(sys.argv) > 1 and sys.argv[1] == "subscribe":
        asyncio.run(subscribe(int(sys.argv[2]), int(sys.argv[3])))
    elif len(sys.argv) > 1 and sys.argv[1] == "change":
        asyncio.run(change(int(sys.argv[2]), float(sys.argv[3]), bool(sys.argv[4])))
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--seconds", type=float, default=2.0, help="time for each figure")
        for name, (value, unit) in figures(parser.parse_args().seconds).items():
            print(f"{name:50} {value:10,.0f} {unit}")
        print(f"load average {os.getloadavg()[0]:.1f} (rates suffer from other work)")


if __name__ == "__main__":
    main()
