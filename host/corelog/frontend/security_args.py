"""The options of master and controller manager about who may do what."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from corelog.frontend.common import CommandError
from corelog.master.audit import Audit
from corelog.master.security import Guard, is_loopback
from corelog.master.tokens import Role, TokenFile, TokenFileError

logger = logging.getLogger(__name__)


def security_args(parser: argparse.ArgumentParser) -> None:
    """Adds --tokens, --tokens-on-loopback and --audit-log."""
    group = parser.add_argument_group("security", "for connections to the control port")
    group.add_argument("--tokens", metavar="FILE",
                       help="clients from other machines need a token (corelog token makes them)")
    group.add_argument("--tokens-on-loopback", action="store_true", help="those of this machine too")
    group.add_argument("--audit-log", metavar="FILE", help="record who asked for what, rotated at midnight")


def guard_from_args(args: argparse.Namespace) -> Guard | None:
    """None if the options ask for nothing. Raises CommandError."""
    if args.tokens_on_loopback and args.tokens is None:
        raise CommandError("--tokens-on-loopback needs --tokens FILE")
    if args.tokens is None and args.audit_log is None:
        return None
    try:
        tokens = TokenFile(args.tokens) if args.tokens is not None else None
        audit = Audit(args.audit_log) if args.audit_log is not None else None
    except TokenFileError as error:
        raise CommandError(f"tokens: {error}") from error
    except OSError as error:
        raise CommandError(f"audit log {args.audit_log}: {error.strerror or error}") from error
    return Guard(tokens, audit, Role.NONE if args.tokens_on_loopback else Role.ADMIN)


def warn_if_open(args: argparse.Namespace, bind: Sequence[str] | None, danger: str = "run any code here",
                 tls: str = "--ssl") -> None:
    """Says what other machines can do: by default run experiments, thus any code. `tls`: the option against it."""
    encrypted = getattr(args, tls.strip("-").replace("-", "_")) is not None
    if not encrypted and args.tokens is None and not (
            bind is not None and all(address == "localhost" or is_loopback(address) for address in bind)):
        logger.warning("whoever reaches port %d of this machine can %s: use %s or --tokens, unless the network is "
                       "yours alone", args.port_control, danger, tls)
