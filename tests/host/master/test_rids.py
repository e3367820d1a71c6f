"""Run identifiers through restarts, crashes and lost files."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from corelog.master.rids import RIDCounter, last_rid_of_results


def counter(folder: Path) -> RIDCounter:
    return RIDCounter(folder / "last_rid.pyon", folder / "results")


def result(folder: Path, name: str) -> None:
    path = folder / "results" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_first_master_in_a_folder_counts_from_zero_and_the_file_is_as_documented(tmp_path: Path) -> None:
    rids = counter(tmp_path)
    assert (tmp_path / "last_rid.pyon").read_bytes() == b"-1\n"
    assert [rids.get() for _ in range(3)] == [0, 1, 2] and rids.last == 2
    assert (tmp_path / "last_rid.pyon").read_bytes() == b"2\n"
    assert counter(tmp_path).get() == 3
    assert os.listdir(tmp_path) == ["last_rid.pyon"]


@pytest.mark.parametrize("content", [None, b"", b"seven", b"-5\n", b"\xff"])
def test_lost_or_spoilt_file_is_recovered_from_result_names(tmp_path: Path, content: bytes | None,
                                                            caplog: pytest.LogCaptureFixture) -> None:
    for name in ("2026-01-31/23/000000041-Scan.h5", "2016-01-31/23-59/000000007-Old.h5",
                 "2026-01-31/23/000000099-Scan.h5.part", "2026-01-31/23/99-Scan.h5", "2026-01-31/notes/000000098-A.h5",
                 "backup/23/000000097-A.h5", "2026-01-31/22/.000000096-A.h5.1.part", "2026-02-01"):
        result(tmp_path, name)
    if content is not None:
        (tmp_path / "last_rid.pyon").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert counter(tmp_path).get() == 42
    assert "RID 41" in caplog.text and ("does not hold a RID" in caplog.text) == (content is not None)


def test_older_file_brought_back_gives_no_identifier_of_the_newest_results_again(tmp_path: Path) -> None:
    rids = counter(tmp_path)
    assert [rids.get() for _ in range(2)] == [0, 1]
    result(tmp_path, "2026-01-31/23/000000041-Scan.h5")
    assert counter(tmp_path).get() == 42
    for day in (28, 29, 30):
        result(tmp_path, f"2026-01-{day}/23/000000099-Scan.h5")
    (tmp_path / "results/2026-01-30/23/000000099-Scan.h5").unlink()
    assert counter(tmp_path).get() == 43  # what older days hold was given by the file


def test_ten_digits_are_a_result_too(tmp_path: Path) -> None:
    result(tmp_path, "2026-01-31/23/1234567890-Scan.h5")
    assert last_rid_of_results(tmp_path / "results") == 1234567890


def test_identifier_that_cannot_be_written_is_not_given(tmp_path: Path) -> None:
    rids = counter(tmp_path)
    (tmp_path / ".last_rid.pyon.new").mkdir()
    with pytest.raises(OSError):
        rids.get()
    (tmp_path / ".last_rid.pyon.new").rmdir()
    assert rids.get() == 0


def test_no_identifier_is_given_twice_through_twenty_sigkills(tmp_path: Path) -> None:
    program = ("import sys; from corelog.master.rids import RIDCounter\n"
               "rids = RIDCounter(sys.argv[1], sys.argv[2])\n"
               "while True: print(rids.get(), flush=True)")
    given: list[int] = []
    for lines in range(20):
        with subprocess.Popen([sys.executable, "-c", program, tmp_path / "last_rid.pyon", tmp_path / "results"],
                              stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            given += [int(process.stdout.readline()) for _ in range(1 + lines)]
            process.send_signal(signal.SIGKILL)
            given += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    assert given == sorted(set(given)), "given twice or out of order"
