"""The one error of every parser here."""


class ProtocolError(Exception):
    """The peer's bytes break the protocol; `str()` says how. The connection is of no further use."""
