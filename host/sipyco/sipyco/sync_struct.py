"""Structures of dictionaries and lists, kept equal in many programs: one publishes, the others follow.

A subscriber gets the whole structure (`init`) and then each modification (*mod*), as dictionaries with `action` and

    init     struct                 the whole structure
    append   path, x                list.append(x)
    insert   path, i, x             list.insert(i, x)
    pop      path, i                list.pop(i)
    setitem  path, key, value       container[key] = value
    delitem  path, key              del container[key]

where `path` lists the keys and indices that lead from the root to the container.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from enum import Enum, unique
from functools import partial
from operator import getitem
from typing import Any

from sipyco import pyon
from sipyco._streams import Fanout, LineClient, Outbox, for_each_line
from sipyco.tools import AsyncioServer, SimpleSSLConfig, read_first_line

__all__ = ["ModAction", "Notifier", "Publisher", "Subscriber", "process_mod", "update_from_dict"]

logger = logging.getLogger(__name__)

_BANNER = b"ARTIQ sync_struct\n"
_HIGH_WATER = 1024 * 1024


@unique
class ModAction(Enum):
    """What a mod does; the values are the strings on the wire."""

    init = "init"
    append = "append"
    insert = "insert"
    pop = "pop"
    setitem = "setitem"
    delitem = "delitem"


_APPLY: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "append": lambda target, mod: target.append(mod["x"]),
    "insert": lambda target, mod: target.insert(mod["i"], mod["x"]),
    "pop": lambda target, mod: target.pop(mod["i"]),
    "setitem": lambda target, mod: target.__setitem__(mod["key"], mod["value"]),
    "delitem": lambda target, mod: target.__delitem__(mod["key"]),
}


def process_mod(target: Any, mod: dict[str, Any]) -> None:
    """Apply a mod (not `init`) to the container `target`.

    Raises ValueError for an unknown action, KeyError or IndexError if it does not fit the structure.
    """
    for key in mod["path"]:
        target = getitem(target, key)
    action = mod["action"]
    apply = _APPLY.get(action.value if isinstance(action, ModAction) else action)
    if apply is None:
        raise ValueError(f"not a modification of a structure: {action!r:.100}")
    apply(target, mod)


def update_from_dict(target: Any, source: dict[Any, Any]) -> None:
    """Make the top level of `target`, a dictionary or Notifier of one, equal to `source`, by the fewest mods."""
    current = target.raw_view if isinstance(target, Notifier) else target
    for key in [key for key in current if key not in source]:
        del target[key]
    for key, value in source.items():
        if key not in current or not _same(current[key], value):
            target[key] = value


def _same(a: Any, b: Any) -> bool:
    try:
        return a is b or bool(a == b)
    except (ValueError, TypeError):  # arrays compare element by element
        return False


class Notifier:
    """A dictionary or list, `raw_view`, whose changes made through the Notifier are published as mods.

    ``notifier[key]`` is a Notifier for what is inside. Each change is made first and then handed to
    ``root.publish(mod)``, if a Publisher has set that.
    """

    publish: Callable[[dict[str, Any]], None] | None

    def __init__(self, backing_struct: Any, root: "Notifier | None" = None, path: list[Any] | None = None) -> None:
        self.raw_view = backing_struct
        if root is None:
            self.root = self
            self.publish = None
            self._path: list[Any] = []
        else:
            self.root = root
            self._path = path if path is not None else []

    # Without these Python would try indices from 0, each publishing nothing but giving a Notifier.
    __iter__ = None
    __contains__ = None

    def _publish(self, action: ModAction, **fields: Any) -> None:
        if self.root.publish is not None:
            self.root.publish({"action": action.value, "path": self._path, **fields})

    def append(self, x: Any) -> None:
        """Append to a list."""
        self.raw_view.append(x)
        self._publish(ModAction.append, x=x)

    def insert(self, i: int, x: Any) -> None:
        """Insert into a list before index `i`."""
        self.raw_view.insert(i, x)
        self._publish(ModAction.insert, i=i, x=x)

    def pop(self, i: int = -1) -> Any:
        """Remove and return an element of a list."""
        element = self.raw_view.pop(i)
        self._publish(ModAction.pop, i=i)
        return element

    def __setitem__(self, key: Any, value: Any) -> None:
        self.raw_view[key] = value
        self._publish(ModAction.setitem, key=key, value=value)

    def __delitem__(self, key: Any) -> None:
        del self.raw_view[key]
        self._publish(ModAction.delitem, key=key)

    def __getitem__(self, key: Any) -> "Notifier":
        return Notifier(self.raw_view[key], self.root, [*self._path, key])


def _encode(mod: dict[str, Any]) -> bytes:
    return pyon.encode(mod).encode("ascii") + b"\n"


class _Subscription(Outbox):
    def take(self, lines: list[bytes], data: bytes) -> None:
        """From `Fanout`."""
        if not self.put_at_once(data):
            for line in lines:
                if not self.put(line):
                    self.clear()  # the structure comes anew when there is room


class Publisher(AsyncioServer):
    """Serves Notifiers (a dictionary by name) to subscribers; becomes the publisher of each of them.

    A subscriber that does not read has at most `queue_limit` mods and `queue_bytes` bytes waiting for it. Beyond
    that they are forgotten, and when it reads again it gets the structure anew, as another `init`. `restarts` counts
    how often that happened.
    """

    def __init__(self, notifiers: dict[str, Notifier], queue_limit: int = 16384,
                 queue_bytes: int = 32 * 1024 * 1024) -> None:
        super().__init__()
        self.notifiers = notifiers
        self.queue_limit = queue_limit
        self.queue_bytes = queue_bytes
        self.restarts = 0
        self._subscribers: dict[Notifier, Fanout] = {notifier: Fanout() for notifier in notifiers.values()}
        for notifier in notifiers.values():
            notifier.publish = partial(self.publish, notifier)

    async def _handle_connection_cr(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await read_first_line(reader) != _BANNER:
            return
        name = await read_first_line(reader)
        if not name.endswith(b"\n"):
            return
        notifier = self.notifiers.get(name[:-1].decode(errors="backslashreplace"))
        if notifier is None:
            return

        subscribers = self._subscribers[notifier]

        def init_line() -> bytes:
            subscribers.flush()  # mods that are part of the structure must not be sent after it
            return _encode({"action": ModAction.init.value, "struct": notifier.raw_view})

        def begin_anew() -> list[bytes]:
            self.restarts += 1
            return [init_line()]

        outbox = _Subscription(writer, self.queue_limit, self.queue_bytes, _HIGH_WATER, begin_anew)
        outbox.put(init_line())
        subscribers.add(outbox)
        try:
            await outbox.serve(reader)
        finally:
            subscribers.remove(outbox)

    def publish(self, notifier: Notifier, mod: dict[str, Any]) -> None:
        """Send a mod to the subscribers of `notifier`; encoded once. Raises what pyon.encode raises."""
        subscribers = self._subscribers[notifier]
        if subscribers:
            subscribers.put(_encode(mod))


class Subscriber(LineClient):
    """Follows a structure of a Publisher.

    `target_builder(struct)` is called with the whole structure, at the start and whenever the publisher sends it
    anew, and returns the local container, to which later mods are applied. Then `notify_cb` (one or several) is
    called with the mod. `disconnect_cb()` is called when the connection ends, or a callback raised or the mod did not
    fit (which is logged and ends the reception), but not by `close`.
    """

    def __init__(self, notifier_name: str, target_builder: Callable[[Any], Any],
                 notify_cb: Callable[[dict[str, Any]], Any] | Iterable[Callable[[dict[str, Any]], Any]] | None = None,
                 disconnect_cb: Callable[[], Any] | None = None) -> None:
        self.notifier_name = notifier_name
        self.target_builder = target_builder
        self.disconnect_cb = disconnect_cb
        self.target: Any = None
        if notify_cb is None:
            notify_cb = []
        self.notify_cbs = list(notify_cb) if isinstance(notify_cb, Iterable) else [notify_cb]

    async def connect(self, host: str, port: int, before_receive_cb: Callable[[], Any] | None = None,
                      ssl_config: SimpleSSLConfig | None = None, *, timeout: float | None = None) -> None:
        """Connect, call `before_receive_cb()`, subscribe. Raises OSError or ssl.SSLError if that fails, TimeoutError
        if it takes longer than `timeout` s.
        """
        hello = _BANNER + self.notifier_name.encode() + b"\n"
        await self._open(hello, host, port, ssl_config, timeout, self._receive, before_receive_cb)

    async def close(self) -> None:
        """Stop receiving and close."""
        await self._end()

    async def _receive(self) -> None:
        try:
            await for_each_line(self.reader, self._take)
        except Exception:  # callbacks are the user's, and the line is the peer's
            logger.error("Subscriber of %s ends: exception while processing a modification", self.notifier_name,
                         exc_info=True)
        if self.disconnect_cb is not None:
            self.disconnect_cb()

    def _take(self, line: bytes) -> None:
        mod = pyon.decode(line.decode())
        if mod["action"] == "init":
            self.target = self.target_builder(mod["struct"])
        else:
            process_mod(self.target, mod)
        for callback in self.notify_cbs:
            callback(mod)
