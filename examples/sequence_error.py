from corelog.experiment import *


class SequenceError(EnvExperiment):
    """More descending timestamps than there are lanes

    Events may be submitted in any order as long as a lane takes them: each goes back in time, so each needs a lane of
    its own, and there are 8.
    """

    def build(self):
        self.setattr_device("core")
        self.setattr_device("ttl0")
        self.setattr_argument("n", NumberValue(9, precision=0, step=1, min=1, max=1000))

    @kernel
    def run(self):
        self.core.reset()
        delay(200*ms)
        for _ in range(self.n):
            self.ttl0.on()
            delay(-10*us)
