"""`corelog doctor`: looks at a set-up and says what is wrong, and what to do."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from corelog.frontend import doctor_checks as checks
from corelog.frontend import tls
from corelog.frontend.common import EXIT_FAILURE, EXIT_OK, command, seconds
from corelog.frontend.common import port as tcp_port
from corelog.frontend.master_link import BROADCAST, CONTROL, CTLMGR, LOGGING, NOTIFY, default_server, token


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog doctor", description="Checks the device database, the master, the controller manager, all "
        "controllers and the core device, and says what to do. Changes nothing. Status 1 if there is a problem.")
    parser.add_argument("--device-db", default="device_db.py", metavar="FILE", help="default: %(default)s")
    parser.add_argument("-s", "--server", default=default_server(), metavar="HOST", help="the master (%(default)s)")
    for name, default in (("notify", NOTIFY), ("control", CONTROL), ("logging", LOGGING), ("broadcast", BROADCAST)):
        parser.add_argument(f"--port-{name}", type=tcp_port, default=default, help="default: %(default)s")
    parser.add_argument("--ssl", nargs=3, metavar=("CERT", "KEY", "PEER"), help="use TLS with the master")
    parser.add_argument("--token-file", metavar="FILE",
                        help="token for the master and the controller manager (default: CORELOG_TOKEN)")
    parser.add_argument("--ctlmgr", default="localhost", metavar="HOST", help="controller manager (%(default)s)")
    parser.add_argument("--port-ctlmgr", type=tcp_port, default=CTLMGR, help="default: %(default)s")
    parser.add_argument("--ssl-ctlmgr", nargs=3, metavar=("CERT", "KEY", "PEER"), help="use TLS with it")
    parser.add_argument("--timeout", type=seconds, default=5.0, metavar="S",
                        help="seconds for each answer (default: %(default)g)")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="show where an error arose")
    return parser


async def examine(args: argparse.Namespace) -> list[checks.Finding]:
    """All findings, in the order of the parts."""
    ssl, ssl_ctlmgr = tls.config(args.ssl), tls.config(args.ssl_ctlmgr, "--ssl-ctlmgr")
    secret = token(args.token_file)
    database, findings = checks.device_database(args.device_db)
    ports = {"notifications": args.port_notify, "logging": args.port_logging, "broadcasts": args.port_broadcast}
    master = checks.Master(args.server, args.port_control, ports, ssl, secret)
    parts = [checks.master(master, database, args.timeout),
             checks.controller_manager(args.ctlmgr, args.port_ctlmgr, args.timeout, ssl_ctlmgr, secret)]
    if database is not None:
        parts += [checks.controllers(database, args.timeout), checks.core_device(database, args.timeout)]
    for found in await asyncio.gather(*parts):
        findings += found
    return findings


@command("corelog doctor")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    findings = asyncio.run(examine(get_argparser().parse_args(argv)))
    for finding in findings:
        print(f"{finding.grade:<8} {finding.text}")
        if finding.advice:
            print(f"{'':<8} -> {finding.advice}")
    problems = sum(finding.grade == checks.PROBLEM for finding in findings)
    print(f"{problems} problem{'' if problems == 1 else 's'}" if problems else "no problem found")
    return EXIT_FAILURE if problems else EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
