"""A master without experiments, for tests of clients: its control targets keep what was asked, its notifiers are the
test's to change. Control, notifications and broadcasts are on ports that the system chooses.
"""

from __future__ import annotations

from typing import Any, Self

from sipyco.broadcast import Broadcaster
from sipyco.pc_rpc import Server
from sipyco.sync_struct import Notifier, Publisher
from sipyco.tools import AsyncioServer

METHODS = {
    "schedule": ("submit", "delete", "request_termination", "get_status", "check_pause", "check_termination",
                 "explain"),
    "dataset_db": ("get", "get_metadata", "set", "delete", "update", "save"),
    "device_db": ("get_device_db", "get", "get_satellite_cpu_target", "scan"),
    "experiment_db": ("scan_repository", "scan_repository_async", "examine", "list_directory", "root"),
    "interactive_arg_db": ("supply", "cancel"),
    "master_management": ("get_name", "terminate"),
}


class FakeMaster:
    """`async with FakeMaster() as master: ...`.

    calls: (target, method, arguments) in order. answers: (target, method) -> what it returns, or raises if it is an
    exception; without one, None, and for `submit` the next RID.
    """

    def __init__(self, ssl: Any = None) -> None:
        self.calls: list[tuple[str, str, tuple[Any, ...]]] = []
        self.answers: dict[tuple[str, str], Any] = {}
        self.schedule, self.devices, self.datasets, self.interactive_args = (Notifier({}) for _ in range(4))
        self.notifiers = {"schedule": self.schedule, "devices": self.devices, "datasets": self.datasets,
                          "interactive_args": self.interactive_args}
        self.targets: dict[str, Any] = {name: _Target(self, name, methods) for name, methods in METHODS.items()}
        self.broadcaster = Broadcaster()
        self.ports: dict[str, int] = {}
        self._ssl = ssl
        self._servers: list[AsyncioServer] = []
        self._rid = 0

    async def __aenter__(self) -> Self:
        for name, server in (("control", Server(self.targets, None, allow_parallel=True)),
                             ("notify", Publisher(self.notifiers)), ("broadcast", self.broadcaster)):
            await server.start("127.0.0.1", 0, self._ssl)
            self._servers.append(server)
            self.ports[name] = server.asyncio_server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            await server.stop()

    def call(self, target: str, method: str, arguments: tuple[Any, ...]) -> Any:
        self.calls.append((target, method, arguments))
        answer = self.answers.get((target, method))
        if isinstance(answer, Exception):
            raise answer
        if answer is None and method == "submit":
            self._rid += 1
            return self._rid - 1
        return answer


class _Target:
    def __init__(self, master: FakeMaster, name: str, methods: tuple[str, ...]) -> None:
        for method in methods:
            setattr(self, method, lambda *arguments, _method=method, **options: master.call(
                name, _method, (*arguments, *options.values())))
