"""Peers made of bare sockets, and waiting, for the tests of sipyco."""

import asyncio
import json
import logging
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sipyco.tools import AsyncioServer

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "sipyco.json").read_text())


def vector_bytes(entry: dict[str, Any]) -> bytes:
    return bytes.fromhex(entry["hex"])


async def until(condition: Callable[[], Any], timeout: float = 20.0, what: str = "condition") -> None:
    """Returns when the condition holds; TimeoutError after `timeout` s."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        await asyncio.sleep(0.002)


def free_loopback() -> tuple[str, int]:
    """An address and port of this machine for a program that cannot take port 0; nobody else is likely to want it."""
    chosen = random.SystemRandom()
    host = f"127.{chosen.randrange(1, 255)}.{chosen.randrange(256)}.{chosen.randrange(1, 255)}"
    with socket.socket() as probe:
        probe.bind((host, 0))
        return host, probe.getsockname()[1]


def port_of(server: AsyncioServer) -> int:
    return server.asyncio_server.sockets[0].getsockname()[1]


async def receive(reader: asyncio.StreamReader, size: int, timeout: float = 10.0) -> bytes:
    return await asyncio.wait_for(reader.readexactly(size), timeout)


async def receive_line(reader: asyncio.StreamReader, timeout: float = 10.0) -> bytes:
    return await asyncio.wait_for(reader.readline(), timeout)


class ScriptedServer:
    """Accepts connections and runs `script(reader, writer)` for each; `received` has what it chose to keep."""

    def __init__(self, script: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> None:
        self._script = script
        self.errors: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1 << 24)
        return self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._script(reader, writer)
        except asyncio.CancelledError:
            pass
        except (AssertionError, asyncio.IncompleteReadError) as error:
            self.errors.append(error)
        finally:
            writer.close()

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)
        assert not self.errors


class Collector(asyncio.Protocol):
    """Collects what comes, as long as it reads: see `transport.pause_reading`."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False

    @classmethod
    async def connect(cls, port: int, data: bytes) -> "Collector":
        """Connect and send `data`."""
        _, collector = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        collector.transport.write(data)
        return collector

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True

    async def close(self) -> None:
        self.transport.abort()
        await until(lambda: self.ended)


class Kept(logging.Handler):
    """Keeps (level, source, name, message) of the records that reach the root logger and name a source."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[int, str, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        source = getattr(record, "source", None)
        if source is not None:
            self.records.append((record.levelno, source, record.name, record.getMessage()))
