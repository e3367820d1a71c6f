"""Makes workers, all with the same processes, answers and log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from corelog.master.worker import Handlers, Worker
from corelog.master.worker_process import Processes

ROOM_CHECK = 0.02


class Workers:
    """`handlers`: what workers may ask of the master, by name, plain or async; of `get_interactive_arguments` the
    first argument is the RID. While `has_room` says no, what workers print waits, and with it they.
    """

    def __init__(self, processes: Processes, handlers: Handlers, has_room: Callable[[], bool] = lambda: True):
        self._processes = processes
        self._handlers = handlers
        self._has_room = has_room

    def make(self, source: str = "", rid: int | None = None) -> Worker:
        """A worker whose log has that source, for that run."""
        handlers = dict(self._handlers)
        if rid is not None and "get_interactive_arguments" in handlers:
            ask = handlers["get_interactive_arguments"]
            handlers["get_interactive_arguments"] = lambda *args, **kwargs: ask(rid, *args, **kwargs)
        return Worker(self._processes, handlers, source, self._room)

    async def _room(self) -> None:
        while not self._has_room():
            await asyncio.sleep(ROOM_CHECK)
