"""`make hil`: the tests of tests/hil on the board of a labgrid environment, and what came of it in build/hil."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from corelog.lab.environment import EnvironmentFileError, load

# The drivers are tested first, in seconds; then the board.
TESTS = (Path("tests/lab"), Path("tests/hil"))
SIMULATED = Path("examples/hil/simulated.yaml")
RESULTS = Path("build/hil")
EXIT_USAGE = 2
# labgrid 26.0.1 stumbles, and goes on, when it logs for a console that has not said anything yet.
LABGRID_WARNING = "ignore:unhandled exception during event notification:UserWarning"


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m corelog.lab.hil",
        description="Runs tests/hil on the board of a labgrid environment. The results are in DIR: junit.xml, and "
        "results.json with the boards' identities and the commits of gateware, firmware and host.",
        epilog="What follows -- is for pytest, as: -- -k collision",
    )
    parser.add_argument("environment", nargs="?", type=Path, default=SIMULATED, metavar="FILE",
                        help="labgrid environment file (default: %(default)s)")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, metavar="DIR", help="default: %(default)s")
    parser.add_argument("-n", "--check", action="store_true", help="only check the environment file")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: that of pytest (0: all passed), 2 with one line for an environment that cannot be used."""
    words = list(sys.argv[1:] if argv is None else argv)
    split = words.index("--") if "--" in words else len(words)
    args = get_argparser().parse_args(words[:split])
    try:
        for folder in TESTS:
            if not folder.is_dir():
                raise EnvironmentFileError(f"there is no {folder} here: start it in the folder of the Corelog sources")
        load(args.environment)
    except EnvironmentFileError as error:
        print(f"hil: error: {error}", file=sys.stderr)
        return EXIT_USAGE
    if args.check:
        return 0
    args.output.mkdir(parents=True, exist_ok=True)
    # A process of its own: labgrid's plugin must be there before pytest reads its arguments.
    os.execv(sys.executable, [
        sys.executable, "-m", "pytest", *map(str, TESTS), "--lg-env", str(args.environment),
        "--junitxml", str(args.output / "junit.xml"), "--hil-results", str(args.output / "results.json"),
        "-p", "no:xdist", "-rs", "-W", LABGRID_WARNING, *words[split + 1:]])


if __name__ == "__main__":
    sys.exit(main())
