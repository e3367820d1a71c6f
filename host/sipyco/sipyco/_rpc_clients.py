"""The blocking RPC clients: see `pc_rpc`."""

import functools
import logging
import socket
import threading
from typing import Any

from sipyco import keepalive
from sipyco._rpc_protocol import BANNER, REFUSED, AutoTarget, Session, check_method
from sipyco.tools import SimpleSSLConfig

logger = logging.getLogger("sipyco.pc_rpc")

_KEEPALIVE = 30, 10, 6
"""A call that waits without a timeout ends 90 s after the server's machine has vanished."""


class _Connection:
    """A blocking connection that reads lines. What interrupts a call leaves the connection usable, or closes it."""

    def __init__(self, host: str, port: int, timeout: float | None, ssl_config: SimpleSSLConfig | None) -> None:
        self.socket = socket.create_connection((host, port), timeout)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keepalive.set_keepalive(self.socket, *_KEEPALIVE)
            if ssl_config is not None:
                self.socket = ssl_config.create_client_context().wrap_socket(self.socket, server_hostname=host)
        except BaseException:
            self.socket.close()
            raise
        self.session = Session()
        self._lock = threading.Lock()
        self._received = bytearray()
        self._unread_replies = 0

    def handshake(self) -> None:
        self.session.identify(self._introduce(BANNER))

    def select(self, target_name: Any) -> None:
        self.session.take_methods(self._introduce(self.session.select(target_name)))

    def _introduce(self, data: bytes) -> bytes:
        try:
            return self.exchange(data)
        except REFUSED:
            return b""

    def exchange(self, data: bytes) -> bytes:
        """Send a line and return the answer; b"" at EOF. Replies that nobody waited for are skipped."""
        with self._lock:
            try:
                self.socket.sendall(data)
            except BaseException:
                self.socket.close()  # half a line may be sent; there is no way to go on
                raise
            self._unread_replies += 1
            while True:
                line = self._read_line()
                self._unread_replies -= 1
                if not self._unread_replies or not line:
                    return line

    def _read_line(self) -> bytes:
        searched = 0
        while True:
            end = self._received.find(b"\n", searched) + 1
            if end:
                line = bytes(self._received[:end])
                del self._received[:end]
                return line
            searched = len(self._received)
            # Large answers, arrays, in large portions.
            data = self.socket.recv(65536 if searched < 65536 else 1 << 20)
            if not data:
                return b""
            self._received += data

    def close(self) -> None:
        self.socket.close()


class Client:
    """Calls the methods of a target as if they were its own, blocking.

    `target_name` None postpones the choice to `select_rpc_target`. `timeout` (s, None: wait for ever) holds for the
    connection and each operation on it, and raises TimeoutError; the reply that comes later is skipped.
    `connect_timeout` holds instead until the target is selected, for calls that may take longer than that.

    Raises OSError or ssl.SSLError if there is no connection, EOFError if the server closes it, ValueError if
    AutoTarget meets several targets, IncompatibleServer if there is no such target. Calls raise what the remote
    method raised, with the remote frames in `parent_traceback`.
    """

    def __init__(self, host: str, port: int, target_name: Any = AutoTarget, timeout: float | None = None,
                 ssl_config: SimpleSSLConfig | None = None, *, connect_timeout: float | None = None) -> None:
        self.__connection = _Connection(host, port, timeout if connect_timeout is None else connect_timeout, ssl_config)
        try:
            self.__connection.handshake()
            if target_name is not None:
                self.select_rpc_target(target_name)
            self.__connection.socket.settimeout(timeout)
        except BaseException:
            self.__connection.close()
            raise

    def select_rpc_target(self, target_name: Any) -> None:
        """Select the target. Once per connection."""
        try:
            self.__connection.select(target_name)
        except BaseException:
            self.__connection.close()
            raise

    def get_selected_target(self) -> str | None:
        """The name of the selected target, or None."""
        return self.__connection.session.selected

    def get_rpc_id(self) -> tuple[list[str], str | None]:
        """(target names, description) of the server."""
        return self.__connection.session.targets, self.__connection.session.description

    def get_local_host(self) -> str:
        """The address of our end of the connection."""
        return self.__connection.socket.getsockname()[0]

    def close_rpc(self) -> None:
        """Close the connection."""
        self.__connection.close()

    def get_rpc_method_list(self) -> dict[str, Any]:
        """Documentation and signatures: {"docstring": ..., "methods": {name: (signature, docstring)}}."""
        session = self.__connection.session
        return session.result(self.__connection.exchange(session.request({"action": "get_rpc_method_list"})))

    def __call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        session = self.__connection.session
        return session.result(self.__connection.exchange(session.call(name, args, kwargs)))

    def __getattr__(self, name: str) -> Any:
        check_method(self, name, self.__connection.session if not name.startswith("_") else None)
        return functools.partial(self.__call, name)


