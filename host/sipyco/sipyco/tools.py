"""asyncio helpers: tasks with a start and a stop, TCP servers, signals, TLS contexts."""

import asyncio
import atexit
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from sipyco import keepalive

__all__ = [
    "HAS_SIGHUP", "AsyncioServer", "BackgroundTaskPool", "Condition", "SignalHandler", "SimpleSSLConfig", "TaskObject",
    "atexit_register_coroutine",
]

logger = logging.getLogger(__name__)

HAS_SIGHUP = hasattr(signal, "SIGHUP")

LINE_LIMIT = 4 * 1024 * 1024
"""Longest line a server accepts, in bytes."""
FIRST_LINES_DEADLINE = 60.0
"""Seconds a client has for the lines with which it introduces itself."""
_CLOSE_DEADLINE = 1.0
_PEER_GONE = (ConnectionError, TimeoutError, asyncio.IncompleteReadError, ssl.SSLError)


class TaskObject:
    """A task that is started and stopped; a subclass defines the coroutine method `_do`."""

    task: asyncio.Task[None]

    def start(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Start `_do`, in the running loop unless another is given."""
        self.task = (loop or asyncio.get_running_loop()).create_task(self.__run())

    async def stop(self) -> None:
        """Cancel `_do` and wait for its end. Stopping twice, or what was never started, does nothing."""
        task = getattr(self, "task", None)
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def __run(self) -> None:
        try:
            await self._do()
        except Exception:  # whatever ends a background task must be seen in the log
            logger.error("Unhandled exception in TaskObject task body", exc_info=True)

    async def _do(self) -> None:
        raise NotImplementedError


class BackgroundTaskPool:
    """Runs coroutines in the background and keeps a reference to them until they end."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop
        self.tasks: set[asyncio.Task[Any]] = set()

    def create(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `coro`; its exception, if any, is logged by asyncio when the task is dropped."""
        task = (self._loop or asyncio.get_running_loop()).create_task(coro)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class AsyncioServer:
    """A TCP server; a subclass supplies the coroutine method `_handle_connection_cr(reader, writer)`.

    A connection ends when that returns or raises. An exception is logged as an error unless it says that the peer
    has gone.
    """

    asyncio_server: asyncio.Server

    def __init__(self) -> None:
        self._client_tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self, host: str | Iterable[str] | None, port: int,
                    ssl_config: "SimpleSSLConfig | None" = None) -> None:
        """Listen on `port` of `host`: a name or address, several of them, or None for all interfaces.

        Raises OSError if an address cannot be had, and ssl.SSLError or OSError for unusable certificates.
        """
        context = None if ssl_config is None else ssl_config.create_server_context()
        addresses = host if host is None or isinstance(host, str) else _usable_addresses(list(host))
        self._stopping = False
        self.asyncio_server = await asyncio.start_server(
            self._accept, addresses, port, limit=LINE_LIMIT, ssl=context)

    async def stop(self) -> None:
        """Close the listener and all connections, and wait until their tasks have ended."""
        self._stopping = True
        loop = asyncio.get_running_loop()
        for listener in self.asyncio_server.sockets:
            with contextlib.suppress(NotImplementedError):  # not on Windows
                loop.remove_reader(listener.fileno())
        for _ in range(4):  # the turns of the loop that a connection already accepted takes to begin its task;
            await asyncio.sleep(0)  # closing the listener within them makes Python 3.11 leak its socket
        self.asyncio_server.close()
        tasks = list(self._client_tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.asyncio_server.wait_closed()
        await asyncio.sleep(0)  # the last transports close their sockets

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._stopping:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self.__serve(reader, writer))
        self._client_tasks.add(task)
        task.add_done_callback(self._client_tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())  # in case it was cancelled before it began

    async def __serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            keepalive.set_keepalive(writer.get_extra_info("socket"))
            await self._handle_connection_cr(reader, writer)
        except asyncio.CancelledError:
            pass  # stop() is the only one who cancels
        except _PEER_GONE as error:
            logger.debug("Client connection ended: %r", error)
        except Exception:  # one bad client must not end the server
            logger.error("Client connection closed with error", exc_info=True)
        finally:
            await _close(writer)

    async def _handle_connection_cr(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


def _usable_addresses(addresses: list[str]) -> list[str]:
    """Without ::1, a default of every server, where the machine has no IPv6; it alone must not prevent a start."""
    if "::1" in addresses and len(addresses) > 1:
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError as error:
            logger.info("Not listening on ::1, as this machine has no IPv6: %s", error)
            return [address for address in addresses if address != "::1"]
    return addresses


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close, giving what is still to be sent a moment, but not letting a peer that does not read hold it for ever."""
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), _CLOSE_DEADLINE)
    except (OSError, TimeoutError, asyncio.CancelledError, asyncio.IncompleteReadError):
        writer.transport.abort()
        await asyncio.sleep(0)  # the transport closes its socket in the next turn of the loop


