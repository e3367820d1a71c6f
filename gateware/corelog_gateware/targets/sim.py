"""Target ``sim``: the core device in Verilator. Parameters only.

``python -m corelog_gateware.targets.sim --build-dir build/sim`` writes the Verilog and the generated constants.
"""

import argparse
import importlib.metadata
from pathlib import Path

from migen import Module, Signal

from ..rtio.phy import slow, ttl

CLOCK_FREQUENCY = 2_000_000
MAIN_RAM_SIZE = 32 * 1024 * 1024


def ident() -> str:
    return f"{importlib.metadata.version('corelog-gateware')};sim"


def rtio_phys(pads: Signal) -> list[tuple[str, Module]]:
    """Channels 0 to 7 are TTL outputs, 8 a TTL input connected to output 7, 9 an output that is busy for a while."""
    return [
        *((f"ttl{n}", ttl.Output(pads[n])) for n in range(8)),
        ("ttl8", ttl.Input(pads[7])),
        ("slow0", slow.Output(busy_cycles=64)),
    ]


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Elaborate the simulated core device to Verilog and constants")
    parser.add_argument("--build-dir", type=Path, default=Path("build/sim"), help="default: %(default)s")
    return parser


def main(argv: list[str] | None = None) -> None:
    from ..soc.simulated import elaborate

    elaborate(get_argparser().parse_args(argv).build_dir, CLOCK_FREQUENCY, MAIN_RAM_SIZE, ident(), rtio_phys)


if __name__ == "__main__":
    main()
