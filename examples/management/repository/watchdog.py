import time

from corelog.experiment import *


class Watchdog(EnvExperiment):
    """A run that takes too long

    The master ends the run when the block takes longer than said; what else is in the pipeline goes on.
    """

    def build(self):
        self.setattr_argument("limit", NumberValue(0.5, unit="s", min=0.0))
        self.setattr_argument("takes", NumberValue(100.0, unit="s", min=0.0))

    def run(self):
        with watchdog(self.limit):
            time.sleep(self.takes)
