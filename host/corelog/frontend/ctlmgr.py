"""`corelog ctlmgr`: the controller manager."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys
from collections.abc import Sequence

from corelog.ctlmgr.manager import ControllerManager, ControllerManagerRPC, MasterLink
from corelog.ctlmgr.marker import Marker, default_path
from corelog.ctlmgr.output import READS_FIELDS
from corelog.frontend import logs, tls
from corelog.frontend.common import CTLMGR_READY, CommandError, command, port, seconds
from corelog.frontend.security_args import guard_from_args, security_args, warn_if_open
from sipyco import common_args
from sipyco.logs import LogForwarder
from sipyco.pc_rpc import Server
from sipyco.tools import SignalHandler

logger = logging.getLogger(__name__)

QUEUE_RECORDS = 100_000


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog ctlmgr", description="Controller manager: runs the controllers that the master's device database "
                                           "has for this machine, and sends what they log to the master.")
    common_args.verbosity_args(parser)
    group = parser.add_argument_group("master")
    group.add_argument("-s", "--server", default="localhost", metavar="HOST", help="the master (default: %(default)s)")
    group.add_argument("--port-notify", type=port, default=3250, help="default: %(default)s")
    group.add_argument("--port-logging", type=port, default=1066, help="default: %(default)s")
    group.add_argument("--ssl", nargs=3, metavar=("CERT", "KEY", "PEER"),
                       help="use TLS with the master (all PEM files)")
    group.add_argument("--retry-master", type=seconds, default=5.0, metavar="S",
                       help="seconds between attempts to reach the master (default: %(default)s)")
    parser.add_argument("--host-filter", metavar="IP",
                        help="run the controllers of this host (default: the local address of the master's connection)")
    common_args.simple_network_args(parser, [("control", "control", 3249)])
    security_args(parser)
    parser.add_argument("--ssl-control", nargs=3, metavar=("CERT", "KEY", "PEER"),
                        help="use TLS on the control port; --ssl does not concern it")
    logs.log_file_args(parser)
    return parser


async def run(args: argparse.Namespace) -> None:
    """Runs until a signal or the terminate RPC ends it; ends its controllers."""
    ssl, ssl_control = tls.config(args.ssl), tls.config(args.ssl_control, "--ssl-control")
    guard = guard_from_args(args)
    signals = SignalHandler()
    signals.setup()
    known_to_ours = {"fields": True} if READS_FIELDS else {}
    forwarder = LogForwarder(args.server, args.port_logging, args.retry_master, QUEUE_RECORDS, ssl, **known_to_ours)
    logs.start(args, f"ctlmgr({socket.gethostname()})", forwarder)
    forwarder.start()
    manager = ControllerManager(args.host_filter, getattr(forwarder, "wait_room", _no_wait))
    link = MasterLink(manager, args.server, args.port_notify, args.retry_master, ssl)
    bind = common_args.bind_address_from_args(args)
    marker: Marker | None = None
    warn_if_open(args, bind, "end the controllers here", "--ssl-control")
    terminated = asyncio.Event()
    targets = {"ctlmgr": ControllerManagerRPC(manager, terminated.set)}
    rpc = Server(targets if guard is None else guard.targets(targets))
    try:
        try:
            await rpc.start(bind, args.port_control, ssl_control)
        except OSError as error:
            raise CommandError(f"cannot listen on port {args.port_control}: {error.strerror or error} "
                               f"(is another controller manager running?)") from error
        marker = Marker(default_path(",".join(bind or ["*"]), args.port_control))
        if (left := marker.set()) is not None:
            logger.warning("the controller manager that ran here before (%s) did not end by itself: records that it "
                           "had read from its controllers and not sent yet are missing", left)
        link.start()
        print(CTLMGR_READY, flush=True)
        done, pending = await asyncio.wait(
            [asyncio.ensure_future(wait()) for wait in (signals.wait_terminate, terminated.wait, link.wait)],
            return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()
    finally:
        await link.stop()
        await manager.stop()
        await rpc.stop()
        logging.getLogger().removeHandler(forwarder)
        await forwarder.stop()
        if marker is not None:
            marker.clear()
        if guard is not None:
            guard.close()
        signals.teardown()


async def _no_wait() -> None:
    """The ecosystem's own forwarder cannot say whether it has room."""


@command("corelog ctlmgr")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    asyncio.run(run(get_argparser().parse_args(argv)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
