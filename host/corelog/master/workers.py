"""Makes workers, all with the same processes, answers and log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from corelog.master.worker import Handlers, Worker
from corelog.master.worker_process import Processes


class Workers:
    """`handlers`: what workers may ask of the master, by name, plain or async; of `get_interactive_arguments` the
    first argument is the RID. `throttle` is awaited before more of what a worker prints is read: it waits, too.
    """

    def __init__(self, processes: Processes, handlers: Handlers,
                 throttle: Callable[[], Awaitable[Any]] | None = None):
        self._processes = processes
        self._handlers = handlers
        self._throttle = throttle

    def make(self, source: str = "", rid: int | None = None) -> Worker:
        """A worker whose log has that source, for that run."""
        handlers = dict(self._handlers)
        if rid is not None and "get_interactive_arguments" in handlers:
            ask = handlers["get_interactive_arguments"]
            handlers["get_interactive_arguments"] = lambda *args, **kwargs: ask(rid, *args, **kwargs)
        return Worker(self._processes, handlers, source, self._throttle)
