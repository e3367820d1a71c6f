"""Command-line options that every controller and server shares, and what to make of them."""

import argparse
import logging
from collections.abc import Iterable

from sipyco.logs import multiline_log_config

__all__ = ["bind_address_from_args", "init_logger_from_args", "simple_network_args", "verbosity_args"]


def verbosity_args(parser: argparse.ArgumentParser) -> None:
    """Add ``-v`` and ``-q``, each as often as wanted."""
    group = parser.add_argument_group("verbosity")
    group.add_argument("-v", "--verbose", default=0, action="count", help="increase logging level of the program")
    group.add_argument("-q", "--quiet", default=0, action="count", help="decrease logging level of the program")


def init_logger_from_args(args: argparse.Namespace) -> None:
    """Log to stderr in the process line syntax; WARNING and above, each ``-v`` or ``-q`` shifting it by a level."""
    multiline_log_config(level=logging.WARNING + args.quiet * 10 - args.verbose * 10)


def simple_network_args(parser: argparse.ArgumentParser, default_port: int | Iterable[tuple[str, str, int]],
                        ssl: bool = False) -> None:
    """Add the options of a server: ``--bind``, ``--no-localhost-bind``, and ``-p/--port`` with its default.

    For a server of several ports `default_port` lists (name, purpose, default) and each becomes ``--port-NAME``.
    With `ssl`, ``--ssl CERT KEY PEER`` too.
    """
    group = parser.add_argument_group("network server")
    group.add_argument("--bind", default=[], action="append", metavar="ADDR",
                       help="additionally listen on this host name or address; use * for all interfaces")
    group.add_argument("--no-localhost-bind", default=False, action="store_true",
                       help="do not listen on localhost implicitly")
    if isinstance(default_port, int):
        group.add_argument("-p", "--port", default=default_port, type=int, help="TCP port to listen on (%(default)d)")
    else:
        for name, purpose, default in default_port:
            group.add_argument(f"--port-{name}", default=default, type=int,
                               help=f"TCP port for {purpose} connections (%(default)d)")
    if ssl:
        group.add_argument("--ssl", nargs=3, metavar=("CERT", "KEY", "PEER"), default=None,
                           help="use TLS with own certificate and key, accepting the peers whose certificates are in "
                                "PEER (all PEM files)")


def bind_address_from_args(args: argparse.Namespace) -> list[str] | None:
    """The `host` for a server's start: None for all interfaces, else a list of addresses, possibly empty."""
    if "*" in args.bind:
        return None
    return ([] if args.no_localhost_bind else ["127.0.0.1", "::1"]) + args.bind
