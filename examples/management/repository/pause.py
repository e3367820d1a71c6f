import logging
import time

from corelog.experiment import *

logger = logging.getLogger(__name__)


class Pause(EnvExperiment):
    """A long run that gives way

    pause() returns at once if there is nothing more urgent. Before it, close the connection to the core device.
    """

    def build(self):
        self.setattr_device("scheduler")
        self.setattr_argument("steps", NumberValue(600, precision=0, step=1, min=1))
        self.setattr_argument("step", NumberValue(100*ms, unit="ms", min=0.0))

    def run(self):
        self.set_dataset("pause.step", 0, broadcast=True)
        try:
            for i in range(self.steps):
                if self.scheduler.check_pause():
                    logger.info("giving way at step %d", i)
                    self.scheduler.pause()
                self.set_dataset("pause.step", i + 1, broadcast=True)
                time.sleep(self.step)
        except TerminationRequested:
            logger.warning("asked to end: all is left in order")
