from corelog.experiment import *


class Collision(EnvExperiment):
    """Collision after the call has returned

    Two events of ttl4 in one coarse RTIO cycle, a second in the future: the second cannot be executed. The call that
    submits them returns at once, long before the gateware finds out; the error arrives in the log.
    """

    def build(self):
        self.setattr_device("core")
        self.setattr_device("ttl4")
        self.setattr_argument("ahead", NumberValue(1.0, unit="s", min=0.02, max=60))

    @kernel
    def run(self):
        self.core.reset()
        delay(self.ahead)
        # To the beginning of a coarse cycle, so that both events are in the same one.
        at_mu(now_mu() // 8 * 8)
        self.ttl4.on()
        delay_mu(1)
        self.ttl4.off()
        self.set_dataset("collision_mu", now_mu())

    def analyze(self):
        print("the call has returned; the collision is still to come")
