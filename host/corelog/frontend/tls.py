"""The option --ssl CERT KEY PEER of the programs, and others of its kind."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from corelog.frontend.common import CommandError
from sipyco.tools import SimpleSSLConfig


def config(files: Sequence[str] | None, option: str = "--ssl") -> SimpleSSLConfig | None:
    """For the option's value. The files are looked at now, since later it would seem to be the network that fails.

    Raises CommandError.
    """
    if not files:
        return None
    for path in files:
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise CommandError(f"{option}: {path}: {error.strerror or error}") from error
    found = SimpleSSLConfig(*files)
    try:
        found.create_client_context()
    except ssl.SSLError as error:
        raise CommandError(f"{option} {' '.join(files)}: these are not a certificate, its key and the certificates of "
                           f"peers (PEM files): {error.reason or error}") from error
    return found
