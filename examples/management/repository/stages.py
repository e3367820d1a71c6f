from corelog.experiment import *


class Calibration(HasEnvironment):
    """A part of an experiment, with arguments of its own."""

    def build(self, name):
        self.name = name
        self.setattr_argument(f"{name}_offset", NumberValue(0.0), name)

    def prepare(self):
        self.offset = getattr(self, f"{self.name}_offset")


class Stages(EnvExperiment):
    """The stages of an experiment

    prepare() of one run and analyze() of another overlap with run() of a third: they must not touch hardware.
    """

    def build(self):
        self.setattr_device("scheduler")
        self.x = Calibration(self, "x")
        self.y = Calibration(self, "y")

    def prepare(self):
        self.call_child_method("prepare")
        # a dataset of the master that is read is kept in the results too, in the group `archive`
        self.center = self.get_dataset("resonance.center", 80*MHz)

    def run(self):
        self.set_dataset("stages.sum", self.center + self.x.offset + self.y.offset)
        self.set_dataset("stages.rid", self.scheduler.rid)

    def analyze(self):
        self.set_dataset("stages.double", 2 * self.get_dataset("stages.sum"))
