"""The life of one controller: started, watched, restarted, ended."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable
from typing import Any

from corelog.ctlmgr.config import ControllerConfig
from corelog.ctlmgr.output import READS_FIELDS, Output, Throttle
from corelog.ctlmgr.process import ControllerProcess
from sipyco.pc_rpc import AsyncioClient
from sipyco.tools import SimpleSSLConfig

logger = logging.getLogger(__name__)

RESUME_LINES, RESUME_PID = "CORELOG_RESUME_LINES", "CORELOG_RESUME_PID"
"""Environment of a restarted controller: how many complete lines of its predecessor's standard error were read, and
that one's process id, so that a controller that reads a stream knows where to go on."""
LINE_FIELDS = {"CORELOG_LINE_FIELDS": "1"} if READS_FIELDS else {}
"""Environment that tells a controller that names in its lines may carry fields."""


class Controller:
    """Runs the controller until `stop`."""

    def __init__(self, config: ControllerConfig, throttle: Throttle):
        self.config = config
        self._throttle = throttle
        self._process: ControllerProcess | None = None
        self._output: Output | None = None
        self._resume: dict[str, str] = {}
        self._retry = asyncio.Event()
        self._delay = config.retry_timer
        self._state = "starting"
        self._restarts = 0
        self._last_exit: int | None = None
        self._started_at: float | None = None
        self._good_ping_at: float | None = None
        self._last_output = ""
        self._task = asyncio.create_task(self._run(), name=f"controller {config.name}")
        self._task.add_done_callback(_say_if_failed)

    def status(self) -> dict[str, Any]:
        """What clients of the manager see; times are Unix time."""
        running = self._process is not None
        return {
            "state": self._state, "pid": self._process.pid if self._process is not None else None,
            "started": self._started_at if running else None, "restarts": self._restarts,
            "last_exit": self._last_exit, "last_good_ping": self._good_ping_at,
            "last_output": self._output.last_line if self._output is not None else self._last_output,
        }

    def retry_now(self) -> None:
        """Ends the wait for a restart."""
        self._retry.set()

    async def stop(self) -> None:
        """Ends the controller: asked, then told, then killed. Returns when it is gone."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._end()
        self._state = "stopped"

    async def _run(self) -> None:
        name = self.config.name
        while True:
            try:
                await self._start()
                await self._watch()
                await self._end()
            except OSError as error:
                logger.warning("Controller %s failed to start: %s", name, error)
            self._state = "waiting for restart"
            logger.warning("Restarting in %.1f seconds (controller %s)", self._delay, name)
            await _within(self._delay, self._retry.wait())
            self._retry.clear()
            self._delay = self.config.delay_after(self._delay)
            self._restarts += 1

    async def _start(self) -> None:
        config = self.config
        logger.info("Starting controller %s with command: %s", config.name, " ".join(config.command))
        environment = dict(config.environment)
        if environment:
            logger.info("(environment overrides: %s)", environment)
        environment = {**LINE_FIELDS, **environment, **self._resume}
        self._output = Output(f"controller({config.name})", self._throttle)
        self._process = await ControllerProcess.start(config.command, environment, self._output)
        self._started_at = time.time()
        self._state = "running"

    async def _watch(self) -> None:
        """Returns when the process has ended or does not answer."""
        assert self._process is not None
        while await self._process.wait(self.config.ping_timer) is None:
            problem = await self._ping()
            if problem is not None:
                logger.warning("Controller %s ping failed (%s)", self.config.name, problem)
                return
            self._good_ping_at = time.time()
            self._delay = self.config.retry_timer

    async def _ping(self) -> str | None:
        """What is wrong, or None."""
        try:
            answer = await asyncio.wait_for(self._call("ping"), self.config.ping_timeout)
        except TimeoutError:
            return "timeout"
        except Exception as error:  # noqa: BLE001  whatever the controller answers is its answer
            return f"{type(error).__name__}: {error}"
        return None if answer else f"it answered {answer!r}"

    async def _call(self, method: str) -> Any:
        """Calls a method of the controller's first target."""
        ssl = SimpleSSLConfig(*self.config.ssl) if self.config.ssl is not None else None
        client = AsyncioClient()
        await client.connect_rpc(self.config.host, self.config.port, None, ssl)
        try:
            targets, _ = client.get_rpc_id()
            await client.select_rpc_target(targets[0])
            return await getattr(client, method)()
        finally:
            await client.close_rpc()

    async def _end(self) -> None:
        """Makes sure that the process has ended, and all its output was read."""
        process = self._process
        if process is None:
            return
        name, limit = self.config.name, self.config.term_timeout
        if await process.wait(0) is not None:
            logger.warning("Controller %s exited (%s)", name, _meaning(process.status))
        else:
            self._state = "ending"
            await self._make_end(process, limit)
            logger.info("Controller %s terminated", name)
        self._last_exit = process.status
        self._resume = {RESUME_LINES: str(process.stderr_lines), RESUME_PID: str(process.pid)}
        if self._output is not None:
            self._last_output = self._output.last_line
        self._process = None

    async def _make_end(self, process: ControllerProcess, limit: float) -> None:
        try:
            await asyncio.wait_for(self._call("terminate"), limit)
            if await process.wait(limit) is not None:
                return
            problem = "it was asked to"
        except Exception as error:  # noqa: BLE001  whatever goes wrong with the controller's RPC, it must end
            problem = f"it could not be asked to: {error or type(error).__name__}"
        if await process.wait(0) is not None:
            return
        logger.warning("Controller %s did not terminate (%s); sending SIGTERM", self.config.name, problem)
        process.ask_to_end()
        if await process.wait(limit) is not None:
            return
        logger.warning("Controller %s did not end after SIGTERM; killing it", self.config.name)
        process.kill()
        await process.wait()


async def _within(seconds: float, wait: Awaitable[Any]) -> None:
    try:
        await asyncio.wait_for(wait, seconds)
    except TimeoutError:
        pass


def _say_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.critical("%s is no longer managed", task.get_name(), exc_info=task.exception())


def _meaning(status: int | None) -> str:
    if status is not None and status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    return f"status {status}"
