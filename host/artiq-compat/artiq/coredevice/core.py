"""See corelog.coredevice.core."""

from corelog.coredevice.core import *  # noqa: F403
