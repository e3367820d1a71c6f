"""Code of a client, run in the controller beside its driver, so that bulk data stays there and only results travel.

A controller that offers it has a second RPC target, conventionally ``<name>_rexec``, which makes a `RemoteExecServer`
for each connection (`simple_rexec_server_loop` sets that up). Whoever reaches that port can run any code with the
rights of the controller: offer it only where that is wanted.
"""

import functools
import hashlib
import itertools
import keyword
import linecache
import logging
import weakref
from collections.abc import Iterable
from typing import Any

from sipyco._rexec_watch import Watch
from sipyco._rpc_server import PEER
from sipyco.pc_rpc import simple_server_loop

__all__ = ["RemoteExecServer", "connect_global_rpc", "simple_rexec_server_loop"]

logger = logging.getLogger(__name__)

_sources = itertools.count(1)


class RemoteExecServer:
    """Runs code in a namespace of its own, a copy of `initial_namespace`.

    Each is off unless asked for: `time_limit` (s) for each call of `add_code` and `call`; `audit`, a log record with
    the code and its sender; `log_output`, what the code prints goes to the log, line by line; `show_source`,
    tracebacks show the lines of the code.

    The limit interrupts Python code wherever it is, and blocking system calls if the server runs in the main thread
    of a POSIX system. The code may leave things half done; it sees no exception that it could catch as `Exception`.
    """

    def __init__(self, initial_namespace: dict[str, Any], *, time_limit: float | None = None, audit: bool = False,
                 log_output: bool = False, show_source: bool = False) -> None:
        self.namespace = dict(initial_namespace)
        # Some libraries look up the module in which a function was defined, by name.
        self.namespace["__name__"] = __name__
        self._watch = Watch(time_limit, log_output)
        self._audit = audit
        self._show_source = show_source
        self._peer = PEER.get()

    def add_code(self, code: str) -> None:
        """Run source text in the namespace: definitions and statements."""
        name = f"<remote code {next(_sources)} from {self._peer}>"
        if self._audit:
            digest = hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
            logger.info("%s, SHA-256 %s:\n%s", name, digest, code)
        if self._show_source:
            # Without a time stamp the lines are never compared with a file. They go when the connection does.
            linecache.cache[name] = (len(code), None, code.splitlines(True), name)
            weakref.finalize(self, linecache.cache.pop, name, None)
        self._watch.run("the remote code", exec, compile(code, name, "exec", dont_inherit=True), self.namespace)

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the namespace by its name. KeyError if there is none."""
        if self._audit:
            logger.info("%s calls %s", self._peer, function)
        return self._watch.run(f"the remote call of {function}", self.namespace[function], *args, **kwargs)


def simple_rexec_server_loop(target_name: str, target: Any, host: str | Iterable[str] | None, port: int,
                             description: str | None = None, *, time_limit: float | None = None, audit: bool = False,
                             log_output: bool = False, show_source: bool = False) -> None:
    """Like `pc_rpc.simple_server_loop` for one `target`, offering remote execution as ``<target_name>_rexec`` too.

    The code finds the target as `controller_driver`, and `controller_initial_namespace`, the dictionary that all
    connections start from and may add to. The keywords are those of `RemoteExecServer`.
    """
    initial_namespace: dict[str, Any] = {"controller_driver": target}
    initial_namespace["controller_initial_namespace"] = initial_namespace
    rexec = functools.partial(RemoteExecServer, initial_namespace, time_limit=time_limit, audit=audit,
                              log_output=log_output, show_source=show_source)
    simple_server_loop({target_name: target, target_name + "_rexec": rexec}, host, port, description)


def connect_global_rpc(controller_rexec: Any, host: str | None = None, port: int = 3251, target: str = "dataset_db",
                       name: str = "dataset_db", *, timeout: float | None = None) -> None:
    """Give the remote code an RPC client called `name`, by default of the master's dataset database.

    `controller_rexec` is the client of a ``_rexec`` target. The client is made in the controller, once for all
    connections. `host` defaults to our end of the connection, since the experiment runs where the master does;
    `timeout` (s) is that of the client. ValueError if `name` is not an identifier.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"not a name for a variable: {name!r}")
    if host is None:
        host = controller_rexec.get_local_host()
    controller_rexec.add_code(_CONNECT.format(
        name=name, key=repr(name), host=repr(str(host)), port=int(port), target=repr(str(target)),
        timeout=repr(None if timeout is None else float(timeout))))


_CONNECT = """\
if {key} not in controller_initial_namespace:
    from sipyco.pc_rpc import Client
    controller_initial_namespace[{key}] = Client({host}, {port}, {target}, timeout={timeout})
    del Client
{name} = controller_initial_namespace[{key}]
"""
