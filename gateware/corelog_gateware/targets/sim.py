"""Target ``sim``: boards in Verilator. Parameters only.

``python -m corelog_gateware.targets.sim [--variant VARIANT] --build-dir build/VARIANT`` writes the Verilog and the
generated constants.
"""

import argparse
from pathlib import Path

from migen import Module, Signal

from ..rtio.phy import edge_counter, slow, ttl
from ..version import version

CLOCK_FREQUENCY = 2_000_000
MAIN_RAM_SIZE = 32 * 1024 * 1024
# A core device alone, that of a tree, a satellite: number of DRTIO ports downstream, and whether it is a satellite.
VARIANTS = {"sim": (0, False), "sim-master": (3, False), "sim-satellite": (1, True)}


def ident(variant: str) -> str:
    return f"{version()};{variant}"


def rtio_phys(pads: Signal) -> list[tuple[str, Module]]:
    """Channels 0 to 7 are TTL outputs, 8 a TTL input connected to output 7, 9 an output that is busy for a while,
    10 counts the edges that the input sees."""
    return [
        *((f"ttl{n}", ttl.Output(pads[n])) for n in range(8)),
        ("ttl8", ttl.Input(pads[7])),
        ("slow0", slow.Output(busy_cycles=64)),
        ("ttl8_counter", edge_counter.CoarseEdgeCounter(pads[7])),
    ]


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Elaborate a simulated board to Verilog and constants")
    parser.add_argument("--variant", choices=VARIANTS, default="sim", help="default: %(default)s")
    parser.add_argument("--build-dir", type=Path, help="default: build/VARIANT")
    return parser


def main(argv: list[str] | None = None) -> None:
    from ..soc.simulated import elaborate

    args = get_argparser().parse_args(argv)
    links, satellite = VARIANTS[args.variant]
    elaborate(
        args.build_dir or Path("build") / args.variant,
        links=links,
        satellite=satellite,
        clk_freq=CLOCK_FREQUENCY,
        main_ram_size=MAIN_RAM_SIZE,
        ident=ident(args.variant),
        make_phys=rtio_phys,
    )


if __name__ == "__main__":
    main()
