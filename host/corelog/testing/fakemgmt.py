"""How the fake device answers management requests, for itself and for its satellites."""

from __future__ import annotations

import asyncio
import struct
import zlib
from typing import TYPE_CHECKING

from corelog.wire import mgmt
from corelog.wire.frames import Level
from corelog.wire.mgmt import Capability, DebugKind, Identity, Reply, Request

if TYPE_CHECKING:
    from corelog.testing.fakedevice import FakeDevice

FIELD_LIMIT = 16 << 20
_FIELDS = {Request.FLASH: 1, Request.CONFIG_READ: 1, Request.CONFIG_WRITE: 2, Request.CONFIG_REMOVE: 1}
_DEBUG_BYTES = 19
_SUCCESS, _ERROR = bytes([Reply.SUCCESS]), bytes([Reply.ERROR])


class HangUp(Exception):
    """The fake device closes the connection."""


async def read_fields(code: int, reader: asyncio.StreamReader) -> list[bytes]:
    """What follows the code of a request. Raises HangUp for a field that is too long."""
    if code == Request.DEBUG:
        return [await reader.readexactly(_DEBUG_BYTES)]
    fields = []
    for _ in range(_FIELDS.get(Request(code), 0) if code in list(Request) else 0):
        (length,) = struct.unpack("<I", await reader.readexactly(4))
        if length > FIELD_LIMIT:
            raise HangUp
        fields.append(await reader.readexactly(length))
    return fields


def answer(device: FakeDevice, code: int, fields: list[bytes], destination: int) -> bytes:
    """The reply's bytes. A destination that is not known or cannot be reached gives Error. Raises HangUp."""
    if destination not in device.boots or (destination in device.down and code != Request.GET_LOG):
        return _ERROR
    if code == Request.GET_LOG:
        return bytes([Reply.LOG_CONTENT]) + mgmt.blob(device.log_text(destination))
    if code == Request.CLEAR_LOG:
        device.text = b""
        device.boots[destination].kept.clear()
        return _SUCCESS
    if code == Request.REBOOT:
        return _reboot(device, destination)
    if code == Request.DEBUG_ALLOCATOR:
        return b""
    if code == Request.FLASH:
        image = fields[0]
        if len(image) < 4 or struct.unpack("<I", image[-4:])[0] != zlib.crc32(image[:-4]):
            return _ERROR
        device.flashed.append(image)
        return _reboot(device, destination)
    if code == Request.IDENTIFY:
        capabilities = Capability.SUBSCRIBE | Capability.DEBUG | (Capability.DRTIO if len(device.boots) > 1 else 0)
        return mgmt.identity_reply(Identity(
            device.board_id + destination, device.boots[destination].boot_id, device.now(destination), capabilities,
            "fake;gateware", "fake;firmware"))  # fmt: skip
    if code == Request.DEBUG:
        return _debug(device, fields[0], destination)
    return _config(device, code, fields, destination)


def _reboot(device: FakeDevice, destination: int) -> bytes:
    reboot = (lambda: device.reboot_satellite(destination)) if destination else device.reboot
    asyncio.get_running_loop().call_soon(reboot)
    return bytes([Reply.REBOOT_IMMINENT])


def _config(device: FakeDevice, code: int, fields: list[bytes], destination: int) -> bytes:
    config = device.satellite_config.setdefault(destination, {}) if destination else device.config
    key = fields[0].decode() if fields else ""
    if code == Request.CONFIG_READ:
        return bytes([Reply.CONFIG_DATA]) + mgmt.blob(config[key]) if key in config else _ERROR
    if code == Request.CONFIG_WRITE:
        config[key] = fields[1]
    elif code == Request.CONFIG_REMOVE:
        config.pop(key, None)
    elif code == Request.CONFIG_ERASE:
        config.clear()
    else:
        raise HangUp
    return _SUCCESS


def _debug(device: FakeDevice, fields: bytes, destination: int) -> bytes:
    kind, level, _, length, _, count, warn_every, _ = struct.unpack("<BBBHHIII", fields)
    if kind == DebugKind.PANIC:
        if destination:  # it is asked through the core device, which lives
            device.reboot_satellite(destination, panic="panic at fake: on request")
            return _SUCCESS
        device.reboot(panic="panic at fake: on request")
        raise HangUp
    if kind == DebugKind.FLOOD:
        device.flood(count, level, length, warn_every, destination)
    elif kind == DebugKind.BENCH:
        device.write(Level.INFO, "runtime::bench", f"log_write: median {count} worst {count} cycles", destination)
    else:
        return _ERROR
    return _SUCCESS
