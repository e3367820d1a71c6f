"""Log records between processes.

Programs print them as *process lines* (`MultilineFormatter`), which whoever started the program reads (`LogParser`)
and sends over the network as *network lines* (`LogForwarder`) to a `Server`. See `_log_lines` for both syntaxes.
A record keeps where it came from in its attribute `source`, and fields that its line carried in `line_fields`.

The network does not carry fields unless both ends want it: a `LogForwarder` with `fields` asks for it by its banner,
which a `Server` of this package echoes. Others close the connection, and get the usual banner over the next.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from sipyco._log_assembly import FormatError, RecordAssembler
from sipyco._log_forwarder import BANNER, FIELDS_BANNER, LogForwarder
from sipyco._log_lines import MultilineFormatter, log_with_name, parse_log_message
from sipyco._streams import READ_SIZE
from sipyco.tools import AsyncioServer, read_first_line

__all__ = [
    "LogForwarder", "LogParser", "MultilineFormatter", "Server", "SourceFilter", "log_with_name",
    "multiline_log_config", "parse_log_message",
]

logger = logging.getLogger(__name__)

_PARSER_READ_SIZE = 64 * 1024


def multiline_log_config(level: int) -> None:
    """Set the level of the root logger and let it write process lines to stderr."""
    root = logging.getLogger()
    root.setLevel(level)
    handler = logging.StreamHandler()
    handler.setFormatter(MultilineFormatter())
    root.addHandler(handler)


class SourceFilter(logging.Filter):
    """Names the source of the records of this process, and filters them by level; those of others always pass."""

    def __init__(self, local_level: int, local_source: str) -> None:
        super().__init__()
        self.local_level = local_level
        self.local_source = local_source

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes; sets its `source` if it has none."""
        source = record.__dict__.setdefault("source", self.local_source)
        return source != self.local_source or record.levelno >= self.local_level


class LogParser:
    """Logs what a program writes: its log records as such, other lines as INFO records of the name `print`.

    Records get the attribute `source` from `source_cb()`. `throttle`, if given, is awaited between portions of at most
    64 KiB, so that a program that writes without end waits for its reader: for instance `LogForwarder.wait_room`.
    """

    def __init__(self, source_cb: Callable[[], str], *, throttle: Callable[[], Awaitable[Any]] | None = None) -> None:
        self.source_cb = source_cb
        self.throttle = throttle
        self._assembler = RecordAssembler(source_cb)

    def line_input(self, msg: str) -> None:
        """Take one line, without its newline."""
        self._assembler.feed_lines([msg])

    def feed(self, data: bytes) -> None:
        """Take bytes as they come; lines may be split between calls. Independent of `stream_task`."""
        self._assembler.feed(data)

    def end(self) -> None:
        """Log what `feed` and `line_input` left unfinished."""
        self._assembler.end()

    async def stream_task(self, stream: asyncio.StreamReader) -> None:
        """Take a stream to its end. What is unfinished then, or when cancelled, is logged, marked."""
        assembler = RecordAssembler(self.source_cb)
        try:
            while data := await stream.read(_PARSER_READ_SIZE):
                assembler.feed(data)
                if self.throttle is not None:
                    await self.throttle()
        except OSError as error:
            logger.debug("exception in log forwarding: %r", error)
        finally:
            assembler.end()


class Server(AsyncioServer):
    """Receives network lines and logs them, with the attribute `source`.

    `bulk`, if given, gets runs of network lines that are records of one line each and valid UTF-8, as they are, and
    those records are not logged. `throttle`, if given, is awaited between portions of at most 256 KiB, so that
    senders wait for it.
    """

    def __init__(self, bulk: Callable[[bytes], None] | None = None,
                 throttle: Callable[[], Awaitable[Any]] | None = None) -> None:
        super().__init__()
        self.bulk = bulk
        self.throttle = throttle

    async def _handle_connection_cr(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        banner = await read_first_line(reader)
        if banner == FIELDS_BANNER:
            writer.write(FIELDS_BANNER)
        elif banner != BANNER:
            return
        assembler = RecordAssembler(None, self.bulk)
        try:
            while data := await reader.read(READ_SIZE):
                assembler.feed(data)
                if self.throttle is not None:
                    await self.throttle()
            assembler.end()
        except FormatError:
            logger.warning("received improperly formatted message, dropping connection to %s",
                           writer.get_extra_info("peername"))
        except (OSError, asyncio.CancelledError):
            assembler.end()
            raise
