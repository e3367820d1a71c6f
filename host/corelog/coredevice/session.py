"""Clients of the session port: plays programs on a core device. Blocking for drivers, asyncio for everything else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from corelog.coredevice.exceptions import CoreException
from corelog.wire import session as wire

CONNECT_TIMEOUT = 5.0
REPLY_MARGIN = 30.0
"""Seconds a Run may take beyond the time its program spans: the wait for another's program (10 s), transfer, stalls."""
SLOWEST = 4.0
"""How much slower than real time a (simulated) core device may be before it counts as dead."""
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


class _Session:
    """What both clients share: deadlines and the reading of replies."""

    def __init__(self, host: str, port: int = wire.PORT):
        self.host = host
        self.port = port
        self.device: wire.Hello | None = None
        """What the device said of itself; None before the first connection."""
        self._counter_at = (0, 0.0)

    def _unreachable(self, error: BaseException) -> CoreException:
        reason = "no answer in time" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or error
        return CoreException(f"core device at {self.host} not reachable: {reason} (port {self.port}); "
                             f"is the board running? (corelog board)")

    def _lost(self, error: BaseException) -> CoreException:
        reason = "no answer in time" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or error
        return CoreException(f"connection to the core device at {self.host} lost while it played a program: {reason}; "
                             f"whether all of it was played is not known")

    def _greeted(self, answer: bytes) -> None:
        if answer != wire.READY:
            raise CoreException(f"{self.host} port {self.port} is not the session port of a core device "
                                f"(answered {answer!r})")

    def _is_hello(self, reply: wire.Reply) -> wire.Hello:
        if isinstance(reply, wire.Refused):
            raise CoreException(f"core device at {self.host}: {reply.text}")
        if not isinstance(reply, wire.Hello):
            raise CoreException(f"core device at {self.host} did not answer Hello: {reply}")
        if reply.version != wire.VERSION:
            raise CoreException(f"core device at {self.host} speaks version {reply.version} of the session protocol, "
                                f"this program version {wire.VERSION}: update the older one")
        self.device = reply
        self._counter_at = (reply.counter, time.monotonic())
        return reply

    def _is_result(self, reply: wire.Reply) -> wire.Done | wire.Exceptional:
        if isinstance(reply, wire.Refused):
            raise CoreException(f"core device at {self.host} refused the program: {reply.text}")
        if isinstance(reply, wire.Hello):
            raise CoreException(f"core device at {self.host} answered a program with Hello")
        if isinstance(reply, wire.Done):
            self._counter_at = (reply.counter, time.monotonic())
        return reply

    def _deadline(self, program: wire.Program) -> float:
        """Seconds after which a Run of the program will not be answered any more."""
        assert self.device is not None
        unit = self.device.unit_fs * 1e-15
        counter, when = self._counter_at
        ahead = program.latest_at - counter if program.latest_at is not None else 0
        span = max(0.0, ahead * unit - (time.monotonic() - when)) + program.forward * unit
        return REPLY_MARGIN + SLOWEST * min(span, 1e7)


