"""`corelog client`: talks to the master. The command line; what the actions do is in client_actions and client_show."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import sys
from collections.abc import Sequence
from ssl import SSLError
from typing import Any

from corelog.frontend import client_actions, client_show, show_log, tls
from corelog.frontend.client_show import log_line
from corelog.frontend.common import CommandError, command, describe, port
from corelog.frontend.master_link import BROADCAST, CONTROL, NOTIFY, default_server
from sipyco import common_args
from sipyco.pc_rpc import IncompatibleServer

__all__ = ["get_argparser", "log_line", "main"]


class _Intermixed(argparse.ArgumentParser):
    """Options may stand between and after the positional arguments, whatever their number."""

    _inner = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._inner:
            return super().parse_known_args(args, namespace)
        self._inner = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._inner = False


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="corelog client", description="Talks to the master.")
    parser.add_argument("--version", action="version", version=f"corelog {importlib.metadata.version('corelog')}")
    _connection(parser, default=True)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=_Intermixed)
    _submission(actions)
    delete = actions.add_parser("delete", help="end a run, or take it from the schedule")
    delete.add_argument("-g", dest="gracefully", action="store_true",
                        help="ask a running experiment to end at its next pause() instead of killing it")
    explain = actions.add_parser("explain", help="say what a run waits for")
    for action in (delete, explain):
        action.add_argument("rid", metavar="RID", type=int)
    _datasets(actions)
    supply = actions.add_parser("supply-interactive", help="answer a run's request for arguments")
    supply.add_argument("rid", metavar="RID", type=int)
    supply.add_argument("arguments", metavar="KEY=PYON", nargs="*")
    cancel = actions.add_parser("cancel-interactive", help="cancel a run's request for arguments")
    cancel.add_argument("rid", metavar="RID", type=int)
    show = actions.add_parser("show", help="show what the master has, live, until Ctrl-C")
    show.add_argument("what", choices=["log", "ccb", *client_show.TABLES])
    show.add_argument("--once", action="store_true", help="print it once and end (not log, ccb)")
    show_log.add_options(show)
    actions.add_parser("scan-devices", help="let the master read its device database again")
    scan = actions.add_parser("scan-repository", help="let the master read its repository again")
    scan.add_argument("--async", dest="no_wait", action="store_true", help="do not wait until it is done")
    scan.add_argument("revision", metavar="REV", nargs="?", help="use this revision from now on (default: the newest)")
    listing = actions.add_parser("ls", help="list a directory of the master's machine")
    listing.add_argument("directory", metavar="DIR", nargs="?", default="")
    actions.add_parser("terminate", help="end the master")
    for action in actions.choices.values():
        _connection(action, default=False)
    return parser


def _connection(parser: argparse.ArgumentParser, *, default: bool) -> None:
    """Understood before and after the action; the actions' copies have no default that could hide the first."""
    def suppressed(value: Any) -> Any:
        return value if default else argparse.SUPPRESS

    parser.add_argument("-s", "--server", default=suppressed(default_server()), metavar="HOST",
                        help="the master (default: ::1)")
    parser.add_argument("--port", type=port, default=suppressed(None),
                        help=f"default: {CONTROL}, for show {NOTIFY}, for show log and show ccb {BROADCAST}, "
                             f"for the stored log {CONTROL}")
    parser.add_argument("--ssl", nargs=3, metavar=("CERT", "KEY", "PEER"), default=suppressed(None), help="use TLS")
    parser.add_argument("--token-file", metavar="FILE", default=suppressed(None),
                        help="file with the token for a master that wants one (default: environment CORELOG_TOKEN)")
    parser.add_argument("-v", "--verbose", action="count", default=suppressed(0),
                        help="show where an error arose; let a submitted run log more")
    parser.add_argument("-q", "--quiet", action="count", default=suppressed(0), help="the opposite")


def _submission(actions: Any) -> None:
    submit = actions.add_parser("submit", help="submit an experiment; prints its RID")
    submit.add_argument("-p", "--pipeline", default="main", metavar="PIPELINE", help="default: %(default)s")
    submit.add_argument("-P", "--priority", type=int, default=0, metavar="PRIO",
                        help="the greater goes first (default: %(default)s)")
    submit.add_argument("-t", "--timed", metavar="DATE", type=client_actions.date,
                        help="not before this time: 14:30, '2030-01-31 14:30', '01/31 14:30:00', or +90 (seconds)")
    submit.add_argument("-f", "--flush", action="store_true", help="wait until the pipeline is empty before preparing")
    submit.add_argument("-R", "--repository", action="store_true", help="FILE is in the master's repository")
    submit.add_argument("-r", "--revision", metavar="REV", help="with -R: revision (default: the current one)")
    submit.add_argument("--devarg-override", default="", metavar="'DEVICE:ARG=PYON ...'",
                        help="other arguments of devices for this run")
    submit.add_argument("--content", action="store_true", help="send the text of FILE, which is on this machine")
    submit.add_argument("-c", "--class-name", metavar="CLASS", help="the experiment, if FILE has several")
    submit.add_argument("file", metavar="FILE", help="file on the master's machine")
    submit.add_argument("arguments", metavar="KEY=PYON", nargs="*", help='for example n=5 or name=\'"x"\'')


def _datasets(actions: Any) -> None:
    store = actions.add_parser("set-dataset", help="set a dataset of the master")
    store.add_argument("name", metavar="NAME")
    store.add_argument("value", metavar="PYON", help="with a unit or scale, numbers are in that")
    store.add_argument("--unit", help="for example ms")
    store.add_argument("--scale", type=float, help="factor of the unit, needed if it is not an SI unit")
    store.add_argument("--precision", type=int, help="digits that clients show after the decimal point")
    group = store.add_mutually_exclusive_group()
    group.add_argument("-p", "--persist", dest="persist", action="store_const", const=True,
                       help="keep it when the master ends")
    group.add_argument("-n", "--no-persist", dest="persist", action="store_const", const=False, help="do not")
    remove = actions.add_parser("del-dataset", help="remove a dataset of the master")
    remove.add_argument("name", metavar="NAME")


@command("corelog client")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    args = get_argparser().parse_args(argv)
    common_args.init_logger_from_args(args)
    ssl = tls.config(args.ssl)
    try:
        if args.action == "show" and show_log.wanted(args):
            show_log.show_stored(args, ssl)
        elif args.action == "show":
            asyncio.run(client_show.show(args, ssl))
        else:
            client_actions.act(args, ssl)
    except ConnectionRefusedError as error:
        raise CommandError(f"no master answers at {args.server}: is it running? (corelog master)") from error
    except (EOFError, ConnectionResetError, ConnectionAbortedError, SSLError, IncompatibleServer) as error:
        raise CommandError(f"no proper answer from the master at {args.server} ({describe(error)}): look at --port, "
                           f"and at --ssl, which has to be as the master's") from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
