"""Loopback addresses: every set-up has the same ports, on an address of its own."""

import random
import socket

# Board, master, controller manager.
PORTS = (1380, 1381, 1066, 1067, 1068, 3249, 3250, 3251)


def address_is_free(address: str) -> bool:
    """Whether all ports of a set-up can be listened on."""
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
    """A loopback address (never 127.0.0.x, which people choose) whose ports are free now. Raises OSError."""
    choose = random.SystemRandom()  # tests that run side by side may have the same seed
    for _ in range(100):
        address = f"127.{choose.randint(1, 254)}.{choose.randint(1, 254)}.{choose.randint(1, 254)}"
        if address_is_free(address):
            return address
    raise OSError("no free loopback address found in 100 tries")
