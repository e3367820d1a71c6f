from corelog.experiment import *


class Busy(EnvExperiment):
    """An event for a channel that is still busy

    slow0 takes 64 coarse cycles for an event; the second comes after 32.
    """

    def build(self):
        self.setattr_device("core")
        self.setattr_device("slow0")

    @kernel
    def run(self):
        self.core.reset()
        delay(100*ms)
        self.slow0.write(1)
        delay(32*self.core.coarse_ref_period)
        self.slow0.write(2)
