"""`corelog token`: the file of those who may use a master's control port."""

from __future__ import annotations

import argparse
import os
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from corelog.frontend.common import CommandError, command
from corelog.master.tokens import TokenFileError, certificate_key, digest, new_token, parse


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog token", description="Makes and removes the tokens that `corelog master --tokens FILE` accepts. "
        "Roles: view asks, submit also submits and ends runs and sets datasets, admin does everything. FILE holds "
        "only hashes; a running master follows its changes.")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="show where an error arose")
    parser.add_argument("file", metavar="FILE", type=Path)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a token for someone; prints it, this once")
    add.add_argument("name", metavar="NAME")
    add.add_argument("role", metavar="ROLE", choices=["view", "submit", "admin"], help="view, submit or admin")
    add.add_argument("--certificate", metavar="PEM", type=Path,
                     help="let this certificate stand for the token, for a master and clients with --ssl; prints none")
    actions.add_parser("list", help="print names and roles")
    actions.add_parser("remove", help="remove all tokens of someone").add_argument("name", metavar="NAME")
    return parser


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    try:
        parse(text)
    except TokenFileError as error:
        raise CommandError(f"{path}: {error}") from error
    return text.splitlines()


def _owner(line: str) -> str | None:
    words = line.partition("#")[0].split()
    return words[0] if words else None


def _der(path: Path) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(path.read_text(encoding="ascii").strip())
    except ValueError as error:
        raise CommandError(f"{path} is not a file with one certificate (PEM): {error}") from error


def _write(path: Path, lines: Sequence[str]) -> None:
    """At once: a master that reads meanwhile sees the old file or the new one."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


@command("corelog token")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    args = get_argparser().parse_args(argv)
    lines = _lines(args.file)
    if args.action == "list":
        for line in lines:
            if _owner(line) is not None:
                print(*line.split()[:2])
        return 0
    if len(args.name.split()) != 1 or "#" in args.name:
        raise CommandError(f"{args.name!r} is not a name: one word without #")
    if args.action == "add":
        if args.certificate is not None:
            _write(args.file, [*lines, f"{args.name} {args.role} {certificate_key(_der(args.certificate))}"])
            return 0
        token = new_token()
        _write(args.file, [*lines, f"{args.name} {args.role} {digest(token)}"])
        print(token)
        return 0
    if not any(_owner(line) == args.name for line in lines):
        raise CommandError(f"{args.file} has no token of {args.name}")
    _write(args.file, [line for line in lines if _owner(line) != args.name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
