"""Where the simulated boards are built from and to."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FIRMWARE = ROOT / "firmware"
BUILD = ROOT / "build"
HARNESS = Path(__file__).parent / "harness"


@dataclass(frozen=True)
class Variant:
    """A kind of board: its ``name`` in ``targets/sim.py``, the ``package`` of its firmware, the ``prefix`` of its
    model's C++ classes."""

    name: str
    package: str
    prefix: str

    @property
    def directory(self) -> Path:
        return BUILD / self.name

    @property
    def generated(self) -> Path:
        """Constants for firmware and harness."""
        return self.directory / "generated"

    @property
    def firmware(self) -> Path:
        """ELF file."""
        return self.directory / "firmware.elf"


BOARD = Variant("sim", "runtime", "Vcorelog")
MASTER = Variant("sim-master", "runtime", "Vmaster")
SATELLITE = Variant("sim-satellite", "satman", "Vsatellite")
ALONE = (BOARD,)
TREE = (MASTER, SATELLITE)


class BuildError(Exception):
    """The board could not be built. The message is one line that says what to do or which log file to read."""
