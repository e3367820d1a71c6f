from corelog.experiment import *


class Loopback(EnvExperiment):
    """Counts its own pulses

    ttl8 of the simulated board is wired to ttl7.
    """

    def build(self):
        self.setattr_device("core")
        self.setattr_device("ttl7")
        self.setattr_device("ttl8")
        self.setattr_argument("n", NumberValue(5, precision=0, step=1, min=1, max=50))

    @kernel
    def run(self):
        self.core.reset()
        delay(50*ms)
        self.ttl7.off()
        delay(100*us)
        with parallel:
            gate_end = self.ttl8.gate_rising(1*ms + self.n*200*us)
            with sequential:
                delay(500*us)
                for _ in range(self.n):
                    self.ttl7.pulse(100*us)
                    delay(100*us)
        count = self.ttl8.count(gate_end)
        self.set_dataset("count", count)
