"""The model device behind the real session protocol on a real socket, and ways for it to misbehave."""

import asyncio
import contextlib
import struct
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from support.session_model import ModelDevice

UNIT_FS = 62_500_000


@dataclass
class Behaviour:
    """`replies`: frames given instead of answers to the next Runs; None: close the connection. `silent`: answers
    nothing any more. `drop_when_idle`: closes after each answer."""

    greeting: bytes = b"e"
    version: int = 1
    unit_fs: int = UNIT_FS
    coarse: int = 8
    longest: int = 65536
    replies: list[bytes | None] = field(default_factory=list)
    async_errors: int = 0
    silent: bool = False
    drop_when_idle: bool = False
    connections: int = 0
    dropped: threading.Event = field(default_factory=threading.Event)


def frame(code: int, payload: bytes) -> bytes:
    return struct.pack("<B3xI", code, len(payload)) + payload


@contextlib.asynccontextmanager
async def session_server(device: ModelDevice, behaviour: Behaviour) -> AsyncIterator[int]:
    """Yields the port on 127.0.0.1."""
    connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behaviour.connections += 1
        connections.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            assert await reader.readexactly(16) == b"CORELOG session\n"
            writer.write(behaviour.greeting)
            while True:
                code, length = struct.unpack("<B3xI", await reader.readexactly(8))
                payload = await reader.readexactly(length)
                if behaviour.silent:
                    continue
                answer = reply(code, payload)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if code == 2 and behaviour.drop_when_idle:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        behaviour.dropped.set()

    def reply(code: int, payload: bytes) -> bytes | None:
        if code == 1:
            return frame(1, struct.pack("<IIQIIQ", behaviour.version, behaviour.coarse, behaviour.unit_fs, 10,
                                        behaviour.longest, device.counter))
        if behaviour.replies:
            return behaviour.replies.pop(0)
        results = device.play(payload)
        return frame(2, struct.pack(f"<QQII{len(results)}Q", device.cursor, device.counter, behaviour.async_errors,
                                    len(results), *results))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in connections:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
