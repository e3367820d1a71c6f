from corelog.experiment import *


class Pulses(EnvExperiment):
    """Pulses on the simulated board"""

    def build(self):
        self.setattr_device("core")
        self.setattr_device("ttl0")
        self.setattr_argument("n", NumberValue(10, precision=0, step=1, min=1))

    @kernel
    def run(self):
        self.core.reset()
        delay(50*ms)
        for _ in range(self.n):
            self.ttl0.pulse(1*ms)
            delay(1*ms)
