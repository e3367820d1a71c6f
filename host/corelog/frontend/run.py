"""`corelog run FILE`: runs one experiment here, without a master."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corelog import device_db
from corelog.coredevice.exceptions import CoreException
from corelog.frontend.common import CommandError, command
from corelog.language.arguments import CancelledArgsError, DefaultMissing
from corelog.language.datasets import LocalDatasetDB
from corelog.language.devices import DeviceError, LocalDeviceDB
from corelog.language.managers import DatasetManager, DeviceManager, Managers
from corelog.language.offline import OfflineCCB, OfflineScheduler
from corelog.language.terminal import TerminalArgumentManager
from corelog.master import worker_files
from sipyco import common_args, pyon

COMPILED = {".elf", ".ll", ".bc", ".tar"}
"""What artiq_run takes beside Python files."""


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="corelog run", description="Runs one experiment without a master: prepare, "
                                                                     "run, analyze. Prints its datasets.")
    common_args.verbosity_args(parser)
    parser.add_argument("--version", action="version", version=f"corelog {importlib.metadata.version('corelog')}")
    parser.add_argument("--device-db", default="device_db.py", metavar="FILE", help="default: %(default)s")
    parser.add_argument("--dataset-db", default="dataset_db.mdb", metavar="FILE",
                        help="persistent datasets the experiment may read; need not exist (default: %(default)s)")
    parser.add_argument("-c", "--class-name", metavar="CLASS", help="the experiment, if FILE has several")
    parser.add_argument("-o", "--hdf5", metavar="FILE", help="write the datasets to this HDF5 file, print none")
    parser.add_argument("file", metavar="FILE", help="Python file with the experiment")
    parser.add_argument("arguments", metavar="KEY=PYON", nargs="*", help='arguments, for example n=5 or name=\'"x"\'')
    return parser


def parse_arguments(texts: Sequence[str]) -> dict[str, Any]:
    """`KEY=PYON` texts as a dict. Raises CommandError."""
    arguments = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise CommandError(f"{text!r} is not of the form KEY=PYON")
        try:
            arguments[key] = pyon.decode(value)
        except (ValueError, TypeError):
            raise CommandError(f"argument {key}: {value!r} is not a PYON value "
                               f"(a string needs quotes: {key}='\"{value}\"')") from None
    return arguments


def run(args: argparse.Namespace) -> DatasetManager:
    """Runs the experiment that the command line names; returns its datasets."""
    submitted = parse_arguments(args.arguments)
    database = device_db.load(args.device_db)
    datasets = DatasetManager(stored_datasets(Path(args.dataset_db)))
    arguments = TerminalArgumentManager(submitted)
    experiment_class = load_experiment(args.file, args.class_name)
    expid = {"file": args.file, "class_name": args.class_name, "arguments": submitted}
    with DeviceManager(LocalDeviceDB(database),
                       {"scheduler": OfflineScheduler(expid), "ccb": OfflineCCB()}) as devices:
        experiment = experiment_class(Managers(devices, datasets, arguments, {}))
        arguments.check_unprocessed_arguments()
        experiment.prepare()
        try:
            experiment.run()
        finally:
            devices.notify_run_end()
        experiment.analyze()
    return datasets


def load_experiment(path: str, class_name: str | None) -> Any:
    """The experiment class of that name in a file, or the only one. Raises CommandError."""
    if not Path(path).is_file():
        raise CommandError(f"experiment file {path} does not exist")
    if Path(path).suffix in COMPILED:
        raise CommandError(f"{path} is compiled for a CPU of ARTIQ's core devices; give the experiment's Python file")
    module = worker_files.load_file(path)
    try:
        return worker_files.find_experiment(module, class_name)
    except ValueError as error:
        raise CommandError(str(error)) from error


def stored_datasets(path: Path) -> LocalDatasetDB:
    """The persistent datasets of a master's database; none if there is no file. Raises CommandError."""
    if not path.exists():
        return LocalDatasetDB()
    from corelog.language import dataset_db  # loads a library that most runs do not need

    try:
        return LocalDatasetDB(dataset_db.load(path))
    except dataset_db.DatasetDBError as error:
        raise CommandError(str(error)) from error


@command("corelog run")
def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. The exit status is 1 if the experiment could not be run to its end."""
    args = get_argparser().parse_intermixed_args(argv)
    common_args.init_logger_from_args(args)
    try:
        datasets = run(args)
    except (device_db.DeviceDBError, DeviceError, CoreException, DefaultMissing, CancelledArgsError) as error:
        raise CommandError(str(error)) from error
    if args.hdf5 is not None:
        from corelog.language import results  # the same

        results.write(Path(args.hdf5), datasets)
    else:
        for key, entry in sorted(datasets.local.items()):
            print(f"{key}: {entry.value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
