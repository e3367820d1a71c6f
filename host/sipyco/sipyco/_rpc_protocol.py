"""What the RPC clients have in common: the lines they send and what they make of the answers."""

import json
import ssl
from collections.abc import Callable
from typing import Any

from sipyco import pyon, pyon_v1
from sipyco.packed_exceptions import raise_packed_exc

BANNER = b"ARTIQ pc_rpc\n"


REFUSED = (ssl.SSLError, ConnectionResetError, BrokenPipeError)
"""How a server that refuses a client's certificate, or wants TLS, may look to the client: it has hung up."""


class AutoTarget:
    """Stands for the only target of a server."""


class IncompatibleServer(Exception):
    """The server does not have the wanted target, or is no RPC server."""


class Session:
    """The state of a client's side of a connection, without the connection."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.description: str | None = None
        self.features: list[str] = []
        self.selected: str | None = None
        self.methods: set[str] | None = None
        self._encode: Callable[[Any], str] = pyon_v1.encode
        self._decode: Callable[[str], Any] = pyon_v1.decode

    def identify(self, line: bytes) -> None:
        """Take the server's first line. IncompatibleServer if it is none."""
        try:
            identification = json.loads(_complete(line))
            self.targets = [str(name) for name in identification["targets"]]
            self.description = identification["description"]
            self.features = list(identification.get("features", []))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise IncompatibleServer("the server's answer is not that of an RPC server") from None

    def select(self, name: Any) -> bytes:
        """The selection line for a target name or AutoTarget.

        ValueError if there is no telling which, IncompatibleServer if there is no such target.
        """
        valid = " ".join(sorted(self.targets))
        if name is AutoTarget:
            if len(self.targets) > 1:
                raise ValueError(f"Server has multiple targets: {valid}")
            if not self.targets:
                raise IncompatibleServer("the server has no target")
            name = self.targets[0]
        elif name not in self.targets:
            raise IncompatibleServer(f"valid target name(s): {valid}")
        if self.selected is not None:
            raise RuntimeError("a target was already selected on this connection")
        self.selected = name
        if "pyon_v2" in self.features:
            self._encode, self._decode = pyon.encode, pyon.decode
            return f"{name} pyon_v2\n".encode()
        return f"{name}\n".encode()

    def take_methods(self, line: bytes) -> None:
        """Take the method set that follows a selection."""
        methods = self._decode(_complete(line).decode())
        if not isinstance(methods, set | frozenset | dict):  # {} is how an old server writes the empty set
            raise IncompatibleServer("the server did not send its methods")
        self.methods = {name for name in methods if isinstance(name, str)}

    def request(self, fields: dict[str, Any]) -> bytes:
        """A request line."""
        return self._encode(fields).encode("ascii") + b"\n"

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """The request line of a call."""
        return self.request({"action": "call", "name": name, "args": args, "kwargs": kwargs})

    def result(self, line: bytes) -> Any:
        """What a reply returns; raises what it raises, EOFError if there was none, ValueError if it is malformed."""
        reply = self._decode(_complete(line).decode())
        status = reply.get("status") if isinstance(reply, dict) else None
        if status == "ok":
            return reply.get("ret")
        if status == "failed":
            raise_packed_exc(reply.get("exception"))
        raise ValueError(f"unknown status in the reply of the server: {status!r:.100}")


def _complete(line: bytes) -> bytes:
    if not line.endswith(b"\n"):
        raise EOFError("Connection closed by remote host")
    return line


def check_method(client: Any, name: str, session: Session | None) -> None:
    if session is None or session.methods is None or name not in session.methods:
        raise AttributeError(f"{type(client).__name__!r}: the server has no method {name!r}")
