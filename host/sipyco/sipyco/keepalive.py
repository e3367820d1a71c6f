"""TCP keepalive: notice a peer that vanished without closing (power, cable, NAT) on a connection that is idle."""

import asyncio
import logging
import socket
import sys
from typing import Any

__all__ = ["async_open_connection", "create_connection", "set_keepalive"]

logger = logging.getLogger(__name__)


def set_keepalive(sock: Any, after_idle: int | None = None, interval: int | None = None,
                  max_fails: int | None = None) -> None:
    """Switch keepalive on: first probe after `after_idle` s, then every `interval` s, dead after `max_fails` losses.

    None leaves the system's value. Windows takes both times or neither (ValueError) and ignores `max_fails`.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "win32":
        if (after_idle is None) != (interval is None):
            raise ValueError("on Windows give both after_idle and interval, or neither")
        if after_idle is not None and interval is not None:
            sock.ioctl(socket.SIO_KEEPALIVE_VALS, (1, after_idle * 1000, interval * 1000))
        return
    idle_option = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
    options = ((idle_option, after_idle), (getattr(socket, "TCP_KEEPINTVL", None), interval),
               (getattr(socket, "TCP_KEEPCNT", None), max_fails))
    for option, value in options:
        if value is None:
            continue
        if option is None:
            logger.warning("keepalive times cannot be set on %s; the system's are used", sys.platform)
            return
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


async def async_open_connection(host: str, port: int, *args: Any, after_idle: int | None = None,
                                interval: int | None = None, max_fails: int | None = None,
                                **kw: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """asyncio.open_connection with keepalive on. Further arguments go to asyncio.open_connection."""
    reader, writer = await asyncio.open_connection(host, port, *args, **kw)
    try:
        set_keepalive(writer.get_extra_info("socket"), after_idle, interval, max_fails)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


def create_connection(host: str, port: int, *args: Any, after_idle: int | None = None, interval: int | None = None,
                      max_fails: int | None = None, **kw: Any) -> socket.socket:
    """socket.create_connection with keepalive on. Further arguments go to socket.create_connection."""
    sock = socket.create_connection((host, port), *args, **kw)
    try:
        set_keepalive(sock, after_idle, interval, max_fails)
    except BaseException:
        sock.close()
        raise
    return sock
