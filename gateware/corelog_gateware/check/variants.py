"""The boards to check: every built-in variant of every target, each elaborated in a process of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..simulator.paths import ROOT

OUTPUT = ROOT / "build" / "check"


@dataclass(frozen=True)
class Variant:
    """``role`` is standalone, master or satellite. ``make`` gives the SoC, not yet finalized, ``write`` puts Verilog,
    constraints and constants of it into a folder. ``pad_clocks``: see :class:`design.Design`."""

    name: str
    role: str
    make: Callable[[], Any]
    write: Callable[[Any, Path], object]
    pad_clocks: dict[str, str]

    @property
    def directory(self) -> Path:
        return OUTPUT / self.name

    @property
    def is_simulated(self) -> bool:
        return self.name.partition("-")[0] == "sim"

    @property
    def tags(self) -> set[str]:
        """What there is to say about it: target, hardware revision, role, and ``board`` if it is a real one."""
        return {*self.name.split("-"), self.role, *(() if self.is_simulated else ("board",))}


def _boards() -> dict[str, Variant]:
    from ..targets import kasli, kc705, main
    from ..targets.variants import builtin

    def board(name: str, description: Any, make: Any) -> Variant:
        return Variant(name, description.base, lambda: make(description, main.ident(description)), main.write, {})

    return {name: board(name, description, make)
            for target, make in (("kasli", kasli.make), ("kc705", kc705.make))
            for name, description in builtin(target).items()}


def _simulated() -> dict[str, Variant]:
    from ..soc import simulated
    from ..targets import sim

    def board(name: str, links: int, satellite: bool) -> Variant:
        options: dict[str, Any] = {
            "links": links,
            "satellite": satellite,
            "clk_freq": sim.CLOCK_FREQUENCY,
            "make_phys": sim.rtio_phys,
            "main_ram_size": sim.MAIN_RAM_SIZE,
            "ident": sim.ident(name),
        }
        role = "satellite" if satellite else "master" if links else "standalone"
        # The harness moves every pad with the clock.
        return Variant(name, role, lambda: simulated.simulated_board(**options),
                       lambda _, directory: simulated.elaborate(directory, **options), {"*": "sys"})

    return {name: board(name, *kind) for name, kind in sim.VARIANTS.items()}


def all_variants() -> dict[str, Variant]:
    return _simulated() | _boards()


def newest(variants: dict[str, Variant]) -> set[str]:
    """Names of real boards: of each target and role, the latest hardware revision."""
    boards = sorted((name.partition("-")[0], variant.role, name)
                    for name, variant in variants.items() if not variant.is_simulated)
    return set({(target, role): name for target, role, name in boards}.values())
