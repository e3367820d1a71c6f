"""The output path with longer random sequences, other sizes, busy channels, delays, underflow, spreading and resets."""

import random

import pytest
from rtio_bench import (
    BUSY,
    COLLISION,
    CORES,
    EIGHT,
    EIGHT_FEW_REPORTS,
    FIVE,
    FOUR,
    ONE,
    SEQUENCE,
    TWO,
    TWO_SHALLOW,
    Busy,
    Config,
    Event,
    Report,
    core,
    expect,
    play,
    submit,
)

UNDERFLOW, UNREACHABLE, IGNORED = 2, 4, 8
MARGIN = 12


def lead(config: Config, events: int) -> int:
    """Coarse cycles in which that many events can be submitted before the first one's time."""
    return 24 + events * (config.lanes + 10)


def random_events(rng: random.Random, config: Config, count: int, window: int) -> list[Event]:
    """Events at coarse times 8 to 8 + window - 1, with few fine times and addresses so that many conflict."""
    fine, addresses = rng.choice((1, 2, 8)), rng.choice((1, 2, 200))
    return [
        Event(
            rng.randrange(len(config.replace)),
            8 * (8 + rng.randrange(window)) + rng.randrange(fine),
            rng.randrange(addresses),
            data,
        )
        for data in range(1, count + 1)
    ]


def quiet(config: Config) -> int:
    """Coarse time (relative) by which events of a batch and their reports are through."""
    return 8 + 200 + max(config.delays, default=0)


@pytest.mark.parametrize("config", [EIGHT, FIVE, ONE], ids=lambda config: f"{config.lanes}lanes")
@pytest.mark.parametrize("with_busy", [False, True], ids=["never_busy", "busy"])
def test_random_sequences_execute_and_report_as_the_model(config: Config, with_busy: bool) -> None:
    seed = 4711 + with_busy
    print(f"seed {seed}")
    rng = random.Random(seed)
    cases, lines = [], ["P 256"]
    for _ in range(300):
        events = random_events(rng, config, count=rng.randrange(1, 41), window=rng.randrange(1, 15))
        busy = Busy({}, {})
        if with_busy:
            channels = range(len(config.replace))
            lengths = {n: rng.randrange(1, 33) for n in channels}
            busy = Busy(
                {n: (length, rng.getrandbits(length) & rng.getrandbits(length)) for n, length in lengths.items()},
                {n: rng.choice((0, 0, 1, 2, 5, 64)) for n in channels},
            )
        lines += [f"B {lead(config, len(events))}", *busy.script(), *map(submit, events), f"W {quiet(config)}", "T"]
        cases.append((events, busy))
    results = play(core(config), lines)
    kinds = set()
    for (events, busy), result in zip(cases, results[:-1], strict=True):
        assert result.statuses == [0] * len(events)
        expected = expect(events, config, busy=busy)
        assert result.sorted() == expected, f"events {events}"
        kinds |= {report.kind for report in expected.reports}
    # Events that meet in one cycle are needed for a collision, so one lane gives none.
    assert kinds == {SEQUENCE} | ({COLLISION} if config.lanes > 1 else set()) | ({BUSY} if with_busy else set())


def test_all_lanes_full_and_eight_events_in_each_of_sixteen_cycles_in_a_row_lose_nothing() -> None:
    config = EIGHT
    seed = 99
    print(f"seed {seed}")
    rng = random.Random(seed)
    cases, lines = [], ["P 256"]
    for kinds in (1, 2, 4, 1, 2, 4):
        rows = []
        for _ in range(config.lanes):
            skip = rng.choice((0, 0, 3))
            rows += [
                Event(rng.randrange(kinds), 8 * (8 + t) + rng.randrange(2), rng.randrange(2), len(rows) * 16 + t)
                for t in range(16)
                if not (skip and rng.randrange(skip) == 0)
            ]
        events = [event._replace(data=data) for data, event in enumerate(rows, start=1)]
        lines += [f"B {lead(config, len(events))}", *map(submit, events), f"W {quiet(config)}", "T"]
        cases.append(events)
    for events, result in zip(cases, play(core(config), lines), strict=False):
        assert result.statuses == [0] * len(events)
        assert result.sorted() == expect(events, config)


