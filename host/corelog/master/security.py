"""Who may do what through a control port, the master's or a controller manager's, and a record of who did.

Without tokens and audit nothing of this runs.

A client tells its token by the method `authenticate(token)`, which every target then has; other clients see nothing
new. With TLS a client's certificate can stand for a token, so that those who know nothing of tokens have a role too.
Connections with neither have the role that the guard gives to their address: from this machine all, by default, from
elsewhere none. Tokens protect the control ports only: notifications, broadcasts and the log input are
open to whoever reaches them, unless TLS is used.
"""

from __future__ import annotations

import functools
import inspect
import ipaddress
from collections.abc import Callable
from typing import Any

from corelog.master.audit import Audit
from corelog.master.tokens import Account, Role, TokenFile, certificate_key, digest

try:
    from sipyco._rpc_server import CERTIFICATE, PEER
except ImportError:  # the ecosystem's own does not say who is connected: then nobody is on this machine
    CERTIFICATE = PEER = None  # type: ignore[assignment]


VIEW = {"check_pause", "check_termination", "explain", "get", "get_device_db", "get_metadata", "get_name",
        "get_satellite_cpu_target", "get_status", "ping", "read", "root", "status"}
SUBMIT = {"cancel", "delete", "examine", "list_directory", "request_termination", "retry_now",
          "scan_repository", "scan_repository_async", "set", "submit", "supply", "update"}
ADMIN_ONLY = {"save", "scan", "terminate"}


def needed(method: str) -> Role:
    """The role that a method of any target needs; the highest if it is not known."""
    return Role.VIEW if method in VIEW else Role.SUBMIT if method in SUBMIT else Role.ADMIN


class Guard:
    """tokens: who is who; None: all are admin. audit: where it is recorded. loopback: role of connections from this
    machine without a token.
    """

    def __init__(self, tokens: TokenFile | None = None, audit: Audit | None = None, loopback: Role = Role.ADMIN):
        self.tokens, self.audit, self.loopback = tokens, audit, loopback

    def targets(self, targets: dict[str, Any]) -> dict[str, Any]:
        """RPC targets that let through what is allowed, an object for each connection."""
        return {name: functools.partial(_Session, self, name, target) for name, target in targets.items()}

    def close(self) -> None:
        if self.audit is not None:
            self.audit.close()

    def without_token(self, peer: str | None) -> Account:
        if self.tokens is None:
            return Account("anyone", Role.ADMIN)
        if peer is not None and is_loopback(peer.rpartition(":")[0]):
            return Account("loopback", self.loopback)
        return Account("anonymous", Role.NONE)


def is_loopback(host: str) -> bool:
    """Whether an IP address is of this machine alone."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


class _Session:
    """A target as one connection sees it."""

    def __init__(self, guard: Guard, name: str, target: Any):
        if callable(target):
            target = target()
        self.__doc__ = inspect.getdoc(target)
        self._guard = guard
        self._peer = PEER.get() if PEER is not None else None
        certificate = CERTIFICATE.get() if CERTIFICATE is not None else None
        self._certificate = None if certificate is None else certificate_key(certificate)
        self._key: str | None = None
        for method in dir(target):
            function = None if method.startswith("_") else getattr(target, method)
            if callable(function):
                setattr(self, method, self._guarded(name, method, function))
        if guard.tokens is not None:
            self.authenticate = self._authenticate

    def _authenticate(self, token: str) -> str:
        """From now on this connection has the role of the token, which is returned."""
        assert self._guard.tokens is not None
        key = digest(token) if isinstance(token, str) else ""
        account = self._guard.tokens.account(key)
        if account is None:
            self._record("anonymous", "authenticate", (), {}, "refused")
            raise PermissionError("this port does not know this token")
        self._key = key
        return account.role.name.lower()

    def _account(self) -> Account:
        tokens = self._guard.tokens
        if self._key is not None and tokens is not None:
            return tokens.account(self._key) or Account("revoked token", Role.NONE)
        certified = tokens.account(self._certificate) if tokens is not None and self._certificate is not None else None
        if certified is not None:
            return certified
        return self._guard.without_token(self._peer)

    def _record(self, who: str, call: str, args: Any, kwargs: Any, outcome: str, result: Any = None) -> None:
        if self._guard.audit is not None:
            self._guard.audit.record(self._peer or "unknown", who, call, args, kwargs, outcome, result)

    def _guarded(self, target: str, method: str, function: Callable[..., Any]) -> Callable[..., Any]:
        need, name = needed(method), f"{target}.{method}"

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            account = self._account()
            if account.role < need:
                self._record(account.name, name, args, kwargs, "denied")
                raise PermissionError(f"{name} needs the role {need.name.lower()}, which {account.name} does not have "
                                      f"(clients give their token with --token-file)")
            if self._guard.audit is None or need is Role.VIEW:
                return function(*args, **kwargs)
            record = functools.partial(self._record, account.name, name, args, kwargs)
            try:
                result = function(*args, **kwargs)
            except Exception as error:
                record(f"failed: {type(error).__name__}: {error}"[:200])
                raise
            if inspect.isawaitable(result):
                return _recorded(result, record)
            record("ok", result)
            return result

        return call


async def _recorded(result: Any, record: Callable[..., None]) -> Any:
    try:
        value = await result
    except BaseException as error:
        record(f"failed: {type(error).__name__}: {error}"[:200])
        raise
    record("ok", value)
    return value
