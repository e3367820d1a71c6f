from corelog.experiment import *


class Detector(EnvExperiment):
    """Counts photons with a controller

    The driver's methods are called over the network, wherever the controller runs.
    """

    def build(self):
        self.setattr_device("detector")
        self.setattr_device("detector_shutter")
        self.setattr_argument("exposure", NumberValue(100*ms, unit="ms", min=0.0))

    def run(self):
        self.detector_shutter.set(False)
        dark = self.detector.count(self.exposure)
        self.detector_shutter.set(True)
        light = self.detector.count(self.exposure)
        self.set_dataset("detector.dark", dark, broadcast=True)
        self.set_dataset("detector.light", light, broadcast=True)
