"""What a run of `make hil` was about, as JSON: boards, their identities, the commits of all parts, what came of it."""

import json
import re
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.wire.mgmt import Identity
from support.bench import ROOT
from support.lab import LabBench

COMMIT = re.compile(r"(?<![0-9a-f])[0-9a-f]{7,40}(?![0-9a-f])")


def git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def tree_commit(*folders: str) -> dict[str, Any]:
    """Of what is in the folders of this tree, and whether they differ from it."""
    return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "--", *folders))}


def part(ident: str, tree: dict[str, Any] | None) -> dict[str, Any]:
    """A part of a board by its ident; where that names no commit, by the tree that it was built from, if known."""
    found = COMMIT.search(ident)
    if found:
        return {"ident": ident, "commit": found[0], "said_by": "ident"}
    if tree is None:
        return {"ident": ident, "commit": None, "said_by": "nobody: the ident names no commit"}
    return {"ident": ident, **tree, "said_by": "the tree that it was built from"}


class Results:
    """A pytest plugin; `record` the benches as they come into use."""

    def __init__(self, environment: str, path: Path):
        self.path = path
        self.began = time.monotonic()
        self.boards: dict[str, Any] = {}
        self.outcomes: dict[str, list[str]] = {}
        self.reasons: dict[str, str] = {}
        self.run: dict[str, Any] = {
            "environment": environment,
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": tree_commit("host", "tests", "examples"),
        }
        # What simulated boards are built from.
        self.trees = {name: tree_commit(name) for name in ("gateware", "firmware")}

    async def record(self, bench: LabBench) -> None:
        """Who the bench's boards are; once."""
        if bench.role in self.boards:
            return
        boards = []
        for destination in range(bench.satellites + 1):
            async with AsyncMgmt(str(bench.address), destination=destination, timeout=30.0) as device:
                boards.append(self._board(destination, await device.identify(), bench.simulated))
        self.boards[bench.role] = {"address": bench.address, "simulated": bench.simulated, "boards": boards}

    def _board(self, destination: int, identity: Identity, simulated: bool) -> dict[str, Any]:
        return {
            "destination": destination,
            "board_id": f"{identity.board_id:016x}",
            "boot_id": f"{identity.boot_id:016x}",
            "gateware": part(identity.gateware, self.trees["gateware"] if simulated else None),
            "firmware": part(identity.firmware, self.trees["firmware"] if simulated else None),
        }

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            outcome = report.outcome if report.when == "call" or report.skipped else "error"
            self.outcomes.setdefault(outcome, []).append(report.nodeid)
            if report.skipped and isinstance(report.longrepr, tuple):
                self.reasons[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")

    @pytest.hookimpl
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({
            **self.run,
            "seconds": round(time.monotonic() - self.began, 1),
            "exit_status": int(exitstatus),
            "targets": self.boards,
            "counts": {outcome: len(tests) for outcome, tests in sorted(self.outcomes.items())},
            "passed": self.outcomes.get("passed", []),
            "not_passed": {outcome: tests for outcome, tests in self.outcomes.items()
                           if outcome not in ("passed", "skipped")},
            "skipped": self.reasons,
        }, indent=1) + "\n")

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(f"results: {self.path} and junit.xml beside it")
