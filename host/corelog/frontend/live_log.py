"""`corelog client show log` without options: the log as it is broadcast, and what was missed, from the master's store.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from corelog.frontend.common import CommandError, describe
from corelog.frontend.master_link import CONTROL, TIMEOUT, token
from corelog.master.log_lines import LOSS
from sipyco.broadcast import Receiver
from sipyco.pc_rpc import AsyncioClient
from sipyco.tools import SimpleSSLConfig

Message = tuple[int, str, float, str]

PAGE = 2000
WAIT = 10.0
"""Seconds for which the master keeps a request for records that it has not stored yet."""
MOST_WAITING = 10_000
"""Messages kept while others are fetched; then the master is made to wait, or to say what it drops."""


class LiveLog:
    """`take` what comes; `run` prints it in order, for ever. A notice of loss is replaced by the records it names.

    line: what to print for a message.
    """

    def __init__(self, args: argparse.Namespace, ssl: SimpleSSLConfig | None, line: Callable[[Message], str]) -> None:
        self._server, self._ssl, self._token_file = args.server, ssl, args.token_file
        self._line = line
        self._waiting: deque[Message] = deque()
        self._came = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._complained = False

    def listen(self, receiver: Receiver) -> None:
        """The connection over which messages come from now on."""
        transport = receiver.writer.transport
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._paused = transport, False

    def take(self, message: Message) -> None:
        self._waiting.append(message)
        self._came.set()
        if len(self._waiting) > MOST_WAITING and self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    async def run(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                message = self._waiting.popleft()
                notice = LOSS.fullmatch(message[3]) if message[1] == "master" else None
                if notice is None:
                    print(self._line(message), flush=not self._waiting)
                else:
                    await self._show_missed(message, int(notice[1]), int(notice[2]))
            if self._paused and self._transport is not None:
                self._paused = False
                self._transport.resume_reading()

    async def _show_missed(self, notice: Message, first: int, last: int) -> None:
        async with aclosing(self._pages(first, last)) as pages:
            while True:
                try:
                    text = await anext(pages, None)
                except Exception as error:  # noqa: BLE001  whatever the master answers; the notice says what to do
                    print(self._line(notice), flush=True)
                    if not self._complained:
                        print(f"corelog client: missed records cannot be fetched: {describe(error)}", file=sys.stderr)
                    self._complained = True
                    return
                if text is None:
                    return
                print(text, end="", flush=True)

    async def _pages(self, first: int, last: int) -> AsyncGenerator[str, None]:
        """The lines of the records with these numbers."""
        store = AsyncioClient(timeout=TIMEOUT)
        await store.connect_rpc(self._server, CONTROL, "log_store", self._ssl)
        try:
            secret = token(self._token_file)
            if secret is not None and hasattr(store, "authenticate"):
                await store.authenticate(secret)
            if first < (kept := (await store.status())["first"]):
                raise CommandError(f"the master no longer keeps records before number {kept}")
            while first <= last:
                page = await store.read(first, min(PAGE, last - first + 1), WAIT)
                yield "".join(self._line((record["level"], record["source"], record["time"],
                                          f"{record['name']}:{record['message']}")) + "\n"
                              for record in page["records"] if record["number"] <= last)
                if page["next"] == first:
                    raise CommandError(f"the master has not stored record {first} within {WAIT:g} s")
                first = page["next"]
        finally:
            await store.close_rpc()
