import logging
from collections.abc import Iterator

import fuzz_targets
import pytest

SEED = 20261120
INPUTS = 1500


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", fuzz_targets.TARGETS)
def test_mutated_captures_are_taken_or_refused_as_documented(name: str) -> None:
    inputs = INPUTS if name != "sync_struct_mods" else INPUTS // 5
    print(f"seed {SEED}")
    assert fuzz_targets.run(name, SEED, lambda count: count < inputs) == inputs
