"""Broadcasts of objects over named channels.

A listener that does not read fast enough misses messages, the newest ones once its queue is full. It gets to know:

* The first line after a gap carries the number of missed messages as white space before its newline (binary, lowest
  digit first, space 0 and tab 1), which every JSON parser skips. `Receiver` sums it up in `missed` and calls
  `missed_cb(count)` before the message.
* A `Broadcaster` given `loss_message` puts ``loss_message(channel, count)`` into the stream where the messages are
  missing, as an ordinary message of that channel. It then carries the mark.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from sipyco import pyon
from sipyco._streams import Fanout, LineClient, Outbox, for_each_line
from sipyco.tools import AsyncioServer, SimpleSSLConfig, read_first_line

__all__ = ["Broadcaster", "Receiver"]

logger = logging.getLogger(__name__)

_BANNER = b"ARTIQ broadcast\n"
_QUEUE_BYTES = 64 * 1024 * 1024
_COUNT_TO_SPACE = str.maketrans("01", " \t")


def mark_missed(line: bytes, count: int) -> bytes:
    """`line`, which ends in a newline, saying that `count` messages are missing before it."""
    return line[:-1] + bin(count)[:1:-1].translate(_COUNT_TO_SPACE).encode() + b"\n" if count else line


def missed_before(line: bytes) -> int:
    """How many messages are missing before `line`, which is without its newline."""
    if line[-1:] != b"\t":  # the highest digit is always 1
        return 0
    space = line[len(line.rstrip(b" \t")):]
    return sum(1 << i for i, digit in enumerate(space) if digit == 9)


class _Listener:
    """One connection: its outbox, and what it has missed since it last got something."""

    def __init__(self, broadcaster: "Broadcaster", channel: str, flush: Callable[[], None],
                 writer: asyncio.StreamWriter) -> None:
        limit = broadcaster.queue_limit
        self._flush = flush
        self._broadcaster = broadcaster
        self._channel = channel
        self._missed = 0
        self._mark = 0
        self.outbox = Outbox(writer, limit, _QUEUE_BYTES, min(max(limit, 64) * 1024, 1024 * 1024), self._make_notice)

    def take(self, lines: list[bytes], data: bytes) -> None:
        if self._mark or not self.outbox.put_at_once(data):
            for line in lines:
                self._send(line)

    def _send(self, line: bytes) -> None:
        if self._mark:
            line, self._mark = mark_missed(line, self._mark), 0
        if not self.outbox.put(line):
            self._missed += 1
            self._broadcaster.missed += 1

    def _make_notice(self) -> list[bytes]:
        self._flush()  # what is under way is missed too
        count, self._missed = self._missed, 0
        make_message = self._broadcaster.loss_message
        message = None if make_message is None else make_message(self._channel, count)
        if message is None:
            self._mark += count
            return []
        return [mark_missed(_encode(message), count)]


def _encode(message: Any) -> bytes:
    return pyon.encode(message).encode("ascii") + b"\n"


class Broadcaster(AsyncioServer):
    """Sends objects to all who listen to a channel. Channels exist by being named.

    `queue_limit` bounds how many messages wait for a listener that does not read; with `loss_message`, see above,
    a message tells of the missed ones (it returns None for channels that shall have none). `missed` counts the
    messages that were not delivered, over all listeners.
    """

    def __init__(self, queue_limit: int = 1024,
                 loss_message: Callable[[str, int], Any] | None = None) -> None:
        super().__init__()
        self.queue_limit = queue_limit
        self.loss_message = loss_message
        self.missed = 0
        self._listeners: dict[str, Fanout] = {}

    async def _handle_connection_cr(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await read_first_line(reader) != _BANNER:
            return
        name = await read_first_line(reader)
        if not name.endswith(b"\n"):
            return
        channel = name[:-1].decode(errors="backslashreplace")
        listeners = self._listeners.get(channel)
        if listeners is None:
            listeners = self._listeners[channel] = Fanout()
        listener = _Listener(self, channel, listeners.flush, writer)
        listeners.add(listener)
        try:
            await listener.outbox.serve(reader)
        finally:
            listeners.remove(listener)
            if not listeners:
                del self._listeners[channel]

    def broadcast(self, name: str, obj: Any) -> None:
        """Send `obj` to the listeners of channel `name`. Encoded once, and not at all if there are none.

        Raises what pyon.encode raises.
        """
        listeners = self._listeners.get(name)
        if listeners is not None:
            listeners.put(_encode(obj))

    def listening(self, name: str) -> bool:
        """Whether anybody listens to channel `name`."""
        return name in self._listeners

    def broadcast_encoded(self, name: str, lines: bytes) -> None:
        """Send many messages at once: PYON texts, each with a newline at its end and none within."""
        listeners = self._listeners.get(name)
        if listeners is not None:
            listeners.put_lines(lines)


Callbacks = Callable[[Any], Any] | Iterable[Callable[[Any], Any]]


class Receiver(LineClient):
    """Listens to a channel and calls `notify_cb` (one or several) with each object.

    `disconnect_cb()` is called when the connection ends or a callback raised, which ends the reception; the
    exception is then re-raised by `close`. `missed_cb(count)` is called when messages were missed, before the object
    that follows them; `missed` counts them.
    """

    def __init__(self, name: str, notify_cb: Callbacks, disconnect_cb: Callable[[], Any] | None = None, *,
                 missed_cb: Callable[[int], Any] | None = None) -> None:
        self.name = name
        self.notify_cbs = list(notify_cb) if isinstance(notify_cb, Iterable) else [notify_cb]
        self.disconnect_cb = disconnect_cb
        self.missed_cb = missed_cb
        self.missed = 0

    async def connect(self, host: str, port: int, ssl_config: SimpleSSLConfig | None = None, *,
                      timeout: float | None = None) -> None:
        """Connect and start receiving. Raises OSError or ssl.SSLError if that fails, TimeoutError if it takes longer
        than `timeout` s.
        """
        await self._open(_BANNER + self.name.encode() + b"\n", host, port, ssl_config, timeout, self._receive)

    async def close(self) -> None:
        """Stop receiving and close. Raises what a callback raised, if one did."""
        await self._end()
        if not self.receive_task.cancelled() and (error := self.receive_task.exception()) is not None:
            raise error

    async def _receive(self) -> None:
        try:
            await for_each_line(self.reader, self._take)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._disconnected()
            raise
        self._disconnected()

    def _disconnected(self) -> None:
        if self.disconnect_cb is not None:
            self.disconnect_cb()

    def _take(self, line: bytes) -> None:
        missed = missed_before(line)
        if missed:
            self.missed += missed
            if self.missed_cb is not None:
                self.missed_cb(missed)
        obj = pyon.decode(line.decode())
        for callback in self.notify_cbs:
            callback(obj)
