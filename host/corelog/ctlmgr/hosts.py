"""Which controllers belong on this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import socket


async def addresses(host: str) -> set[str]:
    """The IP addresses of a host name. Raises OSError if it cannot be resolved."""
    try:
        return {str(ipaddress.ip_address(host))}
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return {str(entry[4][0]).partition("%")[0] for entry in found}


def _loopback(found: set[str]) -> set[str]:
    return {address for address in found if ipaddress.ip_address(address).is_loopback}


async def bind_address(host: str, host_filter: str | None, local_address: str) -> str | None:
    """Where a controller of `host` binds if it belongs to this machine; None if it does not.

    `host_filter`: this machine, as the user names it, or None: `local_address`, that of the connection to the master.
    If that is a loopback address, the controllers of all loopback addresses are ours.
    Raises OSError if a name cannot be resolved.
    """
    here, there = await addresses(host_filter or local_address), await addresses(host)
    if here & there:
        return host_filter or local_address
    if host_filter is None and _loopback(here) and _loopback(there):
        return min(_loopback(there))
    return None
