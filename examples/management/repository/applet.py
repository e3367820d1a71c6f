from corelog.experiment import *


class Applet(EnvExperiment):
    """Opens a plot on all dashboards

    A client control broadcast: dashboards that are open act on it, nobody else.
    """

    def build(self):
        self.setattr_device("ccb")

    def run(self):
        self.ccb.issue("create_applet", "resonance",
                       "${artiq_applet}plot_xy resonance.response --x resonance.frequency", group="examples")