@pytest.mark.parametrize("config", [TWO_SHALLOW, FOUR, TWO], ids=lambda config: f"depth{config.depth}")
def test_submission_waits_while_its_lane_is_full_and_is_refused_only_when_it_became_too_late(config: Config) -> None:
    depth = config.depth
    immediate = config.lanes + 7  # cycles of a submission that need not wait
    seed = 5 + depth
    print(f"seed {seed}")
    rng = random.Random(seed)
    cases, lines = [], ["P 256"]
    for _ in range(200):
        count = rng.randrange(depth + 1, 6 * depth + 6)
        window = rng.choice((20, 40, 150))
        times = sorted(8 * (8 + rng.randrange(window)) + rng.randrange(2) for _ in range(count))
        if rng.randrange(2):
            rng.shuffle(times)
        events = [Event(rng.randrange(2), time, 0, data) for data, time in enumerate(times, start=1)]
        lines += [f"B {lead(config, count)}", *map(submit, events), "W 260", "T"]
        cases.append(events)
    refused = waited = 0
    for events, result in zip(cases, play(core(config), lines), strict=False):
        assert set(result.statuses) <= {0, UNDERFLOW}
        assert result.sorted() == expect(events, config, result.statuses), f"events {events}"
        begin = -lead(config, len(events))
        for event, status, now in zip(events, result.statuses, result.times, strict=True):
            slack, duration = (event.time >> 3) - (now - 1), now - begin
            begin = now
            if status == UNDERFLOW and duration >= immediate:
                assert slack == MARGIN, "not refused in the first cycle in which it was too late"
                refused += 1
            elif status == UNDERFLOW:
                assert slack <= MARGIN
            else:
                # A sequence error is known a cycle earlier.
                assert slack > MARGIN and duration >= immediate - 1
                waited += duration > immediate
    assert refused > 20 and waited > 20, f"{refused} refused, {waited} waited"


def test_underflow_threshold_is_12_refused_13_accepted_and_the_latest_accepted_event_is_on_time() -> None:
    config = EIGHT
    lines = ["P 256"]
    slacks = range(60)
    for coarse in slacks:
        lines += ["B 0", submit(Event(0, 8 * coarse + 7, 0, 1)), "W 100", "T"]
    accepted, refused = set(), set()
    for coarse, result in zip(slacks, play(core(config), lines), strict=False):
        slack = coarse - (result.times[0] - 1)
        if result.statuses == [0]:
            accepted.add(slack)
            assert result.executions == [(0, coarse, 1, 0, 7)]
        else:
            assert result.statuses == [UNDERFLOW]
            refused.add(slack)
            assert result.executions == []
        assert result.reports == []
    assert min(accepted) == MARGIN + 1
    assert max(refused) == MARGIN


@pytest.mark.parametrize("config", [EIGHT, ONE], ids=["eight", "one"])
def test_every_bit_of_the_time_counts_at_release_and_in_the_lanes(config: Config) -> None:
    lines = ["P 256"]
    powers = range(6, 60)
    for power in powers:
        # They differ in one high bit: the late one is not executed soon, and its lane takes nothing earlier.
        late, soon = Event(0, 8 * (2**power + 10), 0, 1), Event(1, 8 * 10, 0, 2)
        lines += ["B 60", submit(late), submit(soon), "W 40", "R", "N 1", "T"]
    for power, result in zip(powers, play(core(config), lines), strict=False):
        assert result.statuses == [0, 0], f"bit {power}"
        if config is ONE:
            assert result.executions == [] and result.reports == [(SEQUENCE, 1, 80)], f"bit {power}"
        else:
            assert result.executions == [(1, 10, 2, 0, 0)] and result.reports == [], f"bit {power}"


@pytest.mark.parametrize("time", [-8, -300, 0])
def test_event_in_the_past_is_refused_as_underflow_even_if_no_lane_could_take_it(time: int) -> None:
    config = ONE
    lines = ["P 256", "B 60", submit(Event(0, 800, 0, 1)), "W 20", submit(Event(0, time, 0, 2)), "W 160"]
    result = play(core(config), lines)[0]
    assert result.statuses == [0, UNDERFLOW]
    assert result.reports == []


@pytest.mark.parametrize("config", CORES, ids=lambda config: f"{config.lanes}lanes")
def test_one_descending_event_more_than_lanes_gives_a_sequence_error_with_its_channel_and_time(config: Config) -> None:
    lanes = config.lanes
    channel = len(config.replace) - 1
    events = [Event(channel, 8 * (100 - n) + 3, 0, n) for n in range(lanes + 1)]
    lines = ["P 256", f"B {lead(config, len(events))}", *map(submit, events), "W 150"]
    result = play(core(config), lines)[0]
    assert result.statuses == [0] * (lanes + 1), "a sequence error is no status of the submission"
    assert result.reports == [Report(SEQUENCE, channel, events[-1].time)]
    assert len(result.executions) == lanes


def test_a_lane_far_from_the_current_one_is_found() -> None:
    # Lanes 0 to 7 end at 107 to 100; then 7 is used up to 120, so only lanes 0 to 6 are left for 110, and for 105 only
    # those that end before it: not the next one, which upstream's distributor would look at alone.
    config = EIGHT
    times = [107, 106, 105, 104, 103, 102, 101, 100, 120, 105, 104]
    events = [Event(0, 8 * time, 0, n) for n, time in enumerate(times, start=1)]
    result = play(core(config), ["P 256", f"B {lead(config, 12)}", *map(submit, events), "W 200"])[0]
    assert result.sorted() == expect(events, config)
    assert result.reports == []


