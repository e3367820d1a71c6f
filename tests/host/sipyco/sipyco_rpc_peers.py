"""A target with methods of every kind, and both ends of connections to it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from functools import cached_property
from typing import Any

from sipyco_peers import VECTORS, port_of, vector_bytes

from sipyco.pc_rpc import AsyncioClient, AutoTarget, Server

RPC = VECTORS["rpc"]


def conversation(version: str, side: str) -> list[bytes]:
    return [vector_bytes(e) for e in RPC if e["name"].startswith(version) and e["from"] == side]


class OwnError(Exception):
    pass


class Target:
    """A target."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.release = asyncio.Event()
        self.read: list[str] = []
        self.attribute = 5

    @property
    def danger(self) -> Any:
        self.read.append("danger")
        return print

    @cached_property
    def cached(self) -> Any:
        self.read.append("cached")
        return print

    def ping(self) -> bool:
        """Answer.

        Always.
        """
        return True

    def add(self, a: int, b: "int" = 2, *, c: Any = 0, **more: int) -> int:
        return a + b + c + len(more)

    def echo(self, *args: Any) -> Any:
        return args[0] if len(args) == 1 else args

    def fail(self, kind: str) -> None:
        if kind == "own":
            raise OwnError("custom")
        raise getattr(__builtins__, kind, None) or __builtins__[kind]("text")  # type: ignore[index]

    async def slow(self, value: Any) -> Any:
        self.running += 1
        self.most = max(self.most, self.running)
        await self.release.wait()
        self.running -= 1
        return value

    async def soon(self, value: Any) -> Any:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        return value

    def exit(self) -> None:
        raise SystemExit(3)

    def unencodable(self) -> Any:
        return object()

    def odd_defaults(self, x: Any = object, y: Any = os.sep) -> None:
        pass

    def _private(self) -> str:
        return "private"


@contextlib.asynccontextmanager
async def serving(targets: Any = None, *args: Any, host: Any = "127.0.0.1", tls: Any = None,
                  **kw: Any) -> AsyncIterator[tuple[Server, int]]:
    server = Server(targets if targets is not None else {"t": Target()}, *args, **kw)
    await server.start(host, 0, tls)
    try:
        yield server, port_of(server)
    finally:
        await asyncio.wait_for(server.stop(), 10)


@contextlib.asynccontextmanager
async def asyncio_client(port: int, target: Any = AutoTarget) -> AsyncIterator[AsyncioClient]:
    client = AsyncioClient()
    await client.connect_rpc("127.0.0.1", port, target)
    try:
        yield client
    finally:
        await client.close_rpc()


async def blocking(function: Callable[..., Any], *args: Any, **kw: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(function, *args, **kw), 20)


async def raw(port: int, *lines: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    writer.write(b"".join(lines))
    return reader, writer
