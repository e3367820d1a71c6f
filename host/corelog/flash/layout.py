"""Which board has what where in its flash. The gateware's targets take their addresses from here too."""

from __future__ import annotations

from dataclasses import dataclass

SECTOR = 0x10000
FLASH_SIZE = 16 << 20
# in the order of their addresses, which is the order in which they are written
GATEWARE, BOOTLOADER, STORAGE, FIRMWARE = REGIONS = ("gateware", "bootloader", "storage", "firmware")
FIRMWARE_MAX = 4 << 20  # the bootloader accepts no longer payload


class LayoutError(Exception):
    """No such target or region; `str()` is one line."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the flash, from `start` to before `end`."""

    name: str
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Target:
    """A board as the flash tools see it.

    part: how the part name in its bitstreams begins. idcode: that of its FPGA, without the revision. board: OpenOCD's
    file for it. proxy: the bitstream that connects JTAG to the flash.
    """

    name: str
    part: str
    idcode: int
    board: str
    proxy: str
    bootloader: int
    storage: int
    firmware: int

    def region(self, name: str) -> Region:
        """Raises LayoutError."""
        starts = dict(zip(REGIONS, (0, self.bootloader, self.storage, self.firmware), strict=True))
        if name not in starts:
            raise LayoutError(f"{name!r} is no region of the flash: there are {', '.join(REGIONS)}")
        end = min((start for start in starts.values() if start > starts[name]), default=FLASH_SIZE)
        return Region(name, starts[name], end)


TARGETS = {
    target.name: target
    for target in (
        Target("kasli", "7a100t", 0x3631093, "board/kasli.cfg", "bscan_spi_xc7a100t.bit", 0x400000, 0x440000, 0x450000),
        Target("kc705", "7k325t", 0x3651093, "board/kc705.cfg", "bscan_spi_xc7k325t.bit", 0xAF0000, 0xB30000, 0xB40000),
    )
}


def find(name: str) -> Target:
    """The target of that name. Raises LayoutError."""
    if name not in TARGETS:
        raise LayoutError(f"{name!r} is no target: there are {', '.join(TARGETS)}")
    return TARGETS[name]


def of_part(part: str) -> Target:
    """The target whose FPGA a bitstream's part name means. Raises LayoutError."""
    for target in TARGETS.values():
        if part.startswith(target.part):
            return target
    boards = ", ".join(f"{t.name} ({t.part})" for t in TARGETS.values())
    raise LayoutError(f"the bitstream is for a {part or 'nameless part'}; known are {boards}")
