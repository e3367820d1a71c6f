"""The experiment list of a folder and of git repositories, and what happens to checkouts."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from corelog.master.checkout_folder import CheckoutFolder
from corelog.master.experiments import ExperimentDB
from corelog.master.interactive import InteractiveArgDB
from corelog.master.repository import GitRepository, RepositoryError, open_repository
from corelog.master.worker import WorkerError
from corelog.master.worker_forked import ForkedProcesses
from corelog.master.workers import Workers

EXPERIMENT = """
from corelog.experiment import *
class {0}(EnvExperiment):
    def build(self):
        self.setattr_argument("a", StringValue("{1}"))
    def run(self): pass
"""
HANDLERS: dict[str, Any] = {"get_device_db": dict, "get_dataset": lambda key: {}[key]}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


@contextlib.asynccontextmanager
async def experiment_db(root: Path, git: bool = False, subdirectory: str = "",
                        **options: Any) -> AsyncIterator[ExperimentDB]:
    processes = ForkedProcesses()
    repository = open_repository(str(root), git)
    database = ExperimentDB(repository, Workers(processes, HANDLERS), subdirectory, **options)
    try:
        yield database
    finally:
        await database.stop()
        await repository.close()
        await processes.close()


def git(directory: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-c", "user.name=Lab", "-c", "user.email=lab@example.org", *arguments], cwd=directory,
                          check=True, capture_output=True, text=True).stdout.strip()


def commit(directory: Path, message: str) -> str:
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", message)
    return git(directory, "rev-parse", "HEAD")


async def test_the_list_names_experiments_by_folder_and_numbers_equal_names(tmp_path: Path) -> None:
    for file in ("a.py", "b.py", "sub/a.py", ".hidden/a.py", ".a.py", "a.txt"):
        write(tmp_path / file, EXPERIMENT.format("Scan", file))
    write(tmp_path / "c.py", 'from a import *\nclass Other(Scan):\n    """Ratio a/b."""\n')
    async with experiment_db(tmp_path) as database:
        await database.scan_repository()
        entries = database.notifier.raw_view
        assert {name: (entry["file"], entry["class_name"]) for name, entry in entries.items()} == {
            "Scan": ("a.py", "Scan"), "Scan1": ("b.py", "Scan"), "Scan2": ("c.py", "Scan"),  # imported
            "Ratio a_b": ("c.py", "Other"), "sub/Scan": ("sub/a.py", "Scan")}
        assert entries["sub/Scan"]["arginfo"] == {"a": ({"ty": "StringValue", "default": "sub/a.py"}, None, None)}
        assert database.status.raw_view == {"scanning": False, "cur_rev": "N/A"}


async def test_the_list_of_a_subdirectory_has_its_names_and_the_repositorys_paths(tmp_path: Path) -> None:
    write(tmp_path / "a.py", EXPERIMENT.format("Outside", ""))
    write(tmp_path / "exps/x/a.py", EXPERIMENT.format("Inside", ""))
    async with experiment_db(tmp_path, subdirectory="exps") as database:
        await database.scan_repository()
        assert {name: entry["file"] for name, entry in database.notifier.raw_view.items()} == {
            "x/Inside": "exps/x/a.py"}


async def test_files_that_fail_die_or_hang_are_skipped_and_no_others(
        tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(20):
        write(tmp_path / f"{number:02}.py", EXPERIMENT.format(f"E{number}", ""))
    write(tmp_path / "03.py", "1 / 0")
    write(tmp_path / "05.py", "import os\nos._exit(1)")
    write(tmp_path / "07.py", "import time\ntime.sleep(100)")
    write(tmp_path / "09.py", "import sys\nsys.exit()")
    write(tmp_path / "11.py", "def")
    async with experiment_db(tmp_path, examine_limit=2.0) as database:
        await database.scan_repository()
        assert set(database.notifier.raw_view) == {f"E{n}" for n in range(20) if n not in (3, 5, 7, 9, 11)}
    for text in ("05.py cannot be examined: process", "07.py cannot be examined: examine takes too long"):
        assert text in caplog.text


async def test_a_second_scan_publishes_only_what_changed(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.py", EXPERIMENT.format(name.upper(), "1"))
    async with experiment_db(tmp_path) as database:
        await database.scan_repository()
        mods: list[Any] = []
        database.notifier.publish = mods.append
        write(tmp_path / "a.py", EXPERIMENT.format("A", "2"))
        (tmp_path / "b.py").unlink()
        await database.scan_repository()
        assert [(mod["action"], mod["key"]) for mod in mods] == [("delitem", "B"), ("setitem", "A")]


async def test_examine_of_one_file_inside_and_outside_of_the_repository(tmp_path: Path) -> None:
    write(tmp_path / "repository/a.py", EXPERIMENT.format("A", ""))
    write(tmp_path / "b.py", EXPERIMENT.format("B", ""))
    write(tmp_path / "repository/bad.py", "1 / 0")
    async with experiment_db(tmp_path / "repository") as database:
        assert list(await database.examine("a.py")) == ["A"]
        assert list(await database.examine(str(tmp_path / "b.py"), use_repository=False)) == ["B"]
        with pytest.raises(WorkerError, match=r"bad\.py"):
            await database.examine("bad.py")


def test_directories_are_listed_with_a_separator(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    write(tmp_path / "a.py", "")
    database = ExperimentDB.__new__(ExperimentDB)
    assert database.list_directory(str(tmp_path)) == ["a.py", "d" + os.sep]
    assert "/tmp/" in database.list_directory("")


async def test_a_bare_repository_is_scanned_at_its_head_and_old_commits_stay_while_in_use(tmp_path: Path) -> None:
    bare, work = tmp_path / "bare.git", tmp_path / "work"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    git(tmp_path, "clone", "-q", str(bare), str(work))
    repository = GitRepository(str(bare))
    with pytest.raises(RepositoryError, match="no commit yet"):
        await repository.head()
    write(work / "a.py", EXPERIMENT.format("A", "1"))
    first = commit(work, "first\n\nbody")
    git(work, "push", "-q", "origin", "HEAD:main")
    async with experiment_db(bare, git=True) as database:
        await database.scan_repository()
        assert database.status.raw_view["cur_rev"] == first
        held = await database.request(None)
        assert held.revision == first and held.message == "first\n\nbody"
        write(work / "a.py", EXPERIMENT.format("A", "2"))
        second = commit(work, "second")
        git(work, "push", "-q", "origin", "HEAD:main")
        assert (await database.request(None)).revision == first  # not before a scan
        await database.scan_repository()
        assert database.status.raw_view["cur_rev"] == second
        assert database.notifier.raw_view["A"]["arginfo"]["a"][0]["default"] == "2"
        other = await database.request("HEAD~1")
        assert other.path == held.path and '"1"' in Path(held.path, "a.py").read_text()
        with pytest.raises(RepositoryError, match="no commit 'nonsense'"):
            await database.request("nonsense")
        for _ in range(3):
            assert Path(held.path).exists()
            database._repository.release(first)
        async with asyncio.timeout(10):
            while Path(held.path).exists():
                await asyncio.sleep(0.01)
        current = database._current
        assert current is not None and Path(current.path).exists()
    assert not Path(current.path).exists()


MASTER_WITH_CHECKOUT = """
import time
from corelog.master.checkout_folder import CheckoutFolder
folder = CheckoutFolder()
print(folder.make("x-"), flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def master_with_checkout(temporary: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    with subprocess.Popen([sys.executable, "-c", MASTER_WITH_CHECKOUT], stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"TMPDIR": str(temporary)}) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_checkouts_of_a_killed_master_are_removed_and_those_of_living_ones_stay(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    foreign = tmp_path / "corelog-checkouts-of-nobody"
    foreign.mkdir()
    with master_with_checkout(tmp_path) as (process, abandoned), master_with_checkout(tmp_path) as (_, in_use):
        process.kill()
        process.wait()
        folder = CheckoutFolder()
        own = Path(folder.make("y-"))
        assert own.is_dir() and in_use.is_dir() and foreign.is_dir()
        assert not abandoned.parent.exists()
        folder.remove()
        assert not own.parent.exists() and in_use.is_dir()


async def test_the_working_copy_is_neither_read_nor_touched(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    write(tmp_path / "a.py", EXPERIMENT.format("A", "committed"))
    write(tmp_path / "gone.py", EXPERIMENT.format("Gone", ""))
    commit(tmp_path, "first")
    write(tmp_path / "a.py", EXPERIMENT.format("A", "not committed"))
    (tmp_path / "gone.py").unlink()
    write(tmp_path / "new.py", EXPERIMENT.format("New", ""))
    git(tmp_path, "add", "new.py")
    before = git(tmp_path, "status", "--porcelain")
    async with experiment_db(tmp_path, git=True) as database:
        await database.scan_repository()
        assert set(database.notifier.raw_view) == {"A", "Gone"}
        assert database.notifier.raw_view["A"]["arginfo"]["a"][0]["default"] == "committed"
    assert git(tmp_path, "status", "--porcelain") == before


async def test_many_who_want_a_commit_at_once_share_one_checkout(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    for number in range(50):
        write(tmp_path / f"{number}.py", "x = 1")
    commit(tmp_path, "first")
    repository = GitRepository(str(tmp_path))
    checkouts = await asyncio.gather(*(repository.request("main") for _ in range(8)))
    assert len({checkout.path for checkout in checkouts}) == 1
    assert len(os.listdir(checkouts[0].path)) == 50
    await repository.close()
    assert not Path(checkouts[0].path).exists()


async def test_interactive_arguments_are_published_until_they_are_supplied_or_cancelled() -> None:
    database = InteractiveArgDB()
    asking = asyncio.create_task(database.get(3, [["x", {"ty": "StringValue"}, None, None]], "Where?"))
    await asyncio.sleep(0)
    assert database.notifier.raw_view == {
        3: {"title": "Where?", "arglist_desc": [("x", {"ty": "StringValue"}, None, None)]}}
    with pytest.raises(ValueError, match="does not ask for y"):
        database.supply(3, {"y": 1})
    with pytest.raises(ValueError, match="RID 4"):
        database.cancel(4)
    database.supply(3, {"x": "here"})
    assert await asking == {"x": "here"}
    assert database.notifier.raw_view == {}
    asking = asyncio.create_task(database.get(3, [], ""))
    await asyncio.sleep(0)
    database.cancel(3)
    assert await asking is None
    asking = asyncio.create_task(database.get(3, [], ""))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert database.notifier.raw_view == {}
