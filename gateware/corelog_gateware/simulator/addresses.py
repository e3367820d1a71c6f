"""Loopback addresses for boards, whose ports are fixed."""

import random
import socket

PORTS = (1380, 1381)


def is_free(address: str) -> bool:
    """Whether both ports of ``address`` can be listened on."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen(1)
            except OSError:
                return False
    return True


def free_address() -> str:
    """A loopback address (never 127.0.0.x, which people choose) whose board ports are free now."""
    for _ in range(100):
        address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        if is_free(address):
            return address
    raise OSError("no free loopback address found")
