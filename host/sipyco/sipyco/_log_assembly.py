"""Log records out of a stream of bytes, whatever the bytes are."""

import re
from collections.abc import Callable

from sipyco._log_lines import LEVELS, MAX_LINE, MAX_RECORD, RecordSink, parse_log_message

# Possessive: what once fits is never tried otherwise, so the time is linear. WARN is left to those who translate it.
_PLAIN = re.compile(rb"(?:[^:\n]*+:(?:%s):[^:\n]*+:[^\n]*+\n)*+" % b"|".join(
    name.encode() for name in LEVELS if name != "WARN"))

_OTHER_LINES = 8
"""Lines, of which the first is not a plain record, that are taken one by one before plain ones are looked for."""


class FormatError(ValueError):
    """A network line without a source."""


class RecordAssembler:
    """Logs the records in what is fed to it. Without `source_cb` each record names its source itself (network lines).

    Lines above MAX_LINE and records above MAX_RECORD are logged in pieces, each marked. Bytes that are not UTF-8
    become ``\\xNN``. Call `end` when there is no more.

    `bulk`, if given, gets runs of network lines that are records of one line each and valid UTF-8, as they are, and
    those records are not logged.
    """

    def __init__(self, source_cb: Callable[[], str] | None, bulk: Callable[[bytes], None] | None = None) -> None:
        self._source_cb = source_cb
        self._bulk = bulk
        self._sink = RecordSink()
        self._unfinished: list[bytes] = []
        self._size = 0
        self._in_long_line = False
        self._missing = 0  # lines that the record in `_head` and `_lines` still lacks
        self._head = ("", 0, "")
        self._lines: list[str] = []
        self._length = 0

    def feed(self, data: bytes) -> None:
        """Log the records that `data` completes. FormatError for a network line without a source."""
        end = data.rfind(b"\n")
        if end < 0:
            self._unfinished.append(data)
            self._size += len(data)
            if self._size > MAX_LINE:
                self._cut_long_line()
            return
        rest = data[end + 1:]
        complete = data[:end + 1]
        if self._unfinished:
            complete = b"".join([*self._unfinished, complete])
        self._unfinished = [rest] if rest else []
        self._size = len(rest)
        if self._bulk is not None:
            self._feed_bulk(complete, self._bulk)
        else:
            text = complete[:-1].decode("utf-8", "backslashreplace")
            self.feed_lines(text.split("\n"))
        if self._size > MAX_LINE:
            self._cut_long_line()

    def _feed_bulk(self, data: bytes, bulk: Callable[[bytes], None]) -> None:
        """Whole lines: plain records in bulk, the others some lines at a time."""
        pos = 0
        while pos < len(data):
            plain = b""
            if not self._in_long_line and not self._missing and (match := _PLAIN.match(data, pos)):
                plain = match[0]
            try:
                plain.decode()
            except UnicodeDecodeError as error:
                plain = plain[:plain.rfind(b"\n", 0, error.start) + 1]
            if plain:
                bulk(plain)
                pos += len(plain)
                continue
            end = pos
            for _ in range(max(self._missing, _OTHER_LINES)):
                end = data.find(b"\n", end) + 1 or len(data)
            self.feed_lines(data[pos:end - 1].decode("utf-8", "backslashreplace").split("\n"))
            pos = end

    def feed_lines(self, lines: list[str]) -> None:
        """The same for complete lines without their newline."""
        self._sink.begin()
        first = 0
        if self._in_long_line:
            self._in_long_line = False
            self._long_line_part(lines[0], last=True)
            first = 1
        elif self._missing:
            first = self._continue(lines, 0)
        if self._source_cb is None:
            self._network_lines(lines, first)
        else:
            self._process_lines(lines, first, self._source_cb())

    def _network_lines(self, lines: list[str], i: int) -> None:
        levels, log, count = LEVELS, self._sink.log, len(lines)
        while i < count:
            parts = lines[i].split(":", 3)
            i += 1
            if len(parts) == 4 and parts[1] in levels:
                log(parts[0], levels[parts[1]], parts[2], parts[3])
            elif len(parts) == 1:
                raise FormatError(parts[0])
            else:
                i = self._begin(parts[0], lines[i - 1][len(parts[0]) + 1:], lines, i)

    def _process_lines(self, lines: list[str], i: int, source: str) -> None:
        levels, log, count = LEVELS, self._sink.log, len(lines)
        while i < count:
            line = lines[i]
            i += 1
            if line[-1:] == "\r":
                line = line.rstrip("\r")
            parts = line.split(":", 2)
            if len(parts) == 3 and parts[0] in levels:
                log(source, levels[parts[0]], parts[1], parts[2])
            else:
                i = self._begin(source, line, lines, i)

    def _begin(self, source: str, line: str, lines: list[str], i: int) -> int:
        """A line that is not a record by itself: perhaps the first of several. Returns the next index in `lines`."""
        missing, level, name, message = parse_log_message(line)
        if not missing:
            self._sink.log(source, level, name, message)
            return i
        self._missing, self._head, self._lines, self._length = missing, (source, level, name), [message], len(message)
        return self._continue(lines, i)

    def _continue(self, lines: list[str], i: int) -> int:
        more = lines[i:i + self._missing]
        if self._source_cb is not None:
            more = [line.rstrip("\r") for line in more]
        self._lines += more
        self._missing -= len(more)
        self._length += sum(map(len, more))
        if not self._missing:
            self._log_collected("")
        elif self._length > MAX_RECORD:
            self._log_collected(" [record cut, continues]")
            self._lines = ["[continued]"]
        return i + len(more)

    def _log_collected(self, mark: str) -> None:
        lines, self._lines, self._length = self._lines, [], 0
        self._sink.log(*self._head, "\n".join(lines) + mark)

    def _cut_long_line(self) -> None:
        data = b"".join(self._unfinished)
        while len(data) > MAX_LINE:
            end = MAX_LINE
            while end > MAX_LINE - 4 and data[end] & 0xC0 == 0x80:  # not within a character
                end -= 1
            self._sink.begin()
            self._long_line_part(data[:end].decode("utf-8", "backslashreplace"), last=False)
            self._in_long_line = True
            data = data[end:]
        self._unfinished = [data]
        self._size = len(data)

    def _long_line_part(self, text: str, last: bool) -> None:
        if self._missing:
            self._missing += not last
            self._continue([text], 0)
            return
        if not self._in_long_line and not last:
            source = "" if self._source_cb is None else self._source_cb()
            if self._source_cb is None:
                source, colon, text = text.partition(":")
                if not colon:
                    raise FormatError(source[:80])
            missing, level, name, text = parse_log_message(text)
            self._head = (source, level, name)
            if missing:
                self._missing, self._lines, self._length = missing + 1, [], 0
                self._continue([text], 0)
                return
        else:
            text = "[continued] " + text
        self._sink.log(*self._head, text if last else text + " [line cut, continues]")

    def end(self) -> None:
        """No more will come: log what is there of a line or a record that was not finished."""
        data = b"".join(self._unfinished)
        self._unfinished = []
        self._sink.begin()
        if data:
            text = data.decode("utf-8", "backslashreplace")
            if self._source_cb is None and not self._missing:
                text += " [cut: the connection ended]"
            self.feed_lines([text])
        if self._missing:
            missing, self._missing = self._missing, 0
            self._log_collected(f" [record cut: {missing} lines missing]")
