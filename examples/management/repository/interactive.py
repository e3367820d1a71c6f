from corelog.experiment import *


class Interactive(EnvExperiment):
    """Asks the user during a run

    The run waits until someone answers or cancels.
    """

    def build(self):
        pass

    def run(self):
        try:
            with self.interactive("Alignment") as asked:
                asked.setattr_argument("position", NumberValue(0.0, unit="mm", scale=1e-3), None, "of the mirror")
                asked.setattr_argument("good", BooleanValue(True))
        except CancelledArgsError:
            self.set_dataset("interactive.position", "cancelled", broadcast=True)
        else:
            self.set_dataset("interactive.position", asked.position, broadcast=True)
