"""See corelog.language.units."""

from corelog.language import units
from corelog.language.units import *  # noqa: F403

__all__ = units.__all__
