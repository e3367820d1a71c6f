from corelog.experiment import *


class Failure(EnvExperiment):
    """An exception in a run

    The log shows it with the run's RID, and the results file has what was set until then.
    """

    def build(self):
        self.setattr_argument("divisor", NumberValue(0, precision=0, step=1))

    def run(self):
        self.set_dataset("failure.before", 1)
        self.set_dataset("failure.quotient", 1 // self.divisor)