class BestEffortClient:
    """Like `Client`, for what matters little: without a server, calls return None.

    It tries to connect once in the constructor, for `firstcon_timeout` s, then every `retry` s in a thread. When the
    network fails in a call it logs a warning, returns None and connects again in the background. `timeout` (s) limits
    each operation; None waits for ever.
    """

    def __init__(self, host: str, port: int, target_name: Any, firstcon_timeout: float = 1.0, retry: float = 5.0,
                 ssl_config: SimpleSSLConfig | None = None, *, timeout: float | None = None) -> None:
        self.__address = (host, port)
        self.__target_name = target_name
        self.__retry = retry
        self.__ssl_config = ssl_config
        self.__timeout = timeout
        self.__closed = threading.Event()
        self.__connection: _Connection | None = None
        self.__methods: set[str] | None = None
        self.__thread: threading.Thread | None = None
        try:
            self.__connect(firstcon_timeout)
        except (OSError, EOFError) as error:
            logger.warning("first connection attempt to %s:%d[%s] failed (%s), retrying in the background",
                           host, port, target_name, error or type(error).__name__)
            self.__start_thread()

    def __connect(self, timeout: float | None) -> None:
        connection = _Connection(*self.__address, timeout, self.__ssl_config)
        try:
            connection.handshake()
            connection.select(self.__target_name)
            connection.socket.settimeout(self.__timeout)
        except BaseException:
            connection.close()
            raise
        self.__methods = connection.session.methods
        self.__connection = connection

    def __start_thread(self) -> None:
        self.__thread = threading.Thread(target=self.__reconnect, daemon=True, name="BestEffortClient")
        self.__thread.start()

    def __reconnect(self) -> None:
        while not self.__closed.wait(self.__retry):
            try:
                self.__connect(self.__timeout)
            except (OSError, EOFError) as error:
                logger.debug("connection to %s:%d failed: %s", *self.__address, error)
                continue
            except Exception:
                logger.error("connection to %s:%d is given up", *self.__address, exc_info=True)
                return
            logger.warning("connection to %s:%d[%s] established", *self.__address, self.__target_name)
            if self.__closed.is_set() and self.__connection is not None:
                self.__connection.close()
            return

    def close_rpc(self) -> None:
        """Close the connection, or stop trying to have one."""
        self.__closed.set()
        if self.__thread is not None and self.__thread is not threading.current_thread():
            self.__thread.join(5.0)
        if self.__connection is not None:
            self.__connection.close()

    def get_selected_target(self) -> str:
        """Not supported."""
        raise NotImplementedError

    def get_local_host(self) -> str:
        """Not supported."""
        raise NotImplementedError

    def __call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        connection = self.__connection
        if connection is None:
            return None
        session = connection.session
        request = session.call(name, args, kwargs)
        try:
            line = connection.exchange(request)
        except OSError as error:
            return self.__lose(connection, name, error)
        if not line:
            return self.__lose(connection, name, EOFError("connection closed"))
        return session.result(line)

    def __lose(self, connection: _Connection, name: str, error: Exception) -> None:
        logger.warning("connection to %s:%d failed while calling %s (%s), reconnecting in the background",
                       *self.__address, name, error or type(error).__name__)
        connection.close()
        if self.__connection is connection and not self.__closed.is_set():
            self.__connection = None
            self.__start_thread()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or (self.__methods is not None and name not in self.__methods):
            raise AttributeError(f"{type(self).__name__!r}: the server has no method {name!r}")
        return functools.partial(self.__call, name)