async def read_first_line(reader: asyncio.StreamReader, deadline: float = FIRST_LINES_DEADLINE) -> bytes:
    """The next line with its end, within `deadline` s; b"" at EOF or if the client takes longer."""
    try:
        return await asyncio.wait_for(reader.readline(), deadline)
    except TimeoutError:
        return b""


class Condition:
    """Waiting for an event that may come again and again; `notify` wakes all who wait at that moment."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop
        self._waiters: set[asyncio.Future[None]] = set()

    async def wait(self) -> None:
        """Wait for the next `notify`."""
        waiter = (self._loop or asyncio.get_running_loop()).create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def notify(self) -> None:
        """Wake all waiters."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


def atexit_register_coroutine(coro_fn: Callable[[], Coroutine[Any, Any, Any]], *,
                              loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Run ``coro_fn()`` in the loop (default: the current one) when the interpreter exits."""
    if loop is None:
        loop = asyncio.get_event_loop()
    used_loop = loop
    atexit.register(lambda: used_loop.run_until_complete(coro_fn()))


class SignalHandler:
    """Waits for the request to end the process: SIGINT (Ctrl-C), SIGTERM or, where they exist, SIGHUP and
    SIGBREAK, which is how Windows programs ask each other."""

    _TEXTS = {"SIGINT": "Caught Ctrl-C, terminating...", "SIGTERM": "Caught SIGTERM, terminating...",
              "SIGHUP": "Caught SIGHUP, terminating...", "SIGBREAK": "Caught SIGBREAK, terminating..."}

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop
        self._caught: asyncio.Queue[str] = asyncio.Queue(8)
        self._previous: dict[int, Any] = {}

    def setup(self) -> None:
        """Take over the signals. Only in the main thread (ValueError elsewhere)."""
        loop = self._loop or asyncio.get_event_loop()
        for name in self._TEXTS:
            number = getattr(signal, name, None)
            if number is not None:
                def handle(_number: int, _frame: Any, name: str = name) -> None:
                    loop.call_soon_threadsafe(self._note, name)
                self._previous[number] = signal.signal(number, handle)

    def teardown(self) -> None:
        """Give the signals back to whoever had them."""
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, name: str) -> None:
        if not self._caught.full():
            self._caught.put_nowait(name)

    async def wait_terminate(self) -> None:
        """Return when one of the signals came, after saying so on stdout."""
        name = await self._caught.get()
        print()
        print(self._TEXTS[name], flush=True)


class SimpleSSLConfig:
    """Mutual TLS with self-signed certificates: own certificate and key, and the certificates of accepted peers.

    All are paths of PEM files; `peer_cert` may hold several certificates one after the other.
    """

    def __init__(self, local_cert: str, local_key: str, peer_cert: str) -> None:
        self.local_cert = local_cert
        self.local_key = local_key
        self.peer_cert = peer_cert

    def create_client_context(self) -> ssl.SSLContext:
        """A context that presents our certificate and accepts only servers whose certificate is in `peer_cert`."""
        # The certificate itself is what is trusted, so the name in it says nothing.
        return self._create_context(ssl.PROTOCOL_TLS_CLIENT)

    def create_server_context(self) -> ssl.SSLContext:
        """A context that accepts only clients that present a certificate in `peer_cert`."""
        return self._create_context(ssl.PROTOCOL_TLS_SERVER)

    def _create_context(self, protocol: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.local_cert, self.local_key)
        context.load_verify_locations(self.peer_cert)
        return context
