"""Who may do what through the control port, and a record of who did. Without tokens and audit nothing of this runs.

A client tells its token by the method `authenticate(token)`, which every target then has; other clients see nothing
new. With TLS a client's certificate can stand for a token, so that those who know nothing of tokens have a role too.
Connections with neither have the role that the guard gives to their address: from this machine all, by default, from
elsewhere none. Tokens protect the control port only: notifications, broadcasts and the log input are
open to whoever reaches them, unless TLS is used.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import inspect
import ipaddress
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corelog.master.audit import Audit

try:
    from sipyco._rpc_server import CERTIFICATE, PEER
except ImportError:  # the ecosystem's own does not say who is connected: then nobody is on this machine
    CERTIFICATE = PEER = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

CHECK_EVERY = 1.0
"""Seconds in which a change of the token file takes effect, also on open connections."""


CERTIFICATE_MARK = "certificate:"


class Role(enum.IntEnum):
    """Each may do what those before it may."""

    NONE = 0
    VIEW = 1
    SUBMIT = 2  # whoever may submit an experiment runs code as the master's user
    ADMIN = 3


VIEW = {"check_pause", "check_termination", "explain", "get", "get_device_db", "get_metadata", "get_name",
        "get_satellite_cpu_target", "get_status", "ping", "read", "root", "status"}
SUBMIT = {"cancel", "delete", "examine", "list_directory", "request_termination", "scan_repository",
          "scan_repository_async", "set", "submit", "supply", "update"}
ADMIN_ONLY = {"save", "scan", "terminate"}


def needed(method: str) -> Role:
    """The role that a method of any target needs; the highest if it is not known."""
    return Role.VIEW if method in VIEW else Role.SUBMIT if method in SUBMIT else Role.ADMIN


class TokenFileError(Exception):
    """The token file cannot be used; the text says why."""


@dataclass(frozen=True)
class Account:
    name: str
    role: Role


def digest(token: str) -> str:
    """What the file holds of a token. Tokens are long and random, so that a plain hash says nothing about them."""
    return hashlib.sha256(token.encode()).hexdigest()


def certificate_key(der: bytes) -> str:
    """What the file holds of a certificate: the usual fingerprint."""
    return CERTIFICATE_MARK + hashlib.sha256(der).hexdigest()


def new_token() -> str:
    return secrets.token_urlsafe(32)


def parse(text: str) -> dict[str, Account]:
    """Accounts by key, from lines `NAME ROLE KEY`; `#` begins a comment. Raises TokenFileError."""
    accounts = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 3 or words[1] not in ("view", "submit", "admin") or \
                len(words[2].removeprefix(CERTIFICATE_MARK)) != 64:
            raise TokenFileError(f"line {number} is not NAME view|submit|admin SHA256")
        accounts[words[2].lower()] = Account(words[0], Role[words[1].upper()])
    return accounts


class TokenFile:
    """Raises TokenFileError if the file cannot be used. Later changes of it are followed; broken ones are not."""

    def __init__(self, path: str | Path, clock: Callable[[], float] = time.monotonic):
        self._path = Path(path)
        self._clock = clock
        self._stamp = self._stat()
        self._accounts = self._read()
        self._checked = clock()

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise TokenFileError(f"{self._path}: {error.strerror}") from None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> dict[str, Account]:
        try:
            return parse(self._path.read_text(encoding="utf-8"))
        except (TokenFileError, UnicodeDecodeError) as error:
            raise TokenFileError(f"{self._path}: {error}") from None
        except OSError as error:
            raise TokenFileError(f"{self._path}: {error.strerror}") from None

    def account(self, key: str) -> Account | None:
        """Of a token's digest or a certificate_key, as the file is now."""
        now = self._clock()
        if now - self._checked >= CHECK_EVERY:
            self._checked = now
            try:
                stamp = self._stat()
                if stamp != self._stamp:
                    self._accounts, self._stamp = self._read(), stamp
            except TokenFileError as error:
                logger.error("the tokens stay as they were: %s", error)
        return self._accounts.get(key)


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
            raise PermissionError("the master does not know this token")
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