def test_unknown_channels_are_unreachable_and_a_submission_during_another_is_marked_as_ignored() -> None:
    config = TWO
    event = Event(0, 800, 0, 1)
    lines = ["P 256", "B 60"]
    lines += [submit(event._replace(channel=channel)) for channel in (4, 5, 6, 255, 65536, 2**24 - 1)]
    lines += ["s 0 800 0 1", "s 1 808 0 2", "N 30", "o", submit(Event(0, 816, 0, 3)), "W 140"]
    result = play(core(config), lines)[0]
    assert result.statuses == [UNREACHABLE] * 6 + [IGNORED, 0]
    assert result.executions == [(0, 100, 1, 0, 0), (0, 102, 3, 0, 0)]
    assert result.reports == []


def test_spreading_moves_to_another_lane_when_the_current_one_is_full() -> None:
    config = FOUR
    events = [Event(0, 8 * (100 + n), 0, n + 1) for n in range(9)]
    lines = []
    for spread in (0, 1):
        lines += [f"X {spread}", f"B {lead(config, 9)}", *map(submit, events[: 8 + 1]), "W 250", "T"]
    plain, spread, _ = play(core(config), lines)
    # Without it the third event waits for the first one's release; with it eight fit before anything is released.
    assert [now < 0 for now in plain.times] == [True] * 2 + [False] * 7
    assert [now < 0 for now in spread.times] == [True] * 8 + [False]
    assert [execution.data for execution in spread.executions] == [1, 2, 3, 4, 5, 6, 7, 8] + (
        [9] if spread.statuses[8] == 0 else []
    )
    assert spread.statuses[:8] == [0] * 8


def test_spread_random_sequences_conserve_every_event() -> None:
    config = FOUR
    seed = 31
    print(f"seed {seed}")
    rng = random.Random(seed)
    cases, lines = [], ["P 256", "X 1"]
    for _ in range(300):
        events = random_events(rng, config, count=rng.randrange(1, 20), window=100)
        lines += [f"B {lead(config, len(events))}", *map(submit, events), "W 200", "T"]
        cases.append(events)
    for events, result in zip(cases, play(core(config), lines), strict=False):
        # The lanes taken depend on how full they are; what was dropped is known from the reports.
        dropped = [(report.channel, report.time) for report in result.reports if report.kind == SEQUENCE]
        done = {execution.data for execution in result.executions}
        undecided = []
        for event, status in zip(events, result.statuses, strict=True):
            if status != 0 or (event.data not in done and (event.channel, event.time) in dropped):
                if status == 0:
                    dropped.remove((event.channel, event.time))
                continue
            undecided.append(event)
        assert dropped == []
        expected = expect(undecided, Config(config.replace, lanes=100))
        assert sorted(result.executions) == expected.executions
        assert sorted(report for report in result.reports if report.kind != SEQUENCE) == expected.reports


def test_core_reset_drops_waiting_events_and_forgets_lane_times_but_keeps_reports() -> None:
    config = EIGHT_FEW_REPORTS
    fall = [Event(0, 8 * (600 - n), 0, n + 1) for n in range(config.lanes + 4)]
    lines = ["P 0", "B 100", *map(submit, fall), "R", "N 1", *map(submit, fall), "W 550", "s 1 8000 0 9", "N 3", "R",
             "o", "W 800", "P 256", "N 60", "L"]
    result = play(core(config), lines)[0]
    # Twice eight lanes took the first eight; the other four were sequence errors. Not all of them found room in queue
    # and staging, and a reset takes nothing of that away.
    assert result.statuses == [0] * (2 * len(fall) + 1)
    assert len(result.reports) + sum(result.lost) == 8
    assert 0 < sum(result.lost) < 8
    assert result.reports == [Report(SEQUENCE, 0, event.time) for event in (fall[8:] * 2)[: len(result.reports)]]
    assert result.executions == []


@pytest.mark.parametrize("after", range(14))
def test_core_reset_in_any_cycle_around_the_release_leaves_a_working_core(after: int) -> None:
    config = EIGHT
    clash = [Event(1, 8 * 30, 0, n) for n in range(1, 5)]
    start = f"B {lead(config, 4)}"
    lines = ["P 256", start, *map(submit, clash), f"W {30 - 12 + after}", "R", "W 60", "T",
             start, *map(submit, clash), "W 60", "T"]
    first, second, _ = play(core(config), lines)
    expected = expect(clash, config)
    assert second.sorted() == expected
    # Either nothing of it happened any more, or some of it was already on its way out.
    assert set(first.executions) <= set(expected.executions)
    assert len(first.reports) in (0, len(expected.reports))
