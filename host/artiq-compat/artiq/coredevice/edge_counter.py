"""See corelog.coredevice.edge_counter."""

from corelog.coredevice.edge_counter import *  # noqa: F403
