"""See corelog.language.scan."""

from corelog.language import scan
from corelog.language.scan import *  # noqa: F403

__all__ = scan.__all__
