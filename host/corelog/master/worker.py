"""One worker as the master sees it: steps, their time limits, the requests it makes meanwhile, its end.

Whatever the process does - an exception, nothing for ever, garbage, death at any moment - a step ends with an
exception of WorkerError, and `close` ends in bounded time with the process gone.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from corelog.master.worker_process import Process, Processes
from sipyco import pyon
from sipyco.logs import LogParser
from sipyco.packed_exceptions import current_exc_packed

logger = logging.getLogger(__name__)

BUILD_LIMIT = 15.0
EXAMINE_LIMIT = 20.0
TERMINATE_LIMIT = 2.0
"""Seconds that a worker has after being told to end, and again after SIGTERM."""
KILL_LIMIT = 10.0

Handlers = Mapping[str, Callable[..., Any]]
T = TypeVar("T")


class WorkerError(Exception):
    """A step has failed; the worker is of no more use."""


class WorkerException(WorkerError):
    """The experiment raised something, which is in the log."""


class WorkerTerminated(WorkerException):
    """The experiment has ended because it was asked to."""


class WorkerTimeout(WorkerError):
    """A step took longer than it may, or a watchdog barked."""


class WorkerEnded(WorkerError):
    """The process has ended by itself, or was closed."""


class Worker:
    """`source` names whose log this is. `handlers`: what it may ask of the master, by name, plain or async. `throttle`
    is awaited before more of what it prints is read.
    """

    def __init__(self, processes: Processes, handlers: Handlers, source: str,
                 throttle: Callable[[], Awaitable[Any]] | None = None):
        self.source = source
        self._processes = processes
        self._throttle = throttle
        self._handlers: dict[str, Callable[..., Any]] = {
            **handlers, "create_watchdog": self._create_watchdog, "delete_watchdog": self._delete_watchdog,
            "pause": _refuse_pause}
        self._process: Process | None = None
        self._logs: list[asyncio.Task[None]] = []
        self._watchdogs: dict[int, float] = {}
        self._next_watchdog = 0
        self._paused_at = 0.0
        self._in_step = False
        self._starting = asyncio.Lock()
        self._closing = False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    # Steps: True if the experiment has done it, False if it has paused.

    async def build(self, order: dict[str, Any], log_level: int, limit: float = BUILD_LIMIT) -> None:
        """Starts the process, and the stage build in it."""
        deadline = _time() + limit
        await self._start(log_level)
        await self._step({"action": "build", **order}, deadline, "build")

    async def do(self, stage: str) -> bool:
        """prepare, run or analyze."""
        return await self._step({"action": stage}, None, stage)

    async def resume(self, request_termination: bool) -> bool:
        """Goes on after a pause. Watchdogs do not see the pause."""
        pause = _time() - self._paused_at
        self._watchdogs = {number: deadline + pause for number, deadline in self._watchdogs.items()}
        return await self._step({"status": "ok", "data": request_termination}, None, "run")

    async def examine(self, files: list[str], root: str | None, examined: Callable[[str, Any], None],
                      limit: float = EXAMINE_LIMIT) -> None:
        """Calls examined(file, experiments) for each; None stands for a file that failed. `limit` is for one file."""
        if self._process is None:
            await self._start(logging.WARNING)
        await self._step({"action": "examine", "files": files, "root": root}, _time() + limit, "examine",
                         lambda message: examined(message["file"], message["experiments"]), limit)

    async def _start(self, log_level: int) -> None:
        async with self._starting:
            if self._closing:
                raise WorkerEnded("the worker was closed")
            try:
                self._process = await self._processes.start(log_level)
            except (OSError, TimeoutError) as error:
                raise WorkerEnded(f"no process could be started: {error or 'timeout'}") from error
        for stream in (self._process.stdout, self._process.stderr):
            self._logs.append(asyncio.create_task(self._parser().stream_task(stream)))

    def _parser(self) -> LogParser:
        try:
            return LogParser(lambda: self.source, throttle=self._throttle)
        except TypeError:  # the ecosystem's own sipyco cannot make a program wait
            return LogParser(lambda: self.source)

    async def _step(self, message: dict[str, Any], deadline: float | None, name: str,
                    examined: Callable[[dict[str, Any]], None] | None = None, limit: float = 0.0) -> bool:
        if self._process is None or self._closing:
            raise WorkerEnded("the worker was closed")
        self._in_step = True
        try:
            await self._send(_encode(message))
            while True:
                message = await self._receive(deadline, name)
                match message["action"]:
                    case "completed":
                        self._in_step = False
                        return True
                    case "pause" if name == "run":
                        self._in_step = False
                        self._paused_at = _time()
                        return False
                    case "exception":
                        self._in_step = False
                        kind = WorkerTerminated if message.get("terminated") else WorkerException
                        raise kind(f"exception in {name}, see its log")
                    case "examined" if examined is not None:
                        examined(message)
                        deadline = _time() + limit
                    case action:
                        await self._send(await self._answer(action, message["args"], message["kwargs"], deadline, name))
        except (KeyError, TypeError, ValueError) as error:
            raise WorkerError(f"the worker sends what cannot be understood: {error!r}") from error

    async def _answer(self, action: str, args: Any, kwargs: Any, deadline: float | None, name: str) -> bytes:
        try:
            data = self._handlers[action](*args, **kwargs)
            if inspect.isawaitable(data):
                data = await self._in_time(self._while_alive(data, name), deadline, name)
            return _encode({"status": "ok", "data": data})
        except WorkerError:
            raise
        except Exception:  # noqa: BLE001  the experiment is to get it, whatever it is
            return _encode({"status": "failed", "exception": current_exc_packed()})

    def _create_watchdog(self, seconds: float) -> int:
        self._next_watchdog += 1
        self._watchdogs[self._next_watchdog] = _time() + seconds
        return self._next_watchdog

    def _delete_watchdog(self, number: int) -> None:
        del self._watchdogs[number]

    async def _send(self, line: bytes) -> None:
        assert self._process is not None
        self._process.write(line)
        try:
            await self._process.drain()
        except OSError:
            return  # it has ended, and reading says how

    async def _receive(self, deadline: float | None, name: str) -> dict[str, Any]:
        assert self._process is not None
        try:
            line = await self._in_time(self._process.readline(), deadline, name)
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            if self._closing:
                raise WorkerEnded("closed")
            raise self._ended(name, await self._in_time(self._process.wait(), _time() + TERMINATE_LIMIT,
                                                        "the end after the pipe was closed"))
        message: dict[str, Any] = pyon.decode(line.decode())
        return message

    async def ended(self) -> str:
        """Waits for the end of the process that was started; says how it came."""
        assert self._process is not None
        return str(self._ended("a pause between steps", await self._process.wait()))

    def _ended(self, name: str, status: int) -> WorkerEnded:
        how = f"by signal {-status}" if status < 0 else f"with exit status {status}"
        return WorkerEnded(f"process {self.pid} ended in {name} {how}")

    async def _while_alive(self, work: Awaitable[T], name: str) -> T:
        """What a request takes long for (an answer by a user) nobody needs any more when the process has ended."""
        assert self._process is not None
        working, ended = asyncio.ensure_future(work), asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait({working, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise self._ended(name, ended.result())
            return working.result()
        finally:
            working.cancel()
            ended.cancel()
            await asyncio.wait({working, ended})

    async def _in_time(self, work: Awaitable[T], deadline: float | None, name: str) -> T:
        """Raises WorkerTimeout at the deadline, or at that of the first watchdog."""
        bark = min(self._watchdogs.values(), default=None)
        which, limit = f"{name} takes too long", deadline
        if bark is not None and (limit is None or bark < limit):
            which, limit = f"watchdog in {name}", bark
        try:
            return await asyncio.wait_for(work, None if limit is None else max(limit - _time(), 0.0))
        except TimeoutError:
            if limit is None or _time() < limit:
                raise  # of the work itself
            raise WorkerTimeout(which) from None

    # The end

    async def close(self) -> None:
        """Ends the process: told to if it listens, else SIGTERM, which closes its devices, then SIGKILL."""
        self._closing = True
        async with self._starting:
            process = self._process
        if process is None:
            return
        if not self._in_step:
            process.write(_encode({"action": "terminate"}))
        for force, limit in ((None, 0.0 if self._in_step else TERMINATE_LIMIT), (process.terminate, TERMINATE_LIMIT),
                             (process.kill, KILL_LIMIT)):
            if force is not None:
                logger.debug("%s: %s process %d", self.source, force.__name__, process.pid)
                force()
            if await _within(process.wait(), limit):
                break
        else:
            logger.error("process %d of %s cannot be killed", process.pid, self.source)
        if self._logs:
            _, unfinished = await asyncio.wait(self._logs, timeout=TERMINATE_LIMIT)
            for task in unfinished:
                task.cancel()


async def _within(work: Awaitable[Any], limit: float) -> bool:
    try:
        await asyncio.wait_for(work, limit)
    except TimeoutError:
        return False
    return True


def _refuse_pause() -> None:
    raise RuntimeError("pause() is for run(): other stages do not hold the pipeline")


def _encode(message: dict[str, Any]) -> bytes:
    return pyon.encode(message).encode() + b"\n"


def _time() -> float:
    return asyncio.get_running_loop().time()


def source(number: int | str, expid: Mapping[str, Any]) -> str:
    """Name in the log: `worker(RID,file)`."""
    file = expid.get("file")
    return f"worker({number},{os.path.basename(file) if file else '<none>'})"
