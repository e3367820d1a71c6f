"""labgrid resources, drivers and strategy for core devices: `imports: [corelog.lab.drivers]` in an environment file."""

from corelog.lab.drivers.core_device import CoreDevice, FlashProtocol, LinkProtocol
from corelog.lab.drivers.flash import CorelogFlashDriver
from corelog.lab.drivers.link import SwitchedLinkDriver
from corelog.lab.drivers.simulated import SimulatedBoard, SimulatedBoardDriver
from corelog.lab.drivers.strategy import CoreDeviceStrategy, Status

__all__ = [
    "CoreDevice", "CoreDeviceStrategy", "CorelogFlashDriver", "FlashProtocol", "LinkProtocol", "SimulatedBoard",
    "SimulatedBoardDriver", "Status", "SwitchedLinkDriver"]
