"""What experiments import: `from artiq.experiment import *`."""

from corelog import experiment
from corelog.experiment import *  # noqa: F403

__all__ = experiment.__all__
