"""Which variants there are; a whole board with a seeded fault does not pass. `make gateware-check` checks them all."""

import pytest
from migen import Signal
from migen.genlib.cdc import MultiReg

from corelog_gateware.check import allowed
from corelog_gateware.check.__main__ import check_quickly
from corelog_gateware.check.crossings import Crossing, crossings
from corelog_gateware.check.design import Design
from corelog_gateware.check.variants import all_variants, newest


@pytest.mark.parametrize("name", ["sim", "kasli-v2.0-satellite", "kc705-master"])
def test_a_variant_has_no_faults(name: str) -> None:
    """One of each board; `make test` checks the others by `make gateware-check`."""
    variant = all_variants()[name]
    outcome = check_quickly(variant, allowed.load())
    assert outcome.faults == []
    assert outcome.found is not None
    assert variant.is_simulated == (outcome.found.device == "")


def test_there_is_a_variant_of_every_board_and_role() -> None:
    found = {(variant.name.removesuffix(f"-{variant.role}"), variant.role) for variant in all_variants().values()}
    boards = ("sim", "kasli-v1.0", "kasli-v1.1", "kasli-v2.0", "kc705")
    assert found == {(board, role) for board in boards for role in ("standalone", "master", "satellite")}


def test_the_newest_revision_of_every_board_and_role_is_synthesised_when_time_is_short() -> None:
    roles = ("standalone", "master", "satellite")
    assert newest(all_variants()) == {f"{board}-{role}" for board in ("kasli-v2.0", "kc705") for role in roles}


@pytest.mark.parametrize("synchronised", [False, True], ids=["raw", "through a MultiReg"])
def test_one_signal_more_between_two_clocks_of_a_whole_board_is_found(synchronised: bool) -> None:
    def faults(seeded: bool) -> set[Crossing]:
        soc = all_variants()["kasli-v2.0-master"].make()
        if seeded:
            taken = Signal(name="taken")
            if synchronised:
                soc.specials += MultiReg(soc.watchdog.expired, taken, "bootstrap")
            else:
                soc.sync.bootstrap += taken.eq(soc.watchdog.expired)
        soc.finalize()
        return crossings(Design(soc, soc.platform.constraint_manager.get_io_signals())).faults

    found = faults(True) - faults(False)
    raw = {Crossing("register", "watchdog.expired", "sys", "taken", "bootstrap")}
    assert found == (set() if synchronised else raw)
