"""How programs reach the master: its ports, its control targets with a token where one is wanted."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corelog.frontend.common import CommandError
from sipyco.pc_rpc import Client
from sipyco.tools import SimpleSSLConfig

CONTROL, NOTIFY, BROADCAST, LOGGING, CTLMGR = 3251, 3250, 1067, 1066, 3249
TIMEOUT = 30.0
KEEPALIVE = (10, 5, 3)
"""A master whose machine is gone is noticed: seconds of silence, seconds between probes, unanswered probes."""
TOKEN = "CORELOG_TOKEN"


def default_server() -> str:
    """`::1`, or 127.0.0.1 on a machine without IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return "127.0.0.1"
    return "::1"


def token(path: str | None) -> str | None:
    """The user's token, from the file or else the environment. Never from the command line, which others see."""
    if path is None:
        return os.environ.get(TOKEN)
    words = Path(path).read_text().split()
    if len(words) != 1:
        raise CommandError(f"token file {path} does not hold exactly one word")
    return words[0]


@contextlib.contextmanager
def control(host: str, port: int, target: str, ssl: SimpleSSLConfig | None, token: str | None) -> Iterator[Any]:
    """A target of the master's control port. Calls may take as long as they do; connecting may not."""
    client = Client(host, port, target, ssl_config=ssl, connect_timeout=TIMEOUT)
    try:
        if token is not None and hasattr(client, "authenticate"):
            client.authenticate(token)
        yield client
    finally:
        client.close_rpc()
