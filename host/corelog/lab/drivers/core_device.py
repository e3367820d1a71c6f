"""What an environment says of a core device, and what its drivers can do with it beside labgrid's own protocols."""

import abc
from collections.abc import Collection
from pathlib import Path

import attr
from labgrid.factory import target_factory
from labgrid.resource.common import Resource

BOARDS = ("kasli", "kc705")


@target_factory.reg_resource
@attr.s(eq=False)
class CoreDevice(Resource):
    """A core device in a lab, with the satellites behind it.

    Args:
        address: where it answers in the network
        device_db: its device database, with a line `core_addr = ...` (`corelog ddb-template` makes one)
        board: what it is: one of BOARDS
        images: folder of what it is flashed with (`top.bit`, `bootloader.bin`, `runtime.fbi`), or a target's build tree
        satellites: how many are behind it; their DRTIO destinations are 1 to this number
        chain: each satellite behind the one before, not all at the core device
    Paths are relative to the environment file.
    """

    address = attr.ib(validator=attr.validators.instance_of(str))
    device_db = attr.ib(validator=attr.validators.instance_of(str))
    board = attr.ib(default="kasli", validator=attr.validators.in_(BOARDS))
    images = attr.ib(default=None, validator=attr.validators.optional(attr.validators.instance_of(str)))
    satellites = attr.ib(
        default=0, validator=[attr.validators.instance_of(int), attr.validators.ge(0), attr.validators.le(255)])
    chain = attr.ib(default=False, validator=attr.validators.instance_of(bool))

    simulated = False

    def path(self, name: str) -> Path:
        """A path of the environment file."""
        env = self.target.env
        return Path(env.config.resolve_path(name) if env else name)


class FlashProtocol(abc.ABC):
    """Writes a core device's gateware and firmware, and starts them; the configuration stays."""

    @abc.abstractmethod
    def flash(self) -> None:
        """Returns when all is written and verified."""

    @property
    @abc.abstractmethod
    def firmware_image(self) -> Path:
        """The firmware that it writes."""


class LinkProtocol(abc.ABC):
    """Cuts links to satellites. Link n is the one between satellite n and the board before it."""

    # Whether a satellite starts anew when its link comes back.
    restarts: bool = False

    @property
    @abc.abstractmethod
    def links(self) -> Collection[int]:
        """The links that it can cut."""

    @abc.abstractmethod
    def cut(self, link: int) -> None:
        """Nothing passes from now on."""

    @abc.abstractmethod
    def restore(self, link: int) -> None:
        """As before the cut."""
