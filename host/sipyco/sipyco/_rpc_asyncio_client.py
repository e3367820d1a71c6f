"""The RPC client with coroutines: see `pc_rpc`."""

import asyncio
import functools
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sipyco import keepalive
from sipyco._rpc_protocol import BANNER, REFUSED, AutoTarget, Session, check_method
from sipyco._streams import CLIENT_LINE_LIMIT, LineSplitter, LineTooLong
from sipyco.tools import SimpleSSLConfig

_CLOSE_DEADLINE = 1.0
_MAX_EARLY = 16
_BATCH_BYTES = 64 * 1024


class _Link(asyncio.Protocol):
    """Sends request lines and hands the answers, which come in the same order, to whoever waits for them.

    Requests made while others are under way go out together, once per turn of the event loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._splitter = LineSplitter(CLIENT_LINE_LIMIT)
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._early: deque[bytes] = deque()  # answers of a server that does not wait for the questions
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._error: Exception | None = None
        self._lost = False
        self.ended = asyncio.Event()
        self.transport: asyncio.Transport

    # -- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            lines = self._splitter.feed(data)
        except LineTooLong as error:
            self._fail(error)
            return
        for line in lines:
            if not self._waiting:
                self._early.append(line)
                if len(self._early) > _MAX_EARLY:
                    self._fail(ConnectionError("the server sends lines that nobody has asked for"))
                    return
                continue
            waiter = self._waiting.popleft()
            if not waiter.done():  # nobody waits for the answer to a cancelled call any more
                waiter.set_result(line + b"\n")

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._error = self._error or exc
        self._room.set()
        while self._waiting:
            self._end(self._waiting.popleft())
        self.ended.set()

    # -- called by the client

    def _fail(self, error: Exception) -> None:
        self._error = error
        self.transport.abort()

    def _end(self, waiter: "asyncio.Future[bytes]") -> None:
        if not waiter.done():
            if self._error is None:
                waiter.set_result(b"")
            else:
                waiter.set_exception(self._error)

    async def exchange(self, data: bytes) -> bytes:
        """Send a line and return the answer; b"" if the server closes the connection. Raises OSError, LineTooLong."""
        while not self._room.is_set():
            await self._room.wait()
        if self._early:
            self.transport.write(data)
            return self._early.popleft() + b"\n"
        waiter: asyncio.Future[bytes] = self._loop.create_future()
        if self._lost or self.transport.is_closing():
            self._end(waiter)
            return await waiter
        if self._waiting:
            self._unsent.append(data)
            self._unsent_bytes += len(data)
            if self._unsent_bytes > _BATCH_BYTES:
                self._flush()
            elif len(self._unsent) == 1:
                self._loop.call_soon(self._flush)
        else:
            self._flush()
            self.transport.write(data)
        self._waiting.append(waiter)
        return await waiter

    def _flush(self) -> None:
        if self._unsent:
            data = b"".join(self._unsent)
            self._unsent.clear()
            self._unsent_bytes = 0
            if not self._lost:
                self.transport.write(data)

    async def close(self) -> None:
        """Close after what was asked is sent; who still waits for an answer gets b""."""
        self._flush()
        self.transport.close()
        try:
            await asyncio.wait_for(self.ended.wait(), _CLOSE_DEADLINE)
        except TimeoutError:
            self.transport.abort()


class AsyncioClient:
    """Like `Client`, with coroutines: ``await client.connect_rpc(...)``, then ``await client.method(...)``.

    Calls of several tasks share the connection and do not wait for each other's answers; the server makes them one
    after the other. The reply to a cancelled one is skipped. `timeout` (s, None: wait for ever) holds for connecting,
    for each call and for the selection of a target, and raises TimeoutError.
    """

    def __init__(self, *, timeout: float | None = None) -> None:
        self.__link: _Link | None = None
        self.__session = Session()
        self.__timeout = timeout

    async def connect_rpc(self, host: str, port: int, target_name: Any = AutoTarget,
                          ssl_config: SimpleSSLConfig | None = None) -> None:
        """Connect and select a target (None: later). Raises as `Client`."""
        context = None if ssl_config is None else ssl_config.create_client_context()
        async with asyncio.timeout(self.__timeout):
            _, link = await asyncio.get_running_loop().create_connection(_Link, host, port, ssl=context)
            self.__link = link
            self.__session = Session()
            async with self.__closing_on_failure():
                keepalive.set_keepalive(link.transport.get_extra_info("socket"))
                self.__session.identify(await self.__introduce(BANNER))
                if target_name is not None:
                    self.__session.take_methods(await self.__introduce(self.__session.select(target_name)))

    async def select_rpc_target(self, target_name: Any) -> None:
        """Select the target. Once per connection."""
        async with asyncio.timeout(self.__timeout), self.__closing_on_failure():
            self.__session.take_methods(await self.__introduce(self.__session.select(target_name)))

    def get_selected_target(self) -> str | None:
        """The name of the selected target, or None."""
        return self.__session.selected

    def get_rpc_id(self) -> tuple[list[str], str | None]:
        """(target names, description) of the server."""
        return self.__session.targets, self.__session.description

    def get_local_host(self) -> str:
        """The address of our end of the connection."""
        return self.__connected().transport.get_extra_info("sockname")[0]

    async def close_rpc(self) -> None:
        """Close the connection."""
        if self.__link is not None:
            link, self.__link = self.__link, None
            await link.close()

    def __connected(self) -> _Link:
        if self.__link is None:
            raise ConnectionError("the RPC client is not connected")
        return self.__link

    @asynccontextmanager
    async def __closing_on_failure(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            await self.close_rpc()
            raise

    async def __introduce(self, data: bytes) -> bytes:
        try:
            return await self.__connected().exchange(data)
        except REFUSED:
            return b""

    async def __call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        link, session = self.__connected(), self.__session
        request = session.call(name, args, kwargs)
        if self.__timeout is None:
            return session.result(await link.exchange(request))
        async with asyncio.timeout(self.__timeout):
            line = await link.exchange(request)
        return session.result(line)

    def __getattr__(self, name: str) -> Any:
        check_method(self, name, self.__session if not name.startswith("_") else None)
        return functools.partial(self.__call, name)
