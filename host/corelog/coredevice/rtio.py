"""RTIO operations as kernels use them, and the driver of a channel that has no driver of its own."""

from __future__ import annotations

from typing import Any, SupportsIndex

from corelog.coredevice.core import DeviceManager
from corelog.language.core import kernel, timeline


def rtio_output(target: int, data: int) -> None:
    """Submits an event at the cursor; target: channel << 8 | address."""
    timeline().output(target >> 8, target & 0xFF, data)


def rtio_input_timestamp(timeout_mu: SupportsIndex, channel: int) -> int:
    """Timestamp of the channel's next input event, or -1 if none comes until `timeout_mu`."""
    event = timeline().input(channel, timeout_mu)
    return -1 if event is None else event[0]


def rtio_input_timestamped_data(timeout_mu: SupportsIndex, channel: int) -> tuple[int, int]:
    """(timestamp, data) of the channel's next input event, or (-1, 0) if none comes until `timeout_mu`."""
    event = timeline().input(channel, timeout_mu)
    return (-1, 0) if event is None else event


class RawOutput:
    """An RTIO output channel, written as it is (device database: arguments `channel`)."""

    def __init__(self, dmgr: DeviceManager, channel: int, core_device: str = "core"):
        self.core: Any = dmgr.get(core_device)
        self.channel = channel

    @kernel
    def write(self, data: int, address: int = 0) -> None:
        """Submits `data` (u32) to the address at the cursor. Does not move the cursor."""
        timeline().output(self.channel, address, data)
