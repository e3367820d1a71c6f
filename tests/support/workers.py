"""Workers with a master whose answers a test gives."""

import asyncio
import contextlib
import logging
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from corelog.master.worker import Worker, source
from corelog.master.worker_process import Processes
from support.conditions import eventually

HEAD = """
import logging, os, random, signal, subprocess, sys, time
from corelog.experiment import *
"""


class Bench:
    """Workers with a master whose answers the test gives."""

    def __init__(self, processes: Processes, directory: Path):
        self.processes = processes
        self.directory = directory
        self.datasets: dict[str, Any] = {}
        self.said: list[tuple[Any, ...]] = []
        self.handlers: dict[str, Callable[..., Any]] = {
            "get_device_db": lambda: {}, "get_device": self.get_device, "get_dataset": lambda key: self.datasets[key],
            "get_dataset_metadata": lambda key: {}, "update_dataset": self.update,
            "ccb_issue": lambda *args, **kwargs: self.said.append((args, kwargs)),
            "scheduler_check_pause": lambda rid: rid == 7,
        }
        self.devices: dict[str, Any] = {}
        self.workers: list[Worker] = []

    def get_device(self, key: str, resolve_alias: bool) -> Any:
        return self.devices[key]

    def update(self, mod: dict[str, Any]) -> None:
        self.datasets[mod["key"]] = mod["value"]

    async def build(self, text: str, *, limit: float = 30.0, log_level: int = logging.WARNING, content: bool = False,
                    **expid: Any) -> Worker:
        text = HEAD + textwrap.dedent(text)
        expid = {"class_name": None, "arguments": {}, **expid}
        if content:
            expid["content"] = text
        else:
            (self.directory / "exp.py").write_text(text)
            expid["file"] = str(self.directory / "exp.py")
        worker = Worker(self.processes, self.handlers, source(7, expid))
        self.workers.append(worker)
        await worker.build({"rid": 7, "pipeline_name": "main", "wd": None, "expid": expid, "priority": 3},
                           log_level, limit)
        return worker

    async def run(self, worker: Worker) -> None:
        for stage in ("prepare", "run", "analyze"):
            assert await worker.do(stage)
        await worker.close()

    def result(self) -> Path:
        [file] = self.directory.glob("results/*/*/*.h5")
        return file


@contextlib.asynccontextmanager
async def bench(kind: Any, directory: Path) -> AsyncIterator[Bench]:
    own = Bench(kind(), directory)
    try:
        yield own
    finally:
        for worker in own.workers:
            await worker.close()
        await own.processes.close()


async def endless(own: Bench, build: str = "pass", run: str = "pass") -> tuple[Worker, asyncio.Task[bool]]:
    """A worker in a run that goes on for ever, and the run; `build` and `run` are lines that it does before."""
    worker = await own.build(f"""
        class Endless(EnvExperiment):
            def build(self):
                self.setattr_device("ccb")
                {build}
            def run(self):
                {run}
                self.ccb.issue("runs")
                while True: time.sleep(0.01)
        """)
    step = asyncio.create_task(worker.do("run"))

    async def runs() -> bool:
        return (("runs",), {}) in own.said

    await eventually(runs, 10, "the run")
    return worker, step
