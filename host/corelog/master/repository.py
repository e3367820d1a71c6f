"""Where experiments come from: a folder as it is, or the commits of a git repository (bare or not).

Whoever uses a revision asks for it with `request`, and says `release` when done. A folder has one revision, "N/A".
A commit is checked out into a temporary directory of its own while somebody uses it; the working copy, if there is
one, is never read or touched.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from corelog.master.checkout_folder import CheckoutFolder, say

logger = logging.getLogger(__name__)

NO_REVISION = "N/A"


class RepositoryError(Exception):
    """The repository or a revision of it cannot be had; the text is one line."""


class Checkout(NamedTuple):
    """A revision that can be read at `path`."""

    revision: str
    path: str
    message: str | None
    """What its author said about it."""


class Repository(Protocol):
    root: str

    async def head(self) -> str:
        """The newest revision. Raises RepositoryError."""

    async def request(self, revision: str) -> Checkout:
        """A revision, or what a reference (branch, tag, abbreviated commit) stands for. Raises RepositoryError."""

    def release(self, revision: str) -> None:
        """A `Checkout.revision` that was requested is no longer needed, so often as it was."""

    async def close(self) -> None: ...


def open_repository(root: str, git: bool) -> Repository:
    """Raises RepositoryError."""
    return GitRepository(root) if git else Folder(root)


class Folder:
    """Files as they are at the moment."""

    def __init__(self, root: str):
        self.root = os.path.abspath(root)

    async def head(self) -> str:
        return NO_REVISION

    async def request(self, revision: str) -> Checkout:
        return Checkout(NO_REVISION, self.root, None)

    def release(self, revision: str) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass
class _Use:
    making: asyncio.Task[str]
    users: int = 0


class GitRepository:
    """Commits, each checked out while it is in use."""

    def __init__(self, root: str):
        self.root = os.path.abspath(root)
        try:
            import pygit2
        except ImportError:
            raise RepositoryError("a git repository needs the Python package pygit2") from None
        self._pygit2 = pygit2
        self._open()
        self._folder = CheckoutFolder()
        self._in_use: dict[str, _Use] = {}
        self._removals: set[asyncio.Task[None]] = set()

    def _open(self) -> Any:
        """A new one for each thread, and each look: others push into it at any time."""
        try:
            return self._pygit2.Repository(self.root)
        except self._pygit2.GitError:
            raise RepositoryError(f"{self.root} is not a git repository") from None

    def _commit(self, repository: Any, reference: str) -> Any:
        try:
            return repository.revparse_single(reference).peel(self._pygit2.Commit)
        except (KeyError, ValueError, self._pygit2.GitError):
            if reference == "HEAD":
                raise RepositoryError(f"the git repository {self.root} has no commit yet") from None
            raise RepositoryError(f"the git repository {self.root} has no commit {reference!r}") from None

    def _resolve(self, reference: str) -> tuple[str, str]:
        commit = self._commit(self._open(), reference)
        return str(commit.id), commit.message.strip()

    async def head(self) -> str:
        return (await asyncio.to_thread(self._resolve, "HEAD"))[0]

    async def request(self, revision: str) -> Checkout:
        commit, message = await asyncio.to_thread(self._resolve, revision)
        use = self._in_use.get(commit)
        if use is None:
            use = self._in_use[commit] = _Use(asyncio.create_task(asyncio.to_thread(self._check_out, commit)))
        use.users += 1
        try:
            path = await asyncio.shield(use.making)
        except BaseException:
            self.release(commit)
            raise
        return Checkout(commit, path, message)

    def _check_out(self, commit: str) -> str:
        repository = self._open()
        strategy = self._pygit2.enums.CheckoutStrategy
        path = None
        try:
            path = self._folder.make(f"{commit[:12]}-")
            repository.checkout_tree(repository[commit].tree, directory=path, strategy=(
                strategy.FORCE | strategy.DONT_UPDATE_INDEX | strategy.DONT_WRITE_INDEX))
        except (OSError, self._pygit2.GitError) as error:
            if path is not None:
                shutil.rmtree(path, ignore_errors=True)
            raise RepositoryError(f"commit {commit} cannot be checked out: {error}") from error
        return path

    def release(self, revision: str) -> None:
        use = self._in_use[revision]
        use.users -= 1
        if use.users == 0:
            del self._in_use[revision]
            task = asyncio.create_task(self._remove(use.making))
            self._removals.add(task)
            task.add_done_callback(self._removals.discard)

    async def _remove(self, making: asyncio.Task[str]) -> None:
        try:
            path = await making
        except RepositoryError:
            return
        await asyncio.to_thread(shutil.rmtree, path, onerror=say)

    async def close(self) -> None:
        """Removes all checkouts."""
        for revision, use in list(self._in_use.items()):
            use.users = 1
            self.release(revision)
        if self._removals:
            await asyncio.wait(set(self._removals))
        await asyncio.to_thread(self._folder.remove)
