"""`with parallel:` and `with sequential:` against a naive interpreter, and as a change of compiled functions."""

import importlib.util
import itertools
import random
import sys
import traceback
from pathlib import Path
from types import ModuleType

import pytest

from corelog.experiment import at_mu, delay_mu, kernel, now_mu, parallel, portable, sequential
from support.model_core import OnModel, emit

counter = itertools.count()


def load(tmp_path: Path, source: str) -> ModuleType:
    name = f"generated_{next(counter)}"
    file = tmp_path / f"{name}.py"
    file.write_text(source)
    specification = importlib.util.spec_from_file_location(name, file)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


# A tree: ("par" | "seq" | "loop" | "call", children) or ("delay", n) or ("emit", channel)

def random_tree(rng: random.Random, depth: int) -> tuple:
    leaves = ["delay", "emit"]
    kind = rng.choice(leaves if depth == 0 else [*leaves, "par", "par", "seq", "seq", "loop", "call"])
    if kind == "delay":
        return kind, rng.randrange(-3, 20)
    if kind == "emit":
        return kind, rng.randrange(100)
    return kind, [random_tree(rng, depth - 1) for _ in range(rng.randrange(1, 5))]


def naive(tree: tuple, cursor: int, events: list[tuple[int, int]]) -> int:
    """Appends the tree's events; returns where the cursor is after it."""
    kind, content = tree
    if kind == "delay":
        return cursor + content
    if kind == "emit":
        events.append((cursor, content))
        return cursor
    if kind == "par":
        return max([cursor] + [naive(child, cursor, events) for child in content])
    for _ in range(2 if kind == "loop" else 1):
        for child in content:
            cursor = naive(child, cursor, events)
    return cursor


def source_of(tree: tuple, indent: str, functions: list[str]) -> str:
    kind, content = tree
    if kind == "delay":
        return f"{indent}delay_mu({content})\n"
    if kind == "emit":
        return f"{indent}emit({content})\n"
    if kind == "call":
        body = "".join(source_of(child, "        ", functions) for child in content)
        functions.append(f"    @kernel\n    def f{len(functions)}(self):\n{body}")
        return f"{indent}self.f{len(functions) - 1}()\n"
    body = "".join(source_of(child, indent + "    ", functions) for child in content)
    head = {"par": "with parallel:", "seq": "with sequential:", "loop": "for _ in range(2):"}[kind]
    return f"{indent}{head}\n{body}"


@pytest.mark.parametrize("seed", range(60))
def test_random_nesting_of_blocks_loops_and_kernels_gives_the_events_of_a_naive_interpreter(
        seed: int, tmp_path: Path) -> None:
    print("seed", seed)
    tree = ("seq", [random_tree(random.Random(seed), 4) for _ in range(3)])
    functions: list[str] = []
    body = source_of(tree, "        ", functions)
    module = load(tmp_path, "from corelog.experiment import *\nfrom support.model_core import OnModel, emit\n\n"
                            "class Subject(OnModel):\n" + "".join(functions)
                  + f"    @kernel\n    def run(self):\n{body}")
    subject = module.Subject()
    start = subject.core.device.cursor
    expected: list[tuple[int, int]] = []
    end = naive(tree, start, expected)
    subject.run()
    assert subject.events == expected
    assert subject.core.device.cursor == end


class Blocks(OnModel):
    __secret = 7

    def __init__(self) -> None:
        super().__init__()
        self.core.device.cursor = 0

    @kernel
    def ends_at_the_latest(self) -> None:
        with parallel:
            delay_mu(5)
            delay_mu(9)
            delay_mu(-20)
        emit(1)

    @kernel
    def combined_items(self) -> None:
        with sequential, parallel, sequential:
            emit(1)
            delay_mu(4)
            emit(2)
        with parallel, parallel:
            delay_mu(3)
            emit(3)

    @kernel
    def returns_from_inside(self) -> int:
        with parallel:
            delay_mu(50)
            for i in range(10):
                delay_mu(1)
                if i == 2:
                    return i
        return -1

    @kernel
    def private_name(self, *, default: int = 3) -> int:
        with parallel:
            delay_mu(self.__secret)
            delay_mu(default)
        return self.__secret

    @kernel
    def across_a_known_time(self) -> None:
        with parallel:
            at_mu(700)
            delay_mu(5)
        emit(1)

    @kernel
    def nested_twice_in_a_loop(self) -> None:
        for _ in range(2):
            with parallel:
                with parallel:
                    delay_mu(2)
                    emit(1)
                emit(2)
                delay_mu(10)

    @kernel
    def fails_inside(self) -> None:
        with parallel:
            emit(1)
            raise LookupError("line of this statement")


