"""`from artiq.frontend.artiq_run import run; run()` at the end of an experiment's file makes it a program."""

import sys

from corelog.frontend.run import main

__all__ = ["main", "run"]


def run(with_file: bool = False) -> None:
    """Runs the experiment of the program's own file, or with `with_file` that of the command line. Ends the program."""
    file = [] if with_file else [str(sys.modules["__main__"].__file__)]
    sys.exit(main([*file, *sys.argv[1:]]))


if __name__ == "__main__":
    run(with_file=True)
