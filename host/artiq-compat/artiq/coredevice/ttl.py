"""See corelog.coredevice.ttl."""

from corelog.coredevice.ttl import *  # noqa: F403
