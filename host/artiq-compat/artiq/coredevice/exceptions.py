"""Exceptions of kernels. Those defined here are never raised: experiments may name them."""

from corelog.coredevice.exceptions import CoreException, RTIODestinationUnreachable, RTIOOverflow, RTIOUnderflow

__all__ = ["CacheError", "ClockFailure", "CompileError", "CoreException", "DMAError", "I2CError", "InternalError",
           "RTIODestinationUnreachable", "RTIOOverflow", "RTIOUnderflow", "SPIError", "SubkernelError",
           "UnwrapNoneError"]


class InternalError(Exception):
    """ARTIQ's runtime failed."""


class CacheError(Exception):
    """A value of the core device's cache is in use."""


class DMAError(Exception):
    """A DMA sequence cannot be played."""


class SubkernelError(Exception):
    """A subkernel failed."""


class ClockFailure(Exception):
    """A clock could not be set up."""


class I2CError(Exception):
    """An I2C bus does not answer."""


class SPIError(Exception):
    """An SPI bus does not answer."""


class UnwrapNoneError(Exception):
    """An option without a value was unwrapped."""


class CompileError(Exception):
    """A kernel cannot be compiled."""
