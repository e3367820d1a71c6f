"""The logging handler that sends records to a log server, and says how many it could not send."""

import asyncio
import logging
import os
import socket
import ssl
import sys
import threading
from collections import deque
from typing import Any

from sipyco import keepalive
from sipyco._log_lines import FIELDS, MultilineFormatter, without_fields
from sipyco.tools import SimpleSSLConfig, TaskObject

logger = logging.getLogger("sipyco.logs")

BANNER = b"ARTIQ logging\n"
FIELDS_BANNER = b"ARTIQ logging, fields\n"
"""Asks for a connection that carries fields; a server that takes them answers with the same."""
_BATCH = 128
_LINE_LIMIT = 1024 * 1024  # servers of the original library end the connection at a line of 4 MiB
_PAUSE_BYTES = 256 * 1024
_STALL_BYTES = 1024 * 1024
_CONNECT_DEADLINE = 10.0
_ANSWER_DEADLINE = 10.0
_CLOSE_DEADLINE = 1.0
_SOURCE_CHARACTERS = str.maketrans({":": "_", "\n": "_", "\r": "_"})
_TCP_INFO_ACKED = slice(120, 128)  # tcpi_bytes_acked of Linux's struct tcp_info


class _InFlight:
    """The records given to a connection whose arrival is not known yet, so that they can be sent again after a break.

    On Linux the arrival of bytes at the peer's kernel is known, and exactly the records of which a part did not arrive
    are kept. Elsewhere, and under TLS, it is the last batch.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._batches: deque[tuple[int, list[bytes]]] = deque()  # position in the stream of the end, records
        self._written = 0
        self._socket: socket.socket | None = None
        self._base = 0
        if sys.platform == "linux" and writer.get_extra_info("ssl_object") is None:
            # Our own descriptor, since the transport closes its one before we know that the connection broke.
            self._socket = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))
            self._base = self._acked()

    def _acked(self) -> int:
        assert self._socket is not None
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)[_TCP_INFO_ACKED]
        return int.from_bytes(info, sys.byteorder) if len(info) == 8 else 0

    def wrote(self, data_size: int, records: list[bytes]) -> None:
        self._written += data_size
        if self._socket is None:
            self._batches.clear()
        else:
            arrived = self._acked() - self._base
            while self._batches and self._batches[0][0] <= arrived:
                self._batches.popleft()
        if records:
            self._batches.append((self._written, records))

    def not_arrived(self) -> list[bytes]:
        arrived = 0 if self._socket is None else self._acked() - self._base
        kept = []
        for end, records in self._batches:
            position = end - sum(map(len, records))
            for record in records:
                position += len(record)
                if position > arrived:
                    kept.append(record)
        return kept

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class LogForwarder(logging.Handler, TaskObject):
    """Sends the records of this process to a `Server` at `host`:`port`; start it with `start()`, end it with `stop()`.

    Records wait for the connection in a queue of `queue_size`. When that is full further ones are dropped and counted
    (`lost`), and the count is sent as a WARNING record, in the place of what is missing. Logging never waits and never
    raises; it may be done from any thread. After a break the connection is tried again every `reconnect_timer` s, and
    records that had not arrived are sent again.

    `stop` sends what waits if the connection takes it within a second.

    `fields`: send the fields of records, those with `line_fields`, to servers that take them.
    """

    def __init__(self, host: str, port: int, reconnect_timer: float = 5.0, queue_size: int = 1000,
                 ssl_config: SimpleSSLConfig | None = None, *, fields: bool = False, **kw: Any) -> None:
        logging.Handler.__init__(self, **kw)
        self.host = host
        self.port = port
        self.reconnect_timer = reconnect_timer
        self.queue_size = queue_size
        self.ssl_config = ssl_config
        self.fields = fields
        self.default_source = os.path.basename(sys.argv[0] or "python")
        self.lost = 0
        self.setFormatter(MultilineFormatter())
        self._queue: deque[bytes] = deque()
        self._sources: dict[str, str] = {}
        self._unreported = 0
        self._unreported_source = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread: int | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._in_flight: _InFlight | None = None
        self._takes_fields = False
        self._scheduled = False
        self._flushing = False
        self._stalled = False
        self._stall_begins = asyncio.Event()

    # -- any thread; Handler.handle holds the handler's lock around emit

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record."""
        if len(self._queue) >= self.queue_size and self._loop_thread == threading.get_ident():
            self._flush()
        if len(self._queue) >= self.queue_size:
            self._unreported += 1
            self.lost += 1
            self._unreported_source = self._source_of(record)
            return
        self._add_loss_record()
        self._queue.append(self._encode(record))
        if self._scheduled or self._writer is None or self._stalled or self._loop is None:
            return
        self._scheduled = True
        if self._loop_thread == threading.get_ident():
            self._loop.call_soon(self._flush_scheduled)
            return
        try:
            self._loop.call_soon_threadsafe(self._flush_scheduled)
        except RuntimeError:  # the loop is closed; the record stays in the queue
            self._scheduled = False

    def _source_of(self, record: logging.LogRecord) -> str:
        source = record.__dict__.get("source", self.default_source)
        clean = self._sources.get(source) if isinstance(source, str) else None
        if clean is None:
            clean = str(source).translate(_SOURCE_CHARACTERS)
            if len(self._sources) < 1000:
                self._sources[str(source)] = clean
        return clean

    def _encode(self, record: logging.LogRecord) -> bytes:
        try:
            text = self.format(record)
        except Exception as error:  # noqa: BLE001  the arguments and their __str__ are anyone's
            text = f"{record.levelname}:{record.name}:{record.msg!r} [cannot be formatted: {error!r}]"
        if self.fields and (fields := record.__dict__.get("line_fields")):
            level, name, message = text.partition(f":{record.name}:")
            text = f"{level}:{record.name}{FIELDS}{fields}:{message}" if name else text
        data = f"{self._source_of(record)}:{text}\n".encode("utf-8", "backslashreplace")
        return data if len(data) <= _LINE_LIMIT else _break_long_lines(data)

    def _add_loss_record(self) -> None:
        if self._unreported:
            text = f"{self._unreported_source}:WARNING:sipyco.logs:{self._unreported} log records lost\n"
            self._unreported = 0
            self._queue.append(text.encode("utf-8", "backslashreplace"))

    # -- the loop's thread

    def _flush_scheduled(self) -> None:
        self._scheduled = False
        self._flush()

    def _flush(self) -> None:
        """Give the queue to the connection, if there is one and it takes more."""
        writer, in_flight = self._writer, self._in_flight
        if writer is None or in_flight is None or self._stalled or self._flushing or writer.transport.is_closing():
            return
        with self.lock:  # type: ignore[union-attr]
            self._add_loss_record()
            records, self._queue = list(self._queue), deque()
        if not records:
            return
        if self.fields and not self._takes_fields:
            records = [without_fields(record) for record in records]
        self._flushing = True  # asyncio may log in here
        try:
            data = b"".join(records)
            in_flight.wrote(len(data), records)
            writer.write(data)
            if writer.transport.get_write_buffer_size() > _STALL_BYTES:
                self._stalled = True
                self._stall_begins.set()
        finally:
            self._flushing = False

    async def wait_room(self, deadline: float = 1.0) -> None:
        """Return when the connection has taken most of what was logged. Does not wait while there is no connection,
        nor longer than `deadline` s: whoever logs goes on, and what then finds no room is counted.
        """
        writer = self._writer
        if writer is not None and writer.transport.get_write_buffer_size() > _PAUSE_BYTES:
            try:
                await asyncio.wait_for(writer.drain(), deadline)
            except (OSError, TimeoutError):
                pass

    async def _do(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        reachable = True
        try:
            while True:
                try:
                    reader, writer = await self._connect()
                except (OSError, TimeoutError) as error:
                    if reachable:
                        logger.warning("log server at %s:%s cannot be reached: %s; trying again every %s s",
                                       self.host, self.port, error or type(error).__name__, self.reconnect_timer)
                    reachable = False
                else:
                    reachable = True
                    await self._serve(reader, writer)
                await asyncio.sleep(self.reconnect_timer)
        finally:
            self._loop_thread = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = None if self.ssl_config is None else self.ssl_config.create_client_context()
        return await asyncio.wait_for(
            keepalive.async_open_connection(self.host, self.port, ssl=context), _CONNECT_DEADLINE)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection whose server has agreed to fields, or else one over which nothing was sent yet."""
        self._takes_fields = False
        if self.fields:
            reader, writer = await self._open()
            try:
                writer.write(FIELDS_BANNER)
                async with asyncio.timeout(_ANSWER_DEADLINE):
                    self._takes_fields = await reader.readline() == FIELDS_BANNER
            except (OSError, TimeoutError, ValueError):
                pass
            finally:
                if not self._takes_fields:
                    await _close(writer)
            if self._takes_fields:
                return reader, writer
            logger.info("the log server at %s:%s takes no fields of records", self.host, self.port)
        return await self._open()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        in_flight = _InFlight(writer)  # a banner that was answered has arrived
        writer.transport.set_write_buffer_limits(high=_PAUSE_BYTES)
        if not self._takes_fields:
            writer.write(BANNER)
            in_flight.wrote(len(BANNER), [])
        self._writer, self._in_flight, self._stalled = writer, in_flight, False
        self._stall_begins.clear()
        self._flush()
        resumer = asyncio.create_task(self._resume(writer))
        broken = True
        try:
            while await reader.read(4096):  # a server never sends anything
                pass
        except OSError:
            pass
        except asyncio.CancelledError:
            broken = False
            raise
        finally:
            resumer.cancel()
            await asyncio.wait([resumer])
            self._flush()
            self._writer = self._in_flight = None
            if broken:
                self._keep(in_flight.not_arrived())
            in_flight.close()
            await _close(writer)

    async def _resume(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await self._stall_begins.wait()
            self._stall_begins.clear()
            try:
                await writer.drain()
            except OSError:
                return  # the reader sees it too and ends the connection
            self._stalled = False
            self._flush()

    def _keep(self, records: list[bytes]) -> None:
        text = f"{self.default_source}:WARNING:sipyco.logs:connection to the log server broke; " \
               "records that it had received but not processed are missing\n"
        with self.lock:  # type: ignore[union-attr]
            self._queue.extendleft(reversed([text.encode("utf-8", "backslashreplace"), *records]))


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), _CLOSE_DEADLINE)
    except (OSError, TimeoutError, ssl.SSLError):
        writer.transport.abort()


def _break_long_lines(data: bytes) -> bytes:
    """A record in which lines above the limit are broken into several, and the number of lines is right again."""
    source, text = data[:-1].decode("utf-8", "replace").split(":", 1)
    level, rest = text.split(":", 1)
    level = level.partition("<")[0]
    piece = _LINE_LIMIT // 4
    lines = [line[i:i + piece] for line in rest.split("\n") for i in range(0, max(len(line), 1), piece)]
    count = f"<{len(lines)}>" if len(lines) > 1 else ""
    return f"{source}:{level}{count}:{chr(10).join(lines)}\n".encode()
