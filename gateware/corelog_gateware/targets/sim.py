"""Target ``sim``: the core device in Verilator. Parameters only.

``python -m corelog_gateware.targets.sim --build-dir build/sim`` writes the Verilog and the generated constants.
"""

import argparse
import importlib.metadata
from pathlib import Path

CLOCK_FREQUENCY = 2_000_000
MAIN_RAM_SIZE = 32 * 1024 * 1024


def ident() -> str:
    return f"{importlib.metadata.version('corelog-gateware')};sim"


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Elaborate the simulated core device to Verilog and constants")
    parser.add_argument("--build-dir", type=Path, default=Path("build/sim"), help="default: %(default)s")
    return parser


def main(argv: list[str] | None = None) -> None:
    from ..soc.simulated import elaborate

    elaborate(get_argparser().parse_args(argv).build_dir, CLOCK_FREQUENCY, MAIN_RAM_SIZE, ident())


if __name__ == "__main__":
    main()