@contextlib.contextmanager
def _no_protocol_errors(host: str) -> Iterator[None]:
    try:
        yield
    except wire.SessionProtocolError as error:
        raise CoreException(f"core device at {host}: {error}") from None


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class SessionClient(_Session):
    """Blocking client; connects when first used, and again when the device dropped the connection between programs.

    Threads take turns."""

    def __init__(self, host: str, port: int = wire.PORT):
        super().__init__(host, port)
        self._socket: socket.socket | None = None
        self._turn = threading.RLock()

    def connect(self) -> wire.Hello:
        """Connects if there is no live connection. Raises CoreException if the device is not there or speaks another
        protocol."""
        with self._turn:
            return self._connect()

    def _connect(self) -> wire.Hello:
        if self._socket is not None and self.device is not None and not self._dropped():
            return self.device
        self.close()
        try:
            self._socket = socket.create_connection((self.host, self.port), CONNECT_TIMEOUT)
            _keep_alive(self._socket)
            self._socket.sendall(wire.MAGIC)
            self._greeted(self._read(1, time.monotonic() + CONNECT_TIMEOUT))
            return self._is_hello(self._request(wire.REQUEST_HELLO, b"", CONNECT_TIMEOUT))
        except (OSError, EOFError) as error:
            self.close()
            raise self._unreachable(error) from None
        except BaseException:
            self.close()
            raise

    def run(self, program: wire.Program) -> wire.Done | wire.Exceptional:
        """Plays the program; returns when its last event is submitted. Raises CoreException."""
        with self._turn:
            return self._run(program)

    def _run(self, program: wire.Program) -> wire.Done | wire.Exceptional:
        hello = self._connect()
        if len(program) > hello.longest_program:
            raise CoreException(f"program of {len(program)} bytes; the core device takes {hello.longest_program}")
        try:
            return self._is_result(self._request(wire.REQUEST_RUN, program.encode(), self._deadline(program)))
        except (OSError, EOFError) as error:
            self.close()
            raise self._lost(error) from None
        except BaseException:  # Ctrl-C too: the answer that comes is no longer the next request's
            self.close()
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _dropped(self) -> bool:
        assert self._socket is not None
        self._socket.setblocking(False)
        try:
            return self._socket.recv(1) is not None  # end of stream, or an answer nobody asked for
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _request(self, code: int, payload: bytes, timeout: float) -> wire.Reply:
        assert self._socket is not None
        deadline = time.monotonic() + timeout
        self._socket.settimeout(timeout)
        self._socket.sendall(wire.encode_request(code, payload))
        with _no_protocol_errors(self.host):
            reply_code, length = wire.decode_header(self._read(wire.HEADER_SIZE, deadline))
            return wire.decode_reply(reply_code, self._read(length, deadline))

    def _read(self, size: int, deadline: float) -> bytes:
        assert self._socket is not None
        data = bytearray()
        while len(data) < size:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            part = self._socket.recv(size - len(data))
            if not part:
                raise EOFError("it closed the connection")
            data += part
        return bytes(data)


class AsyncSession(_Session):
    """asyncio client: one connection, one request at a time. `async with AsyncSession(address) as session:`"""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter | None = None

    def __init__(self, host: str, port: int = wire.PORT):
        super().__init__(host, port)
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> AsyncSession:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> wire.Hello:
        """Connects and says Hello. Raises CoreException."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
                _keep_alive(self._writer.get_extra_info("socket"))
                self._writer.write(wire.MAGIC)
                self._greeted(await self._reader.readexactly(1))
        except (OSError, EOFError) as error:
            await self.close()
            raise self._unreachable(error) from None
        except BaseException:
            await self.close()
            raise
        return await self.hello()

    async def hello(self) -> wire.Hello:
        """Asks the device what it is and where its counter stands. Raises CoreException."""
        try:
            return self._is_hello(await self._request(wire.REQUEST_HELLO, b"", CONNECT_TIMEOUT))
        except (OSError, EOFError) as error:
            raise self._unreachable(error) from None

    async def run(self, program: wire.Program) -> wire.Done | wire.Exceptional:
        """Plays the program; returns when its last event is submitted. Raises CoreException."""
        try:
            return self._is_result(await self._request(wire.REQUEST_RUN, program.encode(), self._deadline(program)))
        except (OSError, EOFError) as error:
            raise self._lost(error) from None

    async def close(self) -> None:
        """Closes the connection; closing twice does no harm."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _request(self, code: int, payload: bytes, timeout: float) -> wire.Reply:
        """A reply that comes after the deadline would be taken for the next request's: the connection ends then."""
        if self._writer is None:
            raise CoreException(f"not connected to the core device at {self.host}")
        try:
            async with self._lock, asyncio.timeout(timeout):
                self._writer.write(wire.encode_request(code, payload))
                await self._writer.drain()
                with _no_protocol_errors(self.host):
                    reply_code, length = wire.decode_header(await self._reader.readexactly(wire.HEADER_SIZE))
                    return wire.decode_reply(reply_code, await self._reader.readexactly(length))
        except BaseException:
            await self.close()
            raise
