from corelog.experiment import *


class Arguments(EnvExperiment):
    """Arguments of every kind

    Clients show fields for them, in groups and with tooltips; what is submitted is checked.
    """

    def build(self):
        self.setattr_argument("number", NumberValue(0.1, unit="ms", min=0.0, max=1.0, precision=4), "Numbers")
        self.setattr_argument("count", NumberValue(3, precision=0, step=1, min=1), "Numbers", "how often")
        self.setattr_argument("switch", BooleanValue(True))
        self.setattr_argument("choice", EnumerationValue(["fast", "slow"], "fast"))
        self.setattr_argument("title", StringValue("no title"))
        self.setattr_argument("anything", PYONValue({"list": [1, 2]}), None, "any value that PYON can hold")
        self.setattr_argument("scan", Scannable([RangeScan(0.0, 1e-3, 5), NoScan(0.0)], unit="us"), "Numbers")
        self.set_default_scheduling(priority=0, pipeline_name="main", flush=False)

    def run(self):
        for name in ("number", "count", "switch", "choice", "title", "anything"):
            self.set_dataset(f"arguments.{name}", repr(getattr(self, name)), broadcast=True)
        self.set_dataset("arguments.scan", list(self.scan), broadcast=True)
