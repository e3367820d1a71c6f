"""What a kernel call can raise. Texts are those of the ecosystem (channel as four or more hexadecimal digits)."""

from corelog.wire.session import EXCEPTION_OVERFLOW, EXCEPTION_UNDERFLOW, EXCEPTION_UNREACHABLE, Exceptional


class CoreException(Exception):
    """The core device cannot be reached, or refused what was asked."""


class RTIOUnderflow(Exception):
    """An event was submitted too close to, or after, its time; it and what followed in the kernel was not played."""


class RTIOOverflow(Exception):
    """An input event was lost since the channel was last read, because its FIFO was full."""


class RTIODestinationUnreachable(Exception):
    """The channel's DRTIO destination is not up."""


def rtio_exception(reply: Exceptional, channel_name: str, *, is_input: bool) -> Exception:
    """The exception that a session reply stands for; `is_input`: whether the operation that raised it reads."""
    channel = f"0x{reply.channel:04x}:{channel_name}"
    if reply.kind == EXCEPTION_UNDERFLOW:
        return RTIOUnderflow(f"RTIO underflow at channel {channel}, {reply.timestamp} mu, slack {reply.slack} mu")
    if reply.kind == EXCEPTION_OVERFLOW:
        return RTIOOverflow(f"RTIO input overflow on channel {channel}")
    if reply.kind == EXCEPTION_UNREACHABLE:
        where = f"input, on channel {channel}" if is_input else f"output, at channel {channel}, {reply.timestamp} mu"
        return RTIODestinationUnreachable(f"RTIO destination unreachable, {where}")
    return CoreException(f"the core device reports exception {reply.kind}, unknown here, at channel {channel}")
