"""See corelog.coredevice.rtio."""

from corelog.coredevice.rtio import *  # noqa: F403
