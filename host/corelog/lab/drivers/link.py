"""A link to a satellite that a switch cuts: its power supply, or a relay (a shutter, an SFP's supply) in the link."""

from collections.abc import Collection

import attr
from labgrid.driver.common import Driver
from labgrid.factory import target_factory
from labgrid.protocol import DigitalOutputProtocol
from labgrid.step import step

from corelog.lab.drivers.core_device import LinkProtocol


@target_factory.reg_driver
@attr.s(eq=False)
class SwitchedLinkDriver(Driver, LinkProtocol):
    """Args:
    link: number of the link
    cut_level: of a digital output, at which the link is cut
    """

    # By name, as the core device has a power supply too.
    bindings = {"switch": Driver.NamedBinding({"PowerProtocol", "DigitalOutputProtocol"})}

    link = attr.ib(validator=[attr.validators.instance_of(int), attr.validators.ge(1)])
    cut_level = attr.ib(default=False, validator=attr.validators.instance_of(bool))

    @property
    def restarts(self) -> bool:  # type: ignore[override]
        return not isinstance(self.switch, DigitalOutputProtocol)

    @property
    def links(self) -> Collection[int]:
        return (self.link,)

    @Driver.check_active
    @step(args=["link"])
    def cut(self, link: int) -> None:
        self._switch(False)

    @Driver.check_active
    @step(args=["link"])
    def restore(self, link: int) -> None:
        self._switch(True)

    def _switch(self, closed: bool) -> None:
        if isinstance(self.switch, DigitalOutputProtocol):
            self.switch.set(self.cut_level != closed)
        elif closed:
            self.switch.on()
        else:
            self.switch.off()
