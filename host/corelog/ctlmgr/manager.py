"""The controller manager: keeps the controllers running that the master's device database has for this machine."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from corelog.ctlmgr import hosts
from corelog.ctlmgr.config import ConfigError, ControllerConfig, from_entry, is_controller
from corelog.ctlmgr.controller import Controller
from corelog.ctlmgr.output import Throttle
from sipyco import keepalive
from sipyco.sync_struct import Subscriber
from sipyco.tools import SimpleSSLConfig

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
KEEPALIVE = (10, 5, 3)
"""A master whose machine is gone is noticed: seconds of silence, seconds between probes, unanswered probes."""


class ControllerManager:
    """Holds the controllers. `update` makes them those of a device database; unchanged ones go on undisturbed.

    host_filter: this machine, as the database names it; None: the local address of the connection to the master.
    """

    def __init__(self, host_filter: str | None, throttle: Throttle):
        self._host_filter = host_filter
        self._throttle = throttle
        self._controllers: dict[str, Controller] = {}
        self._update = asyncio.Lock()

    async def update(self, database: dict[str, Any], local_address: str) -> None:
        """Starts, restarts and stops what has to be. `local_address` stands for a missing host filter."""
        async with self._update:
            wanted = await self._wanted(database, local_address)
            changed = [name for name in {**self._controllers, **wanted}
                       if name not in self._controllers or self._controllers[name].config != wanted.get(name)]
            results = await asyncio.gather(*(self._replace(name, wanted.get(name)) for name in changed),
                                           return_exceptions=True)
            for name, result in zip(changed, results, strict=True):
                if isinstance(result, BaseException):
                    logger.error("Controller %s could not be stopped", name, exc_info=result)

    async def _replace(self, name: str, config: ControllerConfig | None) -> None:
        """The others do not wait for a controller that takes its time to end."""
        if (running := self._controllers.get(name)) is not None:
            await running.stop()  # held until it is gone: whoever interrupts this can stop it again
            del self._controllers[name]
        if config is not None:
            self._controllers[name] = Controller(config, self._throttle)

    async def _wanted(self, database: dict[str, Any], local_address: str) -> dict[str, ControllerConfig]:
        wanted = {}
        for name, entry in database.items():
            if not is_controller(entry):
                continue
            try:
                bind = await hosts.bind_address(str(entry.get("host")), self._host_filter, local_address)
                if bind is not None:
                    wanted[name] = from_entry(name, entry, bind)
            except ConfigError as error:
                logger.error("Controller %s cannot be run: %s", name, error)
            except OSError as error:
                logger.warning("Controller %s: cannot tell where it runs, host %s: %s", name, entry.get("host"), error)
        return wanted

    async def stop(self) -> None:
        """Stops all controllers."""
        await self.update({}, "127.0.0.1")

    def status(self) -> dict[str, dict[str, Any]]:
        return {name: controller.status() for name, controller in sorted(self._controllers.items())}

    def retry_now(self, name: str) -> None:
        if name not in self._controllers:
            raise KeyError(f"no controller {name} runs here; there are: {', '.join(sorted(self._controllers))}")
        self._controllers[name].retry_now()


class ControllerManagerRPC:
    """RPC target `ctlmgr`."""

    def __init__(self, manager: ControllerManager, terminate: Callable[[], None]):
        self.__manager = manager
        self.__terminate = terminate

    def retry_now(self, name: str) -> None:
        """Restarts a controller at once that waits for its restart."""
        self.__manager.retry_now(name)

    def status(self) -> dict[str, dict[str, Any]]:
        """For each controller: state, pid, started, restarts, last_exit, last_good_ping, last_output."""
        return self.__manager.status()

    def ping(self) -> bool:
        """True."""
        return True

    def terminate(self) -> None:
        """Ends the controller manager and its controllers."""
        self.__terminate()


class MasterLink:
    """Follows the master's `devices` for ever, and hands each new state of it to the manager."""

    def __init__(self, manager: ControllerManager, server: str, port: int, retry: float, ssl: SimpleSSLConfig | None):
        self._manager = manager
        self._server, self._port, self._retry, self._ssl = server, port, retry, ssl
        self._database: dict[str, Any] = {}
        self._changed = asyncio.Event()
        self._disconnected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def wait(self) -> None:
        """Does not return; raises what went wrong if something did."""
        assert self._task is not None
        await self._task

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _init(self, database: dict[str, Any]) -> dict[str, Any]:
        self._database = database
        return database

    async def _run(self) -> None:
        reachable = True
        while True:
            subscriber = Subscriber("devices", self._init, lambda mod: self._changed.set(), self._disconnected.set)
            self._disconnected.clear()
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await subscriber.connect(self._server, self._port, ssl_config=self._ssl)
            except OSError as error:
                if reachable:
                    logger.warning("master at %s port %d cannot be reached (%s); trying again every %g seconds",
                                   self._server, self._port, error.strerror or str(error) or "no answer", self._retry)
                reachable = False
            else:
                reachable = True
                logger.info("connected to master at %s", self._server)
                keepalive.set_keepalive(subscriber.writer.get_extra_info("socket"), *KEEPALIVE)
                try:
                    await self._follow(_local_address(subscriber))
                finally:
                    await subscriber.close()
                logger.warning("connection to the master lost; controllers go on; trying again in %g seconds",
                               self._retry)
            await asyncio.sleep(self._retry)

    async def _follow(self, local_address: str) -> None:
        """Until disconnected."""
        disconnected = asyncio.create_task(self._disconnected.wait())
        try:
            while not disconnected.done():
                changed = asyncio.create_task(self._changed.wait())
                try:
                    await asyncio.wait([changed, disconnected], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                if self._changed.is_set():
                    self._changed.clear()
                    await self._manager.update(dict(self._database), local_address)
        finally:
            disconnected.cancel()


def _local_address(subscriber: Subscriber) -> str:
    connection: socket.socket = subscriber.writer.get_extra_info("socket")
    return str(connection.getsockname()[0])
