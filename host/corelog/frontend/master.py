"""`corelog master`: the experiment master."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import sqlite3
import sys
from collections.abc import Sequence

from corelog import device_db
from corelog.frontend import logs, tls
from corelog.frontend.common import MASTER_READY, CommandError, command
from corelog.frontend.security_args import guard_from_args, security_args, warn_if_open
from corelog.language.dataset_db import DatasetDBError
from corelog.master.devices import DeviceDatabase
from corelog.master.log import STORE_FILE, STORE_MIB, MasterLog
from corelog.master.management import Experiments, Options
from corelog.master.repository import RepositoryError
from corelog.master.server import Master, Ports
from sipyco import common_args
from sipyco.tools import SignalHandler


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="corelog master", description="Experiment master: schedules and runs experiments, holds their datasets "
        "and the device database, receives the log of all programs.")
    parser.add_argument("--version", action="version", version=f"corelog {importlib.metadata.version('corelog')}")
    common_args.simple_network_args(parser, [
        ("notify", "notification", Ports.notify), ("control", "control", Ports.control),
        ("logging", "remote logging", Ports.logging), ("broadcast", "broadcast", Ports.broadcast)], ssl=True)
    group = parser.add_argument_group("databases")
    group.add_argument("--device-db", default="device_db.py", metavar="FILE", help="default: %(default)s")
    group.add_argument("--dataset-db", default=Options.dataset_db, metavar="FILE", help="default: %(default)s")
    group = parser.add_argument_group("repository")
    group.add_argument("-g", "--git", action="store_true",
                       help="the repository is one of git (bare or not); its commits are run, not the working copy")
    group.add_argument("-r", "--repository", default=Options.repository, metavar="FOLDER", help="default: %(default)s")
    group.add_argument("--experiment-subdir", default=Options.experiment_subdir, metavar="FOLDER",
                       help="the part of the repository that is searched for experiments (default: all)")
    security_args(parser)
    common_args.verbosity_args(parser)
    logs.log_file_args(parser)
    group = parser.add_argument_group("log store")
    group.add_argument("--log-store", default=STORE_FILE, metavar="FILE",
                       help="keeps every record for `corelog client show log` (default: %(default)s)")
    group.add_argument("--log-store-size", type=int, default=STORE_MIB, metavar="MIB",
                       help="the oldest records go when it is larger (default: %(default)s)")
    parser.add_argument("--log-submissions", metavar="FILE",
                        help="note all submissions in this file (RID, Unix time, file)")
    parser.add_argument("--name", help="name of this master, shown by clients")
    return parser


async def run(args: argparse.Namespace) -> None:
    """Serves until a signal or the terminate RPC ends it."""
    signals = SignalHandler()
    signals.setup()
    try:
        master = await serve(args)
        try:
            print(MASTER_READY, flush=True)
            _, pending = await asyncio.wait(
                [asyncio.ensure_future(wait()) for wait in (signals.wait_terminate, master.management.wait_terminate)],
                return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
        finally:
            await master.stop()
    finally:
        signals.teardown()


async def serve(args: argparse.Namespace) -> Master:
    """Starts logging and the master. Raises CommandError."""
    ssl = tls.config(args.ssl)
    guard = guard_from_args(args)
    ports = Ports(args.port_notify, args.port_control, args.port_logging, args.port_broadcast)
    try:
        log = MasterLog(args.log_store, args.log_store_size << 20)
    except sqlite3.Error as error:
        raise CommandError(f"cannot open the log store {args.log_store}: {error}") from error
    log.displays += logs.start(args, "master", log.handler)
    try:
        devices = DeviceDatabase(args.device_db)
        master = Master(devices, log, args.name, guard)
        master.join(Experiments(Options(args.dataset_db, args.repository, args.git, args.experiment_subdir,
                                        args.log_submissions), devices, log.broadcaster, log.wait_room))
    except (device_db.DeviceDBError, DatasetDBError, RepositoryError) as error:
        raise CommandError(str(error)) from error
    except sqlite3.Error as error:
        raise CommandError(f"cannot have this directory: {error}") from error
    bind = common_args.bind_address_from_args(args)
    warn_if_open(args, bind)
    try:
        await master.start(bind, ports, ssl)
    except OSError as error:
        raise CommandError(f"cannot listen: {error.strerror or error} (ports {ports.logging}, {ports.broadcast}, "
                           f"{ports.notify}, {ports.control}; is another master running?)") from error
    return master


@command("corelog master")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    asyncio.run(run(get_argparser().parse_args(argv)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
