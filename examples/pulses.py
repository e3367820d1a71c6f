from corelog.experiment import *


class Pulses(EnvExperiment):
    """Pulses on several channels

    A square wave on ttl0 while ttl1 to ttl3 pulse one after the other, `n` times.
    """

    def build(self):
        self.setattr_device("core")
        for i in range(4):
            self.setattr_device(f"ttl{i}")
        self.setattr_argument("n", NumberValue(10, precision=0, step=1, min=1))

    @kernel
    def run(self):
        self.core.reset()
        delay(50*ms)
        for _ in range(self.n):
            with parallel:
                self.ttl0.pulse(1500*us)
                with sequential:
                    self.ttl1.pulse(500*us)
                    self.ttl2.pulse(500*us)
                    self.ttl3.pulse(500*us)
            delay(1500*us)
