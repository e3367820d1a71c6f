"""See corelog.language.types."""

from corelog.language import types
from corelog.language.types import *  # noqa: F403

__all__ = types.__all__
