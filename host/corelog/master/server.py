"""The master: its parts, and the four ports on which they are served.

A further part joins by its notifiers in `Master.notifiers` and its RPC targets in `Master.targets`, and its start and
stop in `Master.parts`, before `start`. All that has to do with experiments does so at once: `Master.join`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

from corelog.master.devices import DeviceDatabase
from corelog.master.log import MasterLog
from corelog.master.management import Experiments
from corelog.master.security import Guard
from sipyco.pc_rpc import Server
from sipyco.sync_struct import Notifier, Publisher
from sipyco.tools import SimpleSSLConfig


class Part(Protocol):
    """Something with a life of its own; started before the ports are open, stopped after they are closed."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


@dataclass(frozen=True)
class Ports:
    notify: int = 3250
    control: int = 3251
    logging: int = 1066
    broadcast: int = 1067


class Management:
    """RPC target `master_management`."""

    def __init__(self, name: str | None):
        self._name = name
        self._terminated = asyncio.Event()

    def get_name(self) -> str | None:
        """The name given with --name, or None."""
        return self._name

    def terminate(self) -> None:
        """Ends the master."""
        self._terminated.set()

    async def wait_terminate(self) -> None:
        await self._terminated.wait()


class RpcTarget:
    """The methods of a part that clients may call, and nothing else of it."""

    def __init__(self, part: object, *methods: str):
        self.__doc__ = part.__doc__
        for method in methods:
            setattr(self, method, getattr(part, method))


class Master:
    """Build it in a running loop; `start` serves, `stop` ends. `guard` decides on who may use the control port."""

    def __init__(self, database: DeviceDatabase, log: MasterLog, name: str | None = None, guard: Guard | None = None):
        self.guard = guard
        self.management = Management(name)
        self.devices = database
        self.log = log
        self.parts: list[Part] = [log]
        self.notifiers: dict[str, Notifier] = {"devices": database.notifier}
        self.targets: dict[str, Any] = {
            "device_db": RpcTarget(database, "get_device_db", "get", "get_satellite_cpu_target", "scan"),
            "log_store": RpcTarget(log.reader, "read", "status"),
            "master_management": RpcTarget(self.management, "get_name", "terminate"),
        }
        self._servers: list[Any] = []

    def join(self, experiments: Experiments) -> None:
        """Before `start`."""
        self.parts += experiments.parts
        self.notifiers |= experiments.notifiers
        self.targets |= {name: RpcTarget(part, *methods) for name, (part, methods) in experiments.targets.items()}
        self.log.running = experiments.scheduler.running

    async def start(self, bind: list[str] | None, ports: Ports, ssl: SimpleSSLConfig | None = None) -> None:
        """Starts the parts, then listens on all ports. Raises OSError if one is taken; nothing is left open then."""
        targets = self.targets if self.guard is None else self.guard.targets(self.targets)
        servers: list[tuple[Any, int]] = [
            (self.log.broadcaster, ports.broadcast),
            (self.log.server, ports.logging),
            (Publisher(self.notifiers), ports.notify),
            (Server(targets, None, allow_parallel=True), ports.control),
        ]
        try:
            for part in self.parts:
                await part.start()
            for server, port in servers:
                await server.start(bind, port, ssl)
                self._servers.append(server)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Closes the ports, the broadcast last so that clients see what the others log, then stops the parts."""
        while self._servers:
            await self._servers.pop().stop()
        for part in reversed(self.parts):
            await part.stop()
        if self.guard is not None:
            self.guard.close()
