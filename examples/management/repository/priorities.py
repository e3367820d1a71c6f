import time

from corelog.experiment import *


class Urgent(EnvExperiment):
    """Something that cannot wait"""

    def build(self):
        self.setattr_argument("name", StringValue("urgent"))
        self.set_default_scheduling(priority=10)

    def run(self):
        order = self.get_dataset("priorities.order", [], archive=False)
        self.set_dataset("priorities.order", [*order, self.name], broadcast=True)


class Submit(EnvExperiment):
    """Submits runs of different urgency

    Those that are due run by priority, not in the order in which they were submitted.
    """

    def build(self):
        self.setattr_device("scheduler")
        self.setattr_argument("later", NumberValue(1.0, unit="s", min=0.0))

    def run(self):
        self.set_dataset("priorities.order", [], broadcast=True)
        due = time.time() + self.later
        self.submit("low", priority=1, due_date=due)
        self.submit("high", priority=9, due_date=due)
        self.submit("middle", priority=5, due_date=due)
        self.submit("due later", priority=10, due_date=due + self.later)

    def submit(self, name, **scheduling):
        expid = {**self.scheduler.expid, "class_name": "Urgent", "arguments": {"name": name}}
        self.scheduler.submit(self.scheduler.pipeline_name, expid, **scheduling)
