"""The master with real workers: readiness, empty experiments through one pipeline, scan of a repository, memory.

    .venv/bin/python tests/bench/bench_master.py [--runs 500] [--files 2000]

Every run is a process of its own, leaves a results file, and is counted as good only if that is there.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from corelog.lab.addresses import free_address
from corelog.lab.program import Program
from sipyco.pc_rpc import AsyncioClient

EXPERIMENT = '''
from corelog.experiment import *
class Number{0}(EnvExperiment):
    """Experiment {0}."""
    def build(self):
        self.setattr_device("core")
        self.setattr_argument("time", NumberValue(1.0, unit="ms"))
        self.setattr_argument("name", StringValue("x"), "group")
        self.setattr_argument("on", BooleanValue(True))
    def run(self):
        for i in range(10): print(i)
'''
READY, RUNS, SCAN = "master ready", "empty experiments, one pipeline", "repository scan"
BUDGETS = {READY: 0.5, RUNS: 20.0, SCAN: 2000.0}
Figures = dict[str, tuple[float, str]]
EMPTY = "from corelog.experiment import *\nclass Empty(EnvExperiment):\n    def run(self): pass\n"


async def rpc(address: str, target: str) -> AsyncioClient:
    client = AsyncioClient()
    await client.connect_rpc(address, 3251, target)
    return client


def resident(pid: int) -> float:
    """MiB."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


async def measure(runs: int, files: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "device_db.py").write_text("device_db = {}")
        (directory / "empty.py").write_text(EMPTY)
        (directory / "repository").mkdir()
        address = free_address()
        master = Program("master", ["corelog", "master", "--bind", address, "--no-localhost-bind"], cwd=directory,
                         ready="ARTIQ master is now ready.")
        ready = []
        for _ in range(3):
            started = time.perf_counter()
            await master.start()
            ready.append(time.perf_counter() - started)
            await master.stop()
        figures: Figures = {READY: (statistics.median(ready), "s")}
        await master.start()
        assert master.process is not None
        try:
            figures |= await measure_runs(address, directory, master.process.pid, runs)
            figures |= await measure_scan(address, directory, files)
        finally:
            await master.stop()
        return figures


async def measure_runs(address: str, directory: Path, pid: int, runs: int) -> Figures:
    schedule = await rpc(address, "schedule")
    for count in (10, runs):
        before, begun = len(list(directory.glob("results/*/*/*.h5"))), time.perf_counter()
        memory = resident(pid)
        for _ in range(count):
            await schedule.submit("main", {"file": "empty.py", "arguments": {}})
        while await schedule.get_status():
            await asyncio.sleep(0.02)
        rate = count / (time.perf_counter() - begun)
        good = len(list(directory.glob("results/*/*/*.h5"))) - before
        assert good == count, f"{good} of {count} runs left results"
    await schedule.close_rpc()
    return {RUNS: (rate, "runs/s"), "memory of the master before runs": (memory, "MiB"),
            f"memory of the master after {runs} runs": (resident(pid), "MiB")}


async def measure_scan(address: str, directory: Path, files: int) -> Figures:
    for number in range(files):
        path = directory / f"repository/{number % 20}/{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(EXPERIMENT.format(number))
    experiments = await rpc(address, "experiment_db")
    figures: Figures = {}
    for name in (SCAN, f"{SCAN} again"):
        begun = time.perf_counter()
        await experiments.scan_repository()
        figures[name] = files / (time.perf_counter() - begun), "files/s"
    await experiments.close_rpc()
    return figures


def figures(runs: int = 500, files: int = 2000) -> Figures:
    """Name -> value, unit."""
    return asyncio.run(measure(runs, files))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--files", type=int, default=2000)
    arguments = parser.parse_args()
    for name, (value, unit) in figures(arguments.runs, arguments.files).items():
        print(f"{name:50} {value:10,.4g} {unit}")
