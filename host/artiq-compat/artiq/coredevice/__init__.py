"""Drivers, as far as Corelog has them."""

from artiq.coredevice.exceptions import CacheError, RTIODestinationUnreachable, RTIOOverflow, RTIOUnderflow

__all__ = ["CacheError", "RTIODestinationUnreachable", "RTIOOverflow", "RTIOUnderflow"]