def test_block_ends_at_the_latest_end_of_its_statements() -> None:
    blocks = Blocks()
    blocks.ends_at_the_latest()
    assert blocks.events == [(9, 1)]


def test_several_items_in_one_with_nest_like_blocks() -> None:
    blocks = Blocks()
    blocks.combined_items()
    assert blocks.events == [(0, 1), (4, 2), (4, 3)]


def test_return_inside_a_block_returns_with_the_block_ended() -> None:
    blocks = Blocks()
    assert blocks.returns_from_inside() == 2
    assert blocks.core.device.cursor == 50


def test_names_private_to_the_class_and_keyword_defaults_survive_compilation() -> None:
    blocks = Blocks()
    assert blocks.private_name() == 7
    assert blocks.core.device.cursor == 7
    assert blocks.private_name(default=20) == 7


def test_branch_that_jumps_to_an_absolute_time_ends_the_block_there() -> None:
    blocks = Blocks()
    blocks.across_a_known_time()
    assert blocks.events == [(700, 1)]


def test_inner_block_does_not_change_where_later_statements_of_the_outer_start() -> None:
    blocks = Blocks()
    blocks.nested_twice_in_a_loop()
    assert blocks.events == [(0, 1), (0, 2), (10, 1), (10, 2)]


def test_traceback_out_of_a_block_shows_the_line_in_the_users_file() -> None:
    with pytest.raises(LookupError) as caught:
        Blocks().fails_inside()
    frame = traceback.extract_tb(caught.tb)[-1]
    assert frame.filename == __file__
    assert frame.line == 'raise LookupError("line of this statement")'


def test_closure_variables_and_recursion_reach_compiled_functions() -> None:
    offset = 3

    @portable
    def climb(n: int) -> None:
        with parallel:
            delay_mu(offset)
            if n > 0:
                climb(n - 1)

    class Subject(OnModel):
        @kernel
        def run(self) -> int:
            climb(4)
            return now_mu()

    subject = Subject()
    before = subject.core.device.cursor
    assert subject.run() == before + 3
    offset = 8
    assert subject.run() == before + 3 + 8


def test_super_works_in_a_kernel_with_a_block() -> None:
    class Base(OnModel):
        @kernel
        def step(self) -> None:
            delay_mu(6)

    class Derived(Base):
        @kernel
        def step(self) -> None:
            with parallel:
                super().step()
                delay_mu(2)

    derived = Derived()
    before = derived.core.device.cursor
    derived.step()
    assert derived.core.device.cursor == before + 6


def test_parallel_is_found_under_another_name_and_in_a_module(tmp_path: Path) -> None:
    module = load(tmp_path, """
import corelog.experiment as artiq
from corelog.experiment import parallel as together, interleave
from support.model_core import OnModel, emit

class Subject(OnModel):
    @artiq.kernel
    def run(self):
        with artiq.parallel:
            artiq.delay_mu(2)
            artiq.delay_mu(3)
        with together:
            artiq.delay_mu(2)
            artiq.delay_mu(3)
        with interleave:
            artiq.delay_mu(2)
            artiq.delay_mu(3)
""")
    subject = module.Subject()
    before = subject.core.device.cursor
    subject.run()
    assert subject.core.device.cursor == before + 9


def test_block_in_a_function_without_source_is_refused_with_what_to_do() -> None:
    namespace: dict = {}
    exec("from corelog.experiment import *\nfrom support.model_core import OnModel\n"
         "class Subject(OnModel):\n    @kernel\n    def run(self):\n        with parallel:\n            delay_mu(1)\n"
         "    @kernel\n    def plain(self):\n        delay_mu(1)\n", namespace)
    with pytest.raises(RuntimeError, match="put it into a file"):
        namespace["Subject"]().run()
    namespace["Subject"]().plain()


def test_block_outside_of_kernels_is_refused() -> None:
    with pytest.raises(RuntimeError, match="only in functions marked"):
        with parallel:
            pass


def test_kernel_without_a_core_device_says_what_is_missing() -> None:
    class Subject:
        @kernel
        def run(self) -> None:
            delay_mu(1)

    with pytest.raises(RuntimeError, match="setattr_device"):
        Subject().run()
    with pytest.raises(RuntimeError, match="only inside a @kernel"):
        delay_mu(1)
