"""Every built-in variant of every real board: ``python -m corelog_gateware.targets [BUILD]`` writes ``BUILD/VARIANT``
of each, as ``python -m corelog_gateware.targets.kasli --variant VARIANT`` does for one."""

import argparse
import subprocess
import sys
from pathlib import Path

from .variants import builtin

TARGETS = ("kasli", "kc705")


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Elaborate every built-in variant of Kasli and KC705")
    parser.add_argument("build", type=Path, nargs="?", default=Path("build"), help="default: %(default)s")
    return parser


def main(argv: list[str] | None = None) -> None:
    build = get_argparser().parse_args(argv).build
    for target in TARGETS:
        for name in builtin(target):
            # In a process of its own: LiteX keeps state.
            command = [sys.executable, "-m", f"corelog_gateware.targets.{target}", "--variant", name]
            if status := subprocess.run([*command, "--build-dir", str(build / name)]).returncode:
                sys.exit(status)
            print(build / name, flush=True)


if __name__ == "__main__":
    main()
