import inspect

from corelog.experiment import *


def statistics(points, seconds):
    """Runs in the controller: the trace stays there, two numbers come back."""
    trace = controller_driver.trace(points, seconds)
    mean = sum(trace) / points
    return mean, sum((x - mean)**2 for x in trace) / points


class Remote(EnvExperiment):
    """Runs code in the controller

    Bulk data stays beside the driver, and only results travel.
    """

    def build(self):
        self.setattr_device("detector_rexec")
        self.setattr_argument("points", NumberValue(10_000, precision=0, step=1, min=1))

    def run(self):
        self.detector_rexec.add_code(inspect.getsource(statistics))
        mean, variance = self.detector_rexec.call("statistics", self.points, 10*ms)
        self.set_dataset("remote.mean", mean, broadcast=True)
        self.set_dataset("remote.variance", variance, broadcast=True)
