"""Experiments and scripts written for ARTIQ, run with the package of its names."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPAT = Path(__file__).parents[3] / "host" / "artiq-compat"

EXPERIMENT = '''
import numpy as np
from artiq.experiment import *
from artiq.coredevice.exceptions import RTIOUnderflow as Same, DMAError
from artiq.language.core import kernel, TerminationRequested, now_mu
from artiq.language.environment import ProcessArgumentManager, is_public_experiment, NumberValue as Number
from artiq.language.types import TInt32
from artiq.language.units import ms
from artiq.language.scan import ScanObject
import artiq.language as language
assert Same is RTIOUnderflow and Number is language.NumberValue
assert TerminationRequested is language.TerminationRequested

class Flop(EnvExperiment):
    """Flopping"""
    def build(self):
        self.setattr_device("scheduler")
        self.setattr_device("core")
        self.setattr_argument("points", Scannable(RangeScan(0, 10*ms, 3), unit="ms"), "Scan", "the times")
        self.setattr_argument("n", NumberValue(4, ndecimals=0, step=1))

    def run(self) -> TNone:
        self.set_dataset("flop.t", np.full(len(self.points), np.nan), broadcast=True)
        for i, t in enumerate(self.points):
            self.mutate_dataset("flop.t", i, t)
        self.set_dataset("core", type(self.core).__module__)

if __name__ == "__main__":
    from artiq.frontend.artiq_run import run
    run()
'''

SCRIPT = '''
import sys
from artiq.language.environment import ProcessArgumentManager
from artiq.master.databases import DatasetDB, DeviceDB
from artiq.master.worker_db import DatasetManager, DeviceManager
from artiq.tools import file_import, get_experiment

class Scheduler: rid = 5

devices = DeviceManager(DeviceDB("device_db.py"), virtual_devices={"scheduler": Scheduler()})
datasets = DatasetManager(DatasetDB("dataset_db.mdb"))
experiment = get_experiment(file_import("flop.py"))((devices, datasets, ProcessArgumentManager({"n": 2}), {}))
experiment.prepare(); experiment.run(); experiment.analyze()
devices.close_devices()
print(experiment.n, datasets.get("flop.t").tolist(), datasets.get("core"))
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flop.py").write_text(EXPERIMENT)
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "device_db.py").write_text(
        'device_db = {"core": {"type": "local", "module": "artiq.coredevice.core", "class": "Core",\n'
        '                      "arguments": {"host": "192.0.2.1", "ref_period": 1e-9}}}\n')
    return tmp_path


def python(folder: Path, *arguments: str) -> str:
    result = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=60,
                            env={**os.environ, "PYTHONPATH": str(COMPAT)})
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.skipif(importlib.util.find_spec("artiq") is not None, reason="ARTIQ itself is installed")
def test_experiment_of_artiq_runs_unchanged_as_a_program_and_by_a_script(folder: Path) -> None:
    expected = "core: corelog.coredevice.core\nflop.t: [0.    0.005 0.01 ]\n"
    assert python(folder, "flop.py", "n=3") == expected
    assert python(folder, "-m", "artiq.frontend.artiq_run", "-c", "Flop", "flop.py") == expected
    assert python(folder, "-m", "corelog.frontend.run", "flop.py") == expected
    assert python(folder, "script.py") == "2 [0.0, 0.005, 0.01] corelog.coredevice.core\n"
