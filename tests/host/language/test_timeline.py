"""Symbolic times and when the timeline asks the device."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelog.experiment import at_mu, delay_mu, now_mu, rpc
from corelog.language.core import timeline
from corelog.language.timeline import MuTime
from corelog.wire.session import Program
from support.model_core import ModelCore, emit


def run(body: Callable[[], Any], core: ModelCore | None = None) -> tuple[Any, ModelCore]:
    core = core or ModelCore()
    return core.run(body, (), {}), core


def test_differences_and_comparisons_within_a_stretch_ask_nothing() -> None:
    def body() -> None:
        emit(1)
        start = now_mu()
        delay_mu(30)
        end = now_mu()
        assert end - start == 30 and start < end and end >= start and start + 30 == end and end != start
        assert end - 30 == start and 5 + start > start
        assert core.device.programs == 0

    core = ModelCore()
    core.run(body, (), {})
    assert core.device.programs == 1


def test_value_of_a_time_plays_what_was_recorded_and_is_the_devices() -> None:
    def body() -> None:
        delay_mu(7)
        emit(3)
        before = now_mu()
        timeline().reset(500)
        after = now_mu()
        delay_mu(2)
        assert f"{before}" == "5007"
        assert core.device.events == [(5007, 3, 0, 1)]
        assert core.device.programs == 1
        assert int(after) == core.device.counter + 500
        assert after - before == int(after) - int(before)
        assert core.device.programs == 1
        emit(4)

    core = ModelCore()
    core.run(body, (), {})
    assert core.device.programs == 2
    assert core.device.events[1][0] == core.device.cursor


def test_time_behaves_as_an_int() -> None:
    def body() -> None:
        delay_mu(3)
        time = now_mu()
        assert (time * 2, time // 8, time % 8, time & 7, time >> 1, time / 2, 10000 - time) == (
            10006, 625, 3, 3, 2501, 2501.5, 4997)
        assert str(time) == "5003" and hash(time) == hash(5003) and list(range(5003))[time - 1] == 5002
        assert repr(time) == "MuTime(5000+3)"
        with pytest.raises(TypeError):
            time + 1.5

    run(body)


def test_kernels_value_is_a_plain_int_and_times_outlive_the_kernel() -> None:
    kept: list[MuTime] = []

    def body() -> MuTime:
        delay_mu(11)
        kept.append(now_mu())
        return now_mu()

    value, core = run(body)
    assert int(value) == 5011 and int(kept[0]) == 5011
    assert core.device.programs == 1

    def second() -> None:
        at_mu(kept[0] + 1)
        emit(1)

    core.run(second, (), {})
    assert core.device.events == [(5012, 1, 0, 1)]


def test_empty_kernel_plays_nothing() -> None:
    _, core = run(lambda: None)
    assert core.device.programs == 0


def test_pure_delay_moves_the_devices_cursor() -> None:
    _, core = run(lambda: delay_mu(-40))
    assert core.device.cursor == 4960


def test_program_of_another_in_between_does_not_move_this_kernels_timeline() -> None:
    def body() -> None:
        emit(1)
        timeline().counter()
        foreign = Program()
        foreign.delay(100_000)
        core.device.play(foreign.encode())
        delay_mu(5)
        emit(2)

    core = ModelCore()
    core.run(body, (), {})
    assert [time for time, *_ in core.device.events] == [5000, 5005]
    assert core.device.cursor == 5005


def test_return_to_a_time_before_break_realtime_keeps_the_order_of_events() -> None:
    def body() -> None:
        start = now_mu()
        emit(1)
        timeline().break_realtime(100_000)
        emit(2)
        at_mu(start)
        emit(3)

    _, core = run(body)
    times = [time for time, *_ in core.device.events]
    assert times[0] == times[2] == 5000 and times[1] > 100_000


def test_recording_longer_than_the_device_takes_is_played_in_parts() -> None:
    def body() -> None:
        for _ in range(500):
            emit(1)
            delay_mu(10)

    core = ModelCore(longest=300)
    core.run(body, (), {})
    assert [time for time, *_ in core.device.events] == [5000 + 10 * i for i in range(500)]
    assert core.device.cursor == 10_000
    assert 30 < core.device.programs < 60


def test_input_plays_what_was_recorded_and_reads_until_the_given_time() -> None:
    def body() -> None:
        gate_end = now_mu() + 100
        emit(1)
        delay_mu(300)
        assert timeline().input(8, gate_end) == (5050, 1)
        assert core.device.events
        assert timeline().input(8, int(gate_end)) is None
        assert timeline().count(8, now_mu()) == 1

    core = ModelCore()
    core.device.inputs = [(8, 5050, 1), (8, 5200, 0)]
    core.run(body, (), {})
    assert core.device.cursor == 5300


def test_rpc_runs_after_what_was_recorded_before_it_unless_async() -> None:
    seen: list[int] = []

    @rpc
    def sync() -> None:
        seen.append(len(core.device.events))

    @rpc(flags={"async"})
    def unordered() -> None:
        seen.append(len(core.device.events))

    def body() -> None:
        emit(1)
        unordered()
        emit(2)
        sync()

    core = ModelCore()
    core.run(body, (), {})
    assert seen == [0, 2]


def test_time_of_a_program_that_was_stopped_is_an_error_not_a_guess() -> None:
    lost: list[MuTime] = []

    def body() -> None:
        delay_mu(5)
        timeline().reset(10)
        lost.append(now_mu())
        emit(1)
        core.fail_next = ArithmeticError("stopped")
        with pytest.raises(ArithmeticError):
            timeline().flush()
        emit(2)
        with pytest.raises(RuntimeError, match="not known"):
            int(lost[0])

    core = ModelCore()
    core.run(body, (), {})
    assert core.device.events == [(5000, 2, 0, 1)]
    with pytest.raises(RuntimeError, match="not known"):
        int(lost[0])


STEPS = st.one_of(
    st.tuples(st.just("delay"), st.integers(-1000, 1000)), st.tuples(st.just("emit"), st.integers(0, 99)),
    st.tuples(st.just("keep"), st.just(0)), st.tuples(st.just("return"), st.integers(0, 20)),
    st.tuples(st.just("absolute"), st.integers(0, 10_000)), st.tuples(st.just("reset"), st.integers(0, 3000)),
    st.tuples(st.just("break"), st.integers(0, 9000)), st.tuples(st.just("flush"), st.just(0)),
    st.tuples(st.just("ask"), st.integers(0, 20)), st.tuples(st.just("compare"), st.integers(0, 20)))


@given(st.lists(STEPS, max_size=40), st.integers(80, 300))
def test_any_program_gives_the_events_and_times_of_one_that_is_executed_step_by_step(
        steps: list[tuple[str, int]], longest: int) -> None:
    core = ModelCore(longest)
    core.device.tick = 0
    counter, cursor = core.device.counter, core.device.cursor
    events: list[tuple[int, int]] = []
    times: list[int] = []  # what `keep` kept, naively

    def body() -> None:
        nonlocal cursor
        kept: list[MuTime] = []
        for step, n in steps:
            if step == "delay":
                delay_mu(n)
                cursor += n
            elif step == "emit":
                emit(n)
                events.append((cursor % 2**64, n))
            elif step == "keep":
                kept.append(now_mu())
                times.append(cursor)
            elif step == "absolute":
                at_mu(n)
                cursor = n
            elif step == "reset":
                timeline().reset(n)
                cursor = counter + n
            elif step == "break":
                timeline().break_realtime(n)
                cursor = max(cursor % 2**64, counter + n)
            elif step == "flush":
                timeline().flush()
            elif kept:
                i = n % len(kept)
                if step == "return":
                    at_mu(kept[i])
                    cursor = times[i]
                elif step == "ask":
                    assert int(kept[i]) == times[i] % 2**64
                elif times[i] >= 0 and cursor >= 0:
                    assert (kept[i] < now_mu()) == (times[i] < cursor)
                    assert now_mu() - kept[i] == cursor - times[i]

    core.run(body, (), {})
    assert [(time, channel) for time, channel, _, _ in core.device.events] == events
    assert core.device.cursor == cursor % 2**64


def test_float_machine_units_are_refused() -> None:
    def body() -> None:
        with pytest.raises(TypeError, match=r"delay\(\) takes seconds"):
            delay_mu(1.5)  # type: ignore[arg-type]

    run(body)
