"""The words of kernels."""

from corelog.language import control, core, kernels
from corelog.language.control import *  # noqa: F403
from corelog.language.core import *  # noqa: F403
from corelog.language.kernels import *  # noqa: F403

__all__ = control.__all__ + core.__all__ + kernels.__all__
