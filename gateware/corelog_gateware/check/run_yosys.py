"""Runs Yosys from its Python package, which brings no program: ``python -m corelog_gateware.check.run_yosys``.

Takes these options of the program's, so that either can be called. What it says, errors too, is in the log only.
"""

import argparse
import importlib
from pathlib import Path


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run Yosys quietly")
    parser.add_argument("-l", dest="log", metavar="LOG", required=True, help="what it says goes there")
    parser.add_argument("-p", dest="script", metavar="SCRIPT", required=True, help="passes, with ; between them")
    return parser


def main() -> None:
    args = get_argparser().parse_args()
    Path(args.log).unlink(missing_ok=True)
    # Imported by name, as the package is only there where make gateware-check has installed it.
    design = importlib.import_module("pyosys.libyosys").Design()
    for step in args.script.split(";"):
        # A pass that fails ends the process with exit code 1.
        design.run_pass(f"tee -q -a {args.log} {step.strip()}")


if __name__ == "__main__":
    main()
