"""The file of those who may use the control port: lines `NAME ROLE KEY`, made by `corelog token`.

A key is the hash of a token, or the fingerprint of a certificate.
"""

from __future__ import annotations

import enum
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
