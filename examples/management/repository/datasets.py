import numpy as np

from corelog.experiment import *


class Datasets(EnvExperiment):
    """Datasets that change while one looks

    Broadcast ones are shown to all clients, persistent ones are kept; all that are set here are in the results file.
    """

    def build(self):
        self.setattr_argument("points", NumberValue(20, precision=0, step=1, min=1, max=10_000))

    def run(self):
        starts = self.get_dataset("datasets.starts", 0, archive=False)
        self.set_dataset("datasets.starts", starts + 1, broadcast=True, persist=True)
        self.set_dataset("datasets.time", 0.0, unit="ms", precision=1, broadcast=True)
        self.set_dataset("datasets.signal", np.full(self.points, np.nan), unit="V", broadcast=True)
        self.set_dataset("datasets.steps", [], broadcast=True)
        for i in range(self.points):
            self.mutate_dataset("datasets.signal", i, np.sin(2 * np.pi * i / self.points))
            self.append_to_dataset("datasets.steps", i)
            self.set_dataset("datasets.time", (i + 1) * 5*ms, unit="ms", precision=1, broadcast=True)
