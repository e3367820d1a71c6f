"""Where the simulated board is built from and to."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FIRMWARE = ROOT / "firmware"
BUILD = ROOT / "build"
SIM = BUILD / "sim"
GENERATED = SIM / "generated"
HARNESS = Path(__file__).parent / "harness"


class BuildError(Exception):
    """The board could not be built. The message is one line that says what to do or which log file to read."""
