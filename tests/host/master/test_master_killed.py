"""The master killed at any moment: what is in its files afterwards."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sipyco import pyon
from support.conditions import eventually
from support.management import Management, management

KILLS = int(os.environ.get("CORELOG_KILLS", "5"))

EXPERIMENT = """
import numpy as np
from corelog.experiment import *

class Busy(EnvExperiment):
    def run(self):
        self.set_dataset("curve", [], broadcast=True, persist=True)
        for i in range(5):
            self.append_to_dataset("curve", i)
        self.set_dataset("big", np.arange(50000.))
"""


async def load(system: Management, rids: list[int], begun: dict[str, float]) -> None:
    """Submits runs and sets persistent datasets to the time, from `begun` on, until the master has gone."""
    expid = {"file": "busy.py", "class_name": "Busy", "arguments": {}, "log_level": 30, "repo_rev": None}

    async def submit() -> None:
        async with system.rpc(3251, "schedule") as schedule:
            while True:
                rids.append(await schedule.submit("main", expid, 0, None, False))
                while len(await schedule.get_status()) > 3:
                    await asyncio.sleep(0.01)

    async def write() -> None:
        async with system.rpc(3251, "dataset_db") as datasets:
            while True:
                now = time.time()
                for key in ("a", "b", "c"):
                    await datasets.set(key, now, True)
                    begun.setdefault(key, now)
                await asyncio.sleep(0.003)

    tasks = [asyncio.create_task(part()) for part in (submit, write)]
    await asyncio.wait(tasks)
    for task in tasks:
        with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
            task.result()


def stored(path: Path) -> dict[str, Any]:
    program = ("import sys, pathlib; from sipyco import pyon; from corelog.language import dataset_db\n"
               "print(pyon.encode(dataset_db.load(pathlib.Path(sys.argv[1]))))")
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    datasets: dict[str, Any] = pyon.decode(done.stdout)
    return datasets


def check_results(path: Path) -> None:
    with h5py.File(path) as file:
        assert file["rid"][()] == int(path.name[:9]) and pyon.decode(file["expid"][()])["file"] == "busy.py"
        # Of a run that lost its master there is what it had measured.
        for key, value in file["datasets"].items():
            np.testing.assert_array_equal(value, np.arange(50000 if key == "big" else len(value)))


@pytest.mark.slow
@pytest.mark.timing
@pytest.mark.timeout(60 + 20 * KILLS)
async def test_killed_master_spoils_no_file_reuses_no_rid_and_loses_no_more_than_a_second(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    rids: list[int] = []
    checked: set[Path] = set()
    for kill in range(KILLS):
        async with management(tmp_path) as system:
            (tmp_path / "repository").mkdir(exist_ok=True)
            (tmp_path / "repository" / "busy.py").write_text(EXPERIMENT)
            (tmp_path / "device_db.py").write_text("device_db = {}\n")
            await system.master.start()
            before, begun = len(rids), dict[str, float]()
            loading = asyncio.create_task(load(system, rids, begun))

            async def working(before: int = before, begun: dict[str, float] = begun) -> bool:
                return len(rids) > before and len(begun) == 3

            await eventually(working, 20, "the first run and datasets")
            await asyncio.sleep(rng.random() * 2)
            killed = time.time()
            system.master.signal(signal.SIGKILL)
            await loading
        datasets = stored(tmp_path / "dataset_db.mdb")
        for key, first in begun.items():
            value = datasets[key][0] if key in datasets else 0.0
            assert max(first, value) > killed - 1, f"kill {kill}: {key} is {killed - value:.2f} s old"
        new = set((tmp_path / "results").rglob("*.h5")) - checked
        for path in new:
            check_results(path)
        checked |= new
        assert int((tmp_path / "last_rid.pyon").read_text()) >= max(rids)
    assert rids == sorted(set(rids))
    results = sorted((tmp_path / "results").rglob("*.h5"))
    assert len({path.name[:9] for path in results}) == len(results), "two files of one RID"
    print(f"{len(rids)} submissions, {len(results)} results")
