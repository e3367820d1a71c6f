"""Names of RTIO channels, from the device database to the configuration key `device_map` of the core device.

Format (protocols.md B.7): u32 count, then per entry u32 channel (destination << 16 | channel), u32 length, UTF-8 name,
little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

# Module prefixes of drivers whose `channel` argument is an RTIO channel.
DRIVERS = ("corelog.coredevice.", "artiq.coredevice.")
# Drivers that name their RTIO channel otherwise.
CHANNEL_ARGUMENT = {"ad9914": "bus_channel", "grabber": "channel_base", "phaser": "channel_base"}


def channel_names(device_db: Mapping[str, Any]) -> dict[int, str]:
    """RTIO channel -> name, in the order of the device database. Aliases do not count, and of several devices on a
    channel the first gives the name."""
    names: dict[int, str] = {}
    for name, entry in device_db.items():
        if not isinstance(entry, dict) or entry.get("type") != "local":
            continue
        module, arguments = entry.get("module"), entry.get("arguments")
        if not isinstance(module, str) or not isinstance(arguments, dict) or not module.startswith(DRIVERS):
            continue
        channel = arguments.get(CHANNEL_ARGUMENT.get(module.rsplit(".", 1)[-1], "channel"))
        if isinstance(channel, int) and not isinstance(channel, bool) and 0 <= channel < 1 << 32:
            names.setdefault(channel, name)
    return names


def encode(names: Mapping[int, str]) -> bytes:
    """The value of the configuration key for these channel names."""
    parts = [struct.pack("<I", len(names))]
    for channel, name in names.items():
        text = name.encode()
        parts.append(struct.pack("<II", channel, len(text)) + text)
    return b"".join(parts)


def from_device_db(device_db: Mapping[str, Any]) -> bytes:
    """The value of the configuration key for a device database."""
    return encode(channel_names(device_db))
