"""Which controllers belong on this machine."""

from __future__ import annotations

import asyncio
import socket

# The names of one machine to itself: a master reached at one has controllers at the other, too.
LOCALHOST = {"127.0.0.1", "::1"}


async def addresses(host: str) -> set[str]:
    """The IP addresses of a host name. Raises OSError if it cannot be resolved."""
    if host in LOCALHOST:
        return {host}
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return {str(entry[4][0]).partition("%")[0] for entry in found}


async def bind_address(host: str, host_filter: str) -> str | None:
    """Where a controller of `host` binds if it belongs to this machine, which is `host_filter`; None if it does not.

    Raises OSError if a name cannot be resolved.
    """
    here, there = await addresses(host_filter), await addresses(host)
    if here & there:
        return host_filter
    if here & LOCALHOST and there & LOCALHOST:
        return min(there & LOCALHOST)
    return None
