"""Building the simulated board: what is redone when, and how failures are told."""

import sys
import threading
from pathlib import Path

import pytest

from corelog_gateware.simulator import build, model
from corelog_gateware.simulator.paths import BuildError


def test_a_step_counts_as_done_only_after_it_ended_well(tmp_path: Path) -> None:
    stamp = tmp_path / "stamp"
    assert not build.is_fresh(stamp, "key")
    with pytest.raises(RuntimeError), build.step(stamp, "key"):
        raise RuntimeError("interrupted")
    assert not build.is_fresh(stamp, "key")
    with build.step(stamp, "key"):
        assert not build.is_fresh(stamp, "key")
    assert build.is_fresh(stamp, "key")
    assert not build.is_fresh(stamp, "another key")
    with pytest.raises(RuntimeError), build.step(stamp, "another key"):
        raise RuntimeError("interrupted")
    assert not build.is_fresh(stamp, "key")


def test_the_key_changes_with_name_content_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("x")
    two.write_text("y")
    keys = [build.digest([one, two]), build.digest([one]), build.digest([one, two], ["-O2"])]
    assert build.digest([two, one]) == keys[0]
    two.write_text("z")
    keys.append(build.digest([one, two]))
    one.write_text("z")
    two.write_text("x")
    keys.append(build.digest([one, two]))
    assert len(set(keys)) == len(keys)


def test_a_tool_that_fails_is_told_in_one_line_that_names_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(BuildError) as failed:
        model.run_logged([sys.executable, "-c", "print('the reason'); raise SystemExit(3)"], log, "doing a thing")
    assert str(failed.value) == f"doing a thing failed (exit status 3), see {log}"
    assert "the reason" in log.read_text()


def test_a_tool_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"cannot run /no/such/tool"):
        model.run_logged(["/no/such/tool"], tmp_path / "log", "doing a thing")


def test_firmware_that_is_not_there_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(BuildError, match="is not a file"):
        build.build(firmware=tmp_path / "missing", out=said.append)
    assert said == []


def test_a_second_build_waits_for_the_first_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "BUILD", tmp_path)
    said: list[str] = []
    waiting, entered = threading.Event(), threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waiting.set()

    def second() -> None:
        with build.lock(build.Progress(say)):
            entered.set()

    thread = threading.Thread(target=second)
    with build.lock(build.Progress(said.append)):
        thread.start()
        assert waiting.wait(10.0)
        assert not entered.is_set()
    assert entered.wait(10.0)
    thread.join(10.0)
    assert len(said) == 1 and "waiting for another build" in said[0]
