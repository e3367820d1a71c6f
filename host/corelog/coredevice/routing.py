"""The DRTIO routing table (docs/drtio.md): for each destination the hops on the way there.

As a file, and as configuration key `routing_table` of the core device: 256 destinations, 32 bytes each. Byte n is the
hop that the board of rank n takes: its downstream port + 1, or 0 for its own RTIO core, where the way ends; 0xff: none.
"""

from __future__ import annotations

from collections.abc import Sequence

DESTINATIONS = 256
RANKS = 32
SIZE = DESTINATIONS * RANKS
NONE = 0xFF
LONGEST = 30


class RoutingError(ValueError):
    """Not a routing table, or not a route; `str()` is one line."""


class RoutingTable:
    """`RoutingTable()` has no routes."""

    def __init__(self, data: bytes = bytes([NONE]) * SIZE) -> None:
        """From the bytes of a file. Raises RoutingError if they are not as many as a table has."""
        if len(data) != SIZE:
            raise RoutingError(f"a routing table has {SIZE} bytes, this has {len(data)}")
        self._data = bytearray(data)

    def encode(self) -> bytes:
        """The bytes of the file."""
        return bytes(self._data)

    def hops(self, destination: int) -> list[int]:
        """The way to a destination, up to the first hop that is none."""
        row = self._row(destination)
        return list(row[: row.index(NONE)] if NONE in row else row)

    def set(self, destination: int, hops: Sequence[int]) -> None:
        """Raises RoutingError for a destination or hops that a table cannot hold."""
        if not 0 <= destination < DESTINATIONS:
            raise RoutingError(f"destination {destination} is not one of 0 to {DESTINATIONS - 1}")
        wrong = [hop for hop in hops if not 0 <= hop < NONE]
        if wrong:
            raise RoutingError(f"hop {wrong[0]} is not one of 0 to {NONE - 1}")
        if len(hops) > LONGEST:
            raise RoutingError(f"{len(hops)} hops are too many: at most {LONGEST}")
        at = destination * RANKS
        self._data[at : at + RANKS] = bytes(hops).ljust(RANKS, bytes([NONE]))

    def routes(self) -> dict[int, list[int]]:
        """destination -> hops, of those that have any."""
        return {d: hops for d in range(DESTINATIONS) if (hops := self.hops(d))}

    def problems(self) -> list[str]:
        """What is wrong with the routes, a line each; empty if all are well."""
        routes = self.routes()
        found = [] if routes.get(0) == [0] else ["destination 0 must have the route 0: it is the core device itself"]
        ways: dict[tuple[int, ...], int] = {}
        for destination, hops in routes.items():
            name = f"destination {destination}"
            if 0 not in hops:
                found.append(f"{name}: the way does not end at an RTIO core: hop 0 is missing at its end")
            elif hops.index(0) != len(hops) - 1:
                found.append(f"{name}: the way ends with hop 0 at rank {hops.index(0)}, but more hops follow")
            if len(hops) > LONGEST:
                found.append(f"{name}: {len(hops)} hops, at most {LONGEST}")
            other = ways.setdefault(tuple(hops), destination)
            if other != destination:
                found.append(f"{name}: the same way as destination {other}, so the same RTIO core")
        for destination in range(DESTINATIONS):
            row = self._row(destination)
            if NONE in row and row[row.index(NONE) :].strip(bytes([NONE])):
                found.append(f"destination {destination}: there are hops behind the end of the way (rank "
                             f"{row.index(NONE)})")  # fmt: skip
        for destination, hops in routes.items():
            for rank in range(1, len(hops) - 1):
                if (*hops[:rank], 0) not in ways:
                    found.append(f"destination {destination}: the board on its way at {_text(hops[:rank])} has no "
                                 "destination, so that its own log and RTIO core cannot be reached")  # fmt: skip
        return found

    def __str__(self) -> str:
        """The routes, a line each."""
        return "\n".join(f"{d:3d}: {_text(hops)}" for d, hops in self.routes().items())

    def _row(self, destination: int) -> bytes:
        return bytes(self._data[destination * RANKS : (destination + 1) * RANKS])


def _text(hops: Sequence[int]) -> str:
    return " ".join(f"{hop:3d}" for hop in hops)
