"""Every variant elaborates, crosses clocks by named primitives, constrains every port, and has what its role needs.

`make gateware-check` does the same, and then has Yosys and the firmware's compiler look at each.
"""

import pytest

from corelog_gateware.check import allowed
from corelog_gateware.check.__main__ import check_quickly
from corelog_gateware.check.variants import Variant, all_variants


@pytest.fixture(scope="module")
def entries() -> list[allowed.Entry]:
    return allowed.load()


@pytest.mark.parametrize("variant", all_variants().values(), ids=lambda variant: variant.name)
def test_a_variant_has_no_faults(variant: Variant, entries: list[allowed.Entry]) -> None:
    outcome = check_quickly(variant, entries)
    assert outcome.faults == []
    assert outcome.found is not None
    assert variant.is_simulated == (outcome.found.device == "")


def test_there_is_a_variant_of_every_board_and_role() -> None:
    found = {(variant.name.removesuffix(f"-{variant.role}"), variant.role) for variant in all_variants().values()}
    boards = ("sim", "kasli-v1.0", "kasli-v1.1", "kasli-v2.0", "kc705")
    assert found == {(board, role) for board in boards for role in ("standalone", "master", "satellite")}
