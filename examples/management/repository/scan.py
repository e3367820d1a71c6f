import random

import numpy as np

from corelog.experiment import *


class Resonance(EnvExperiment):
    """Scan over a simulated resonance

    The result of analyze() is kept as a persistent dataset, as a calibration would be.
    """

    def build(self):
        self.setattr_argument("frequency", Scannable(CenterScan(80*MHz, 4*MHz, 0.2*MHz), unit="MHz"))
        self.setattr_argument("noise", NumberValue(0.01, min=0.0, max=1.0))

    def prepare(self):
        self.frequencies = np.array(list(self.frequency))
        self.random = random.Random(0)

    def run(self):
        self.set_dataset("resonance.frequency", self.frequencies, unit="MHz", broadcast=True)
        self.set_dataset("resonance.response", np.zeros(len(self.frequencies)), broadcast=True)
        for i, frequency in enumerate(self.frequencies):
            response = 1 / (1 + ((frequency - 80.3*MHz) / (0.5*MHz))**2) + self.random.gauss(0, self.noise)
            self.mutate_dataset("resonance.response", i, response)

    def analyze(self):
        response = np.clip(self.get_dataset("resonance.response"), 0, None)**4
        center = float((self.frequencies * response).sum() / response.sum())
        self.set_dataset("resonance.center", center, unit="MHz", precision=3, broadcast=True, persist=True)
