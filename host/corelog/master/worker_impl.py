"""A worker: the process in which one run lives, or in which experiment files are examined (protocols.md E.7).

    python -m corelog.master.worker_impl ADDRESS LOG_LEVEL

It does what the master says through the pipe ADDRESS and writes its log to standard error. `worker_zygote` starts the
same without a new interpreter. When the master has gone, or on SIGTERM, it ends, closing its devices.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from corelog.language import control
from corelog.language.control import TerminationRequested
from corelog.language.managers import DatasetManager, DeviceManager, Managers, ProcessArgumentManager
from corelog.master import worker_examine, worker_files
from corelog.master.worker_link import CCB, Link, MasterDatasetDB, MasterDeviceDB, MasterGone, Scheduler, Watchdog
from sipyco import logs

logger = logging.getLogger("corelog.worker")


class Terminated(SystemExit):
    """SIGTERM came: the run was deleted, or took too long."""


class Run:
    """One run, stage by stage."""

    def __init__(self, link: Link, devices: DeviceManager, order: dict[str, Any]):
        """Stage build."""
        self._rid, self._expid = order["rid"], order["expid"]
        self._start_time, self._run_time = time.time(), 0.0
        self._devices = devices
        self._datasets = DatasetManager(MasterDatasetDB(link))
        devices.virtual_devices = {"ccb": CCB(link), "scheduler": Scheduler(
            link, self._rid, order["pipeline_name"], order["priority"], self._expid)}
        devices.overrides = self._expid.get("devarg_override") or {}
        arguments = ProcessArgumentManager(
            self._expid.get("arguments", {}),
            lambda wanted, title: link.request("get_interactive_arguments", wanted, title))
        if "content" in self._expid:
            module = worker_files.load_content(self._expid["content"])
        else:
            root = order["wd"]
            module = worker_files.load_file(os.path.join(root or "", self._expid["file"]), root)
        kind = worker_files.find_experiment(module, self._expid.get("class_name"))
        self._class_name = kind.__name__
        from corelog.language import results  # loads a library that examining needs not

        self._results = results
        directory = results.folder(self._start_time)
        directory.mkdir(parents=True, exist_ok=True)
        os.chdir(directory)  # files that the experiment writes belong beside its results
        self._experiment = kind(Managers(devices, self._datasets, arguments, {}))
        arguments.check_unprocessed_arguments()

    def prepare(self) -> None:
        self._experiment.prepare()

    def run(self) -> None:
        """The results are written if this fails; otherwise after `analyze`."""
        self._run_time = time.time()
        try:
            try:
                self._experiment.run()
            finally:
                self._devices.notify_run_end()
        except Terminated:
            raise
        except BaseException:  # also if the master has gone: what was measured is there
            self._write_results()
            raise

    def analyze(self) -> None:
        try:
            self._experiment.analyze()
        except Terminated:
            raise
        except BaseException:
            self._write_results()
            raise
        self._write_results()

    def _write_results(self) -> None:
        self._results.write_results(Path(), self._datasets, rid=self._rid, class_name=self._class_name,
                                    expid=self._expid, start_time=self._start_time, run_time=self._run_time)


def serve(link: Link) -> None:
    """Does what the master says until it says `terminate`."""
    run: Run | None = None
    with DeviceManager(MasterDeviceDB(link)) as devices:
        while (order := link.get())["action"] != "terminate":
            try:
                match order["action"]:
                    case "build":
                        run = Run(link, devices, order)
                    case "examine":
                        worker_examine.examine(link, order["files"], order["root"])
                    case "prepare" | "run" | "analyze" as stage if run is not None:
                        getattr(run, stage)()
                    case other:
                        raise ValueError(f"the master wants {other!r}")
            except (MasterGone, Terminated):
                raise
            except TerminationRequested:
                logger.info("terminated as requested")
                link.put({"action": "exception", "terminated": True})
            except (Exception, SystemExit) as error:  # whatever an experiment raises ends it, not us
                logger.error("Terminating with exception (%s: %s)", type(error).__name__, error, exc_info=True)
                link.put({"action": "exception"})
            else:
                link.put({"action": "completed"})


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # devices are being closed; SIGKILL follows if that takes too long
    raise Terminated(1)


def work(address: str, log_level: int) -> None:
    """The worker's life. Ends with SystemExit if it is terminated or the master has gone."""
    from sipyco.pipe_ipc import ChildComm

    signal.signal(signal.SIGTERM, _terminate)
    # Anew, as those of the zygote may have been files; the master reads UTF-8 everywhere.
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(number, "w", closefd=False), "utf-8", "backslashreplace",
                                               line_buffering=True, write_through=True) for number in (1, 2))
    logs.multiline_log_config(log_level)
    link = Link(ChildComm(address))
    control.set_watchdog_factory(lambda seconds: Watchdog(link, seconds))
    serve(link)


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))
