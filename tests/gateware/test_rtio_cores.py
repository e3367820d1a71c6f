"""Single RTIO cores in the Migen simulator against naive models, at odd, even and edge sizes."""

import random
from collections import Counter, deque
from collections.abc import Callable, Generator

import pytest
from migen import Module, Signal, run_simulation

from corelog_gateware.rtio import CRI
from corelog_gateware.rtio.conflicts import LATENCY, ConflictResolver
from corelog_gateware.rtio.delayline import DelayLine
from corelog_gateware.rtio.errors import ErrorQueue, Report, SaturatingCounter
from corelog_gateware.rtio.fifo import BufferedFIFO
from corelog_gateware.rtio.lanebank import LaneBank
from corelog_gateware.rtio.phy import slow, ttl
from corelog_gateware.rtio.space import BufferSpace
from corelog_gateware.rtio.tsc import TimestampCounter

Process = Generator


def simulate(core: Module, process: Callable[[], Process]) -> None:
    run_simulation(core, process())


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 7, 8, 9])
def test_fifo_of_any_depth_holds_exactly_that_many_and_keeps_order(depth: int) -> None:
    rng = random.Random(depth)
    fifo = BufferedFIFO(16, depth)
    held: deque[int] = deque()
    peak = 0

    def process() -> Process:
        nonlocal peak
        for cycle in range(3000):
            # Phases that fill, drain and pass through.
            eager_write, eager_read = ((9, 1), (1, 9), (5, 5), (10, 10))[cycle // 100 % 4]
            we, re, value = rng.randrange(10) < eager_write, rng.randrange(10) < eager_read, rng.getrandbits(16)
            yield fifo.we.eq(we)
            yield fifo.re.eq(re)
            yield fifo.din.eq(value)
            yield  # the simulator shows now what the core does with these
            assert (yield fifo.writable) == (len(held) < depth)
            wrote = we and len(held) < depth
            if (yield fifo.readable):
                assert (yield fifo.dout) == held[0]
                if re:
                    held.popleft()
            if wrote:
                held.append(value)
            peak = max(peak, len(held))
        yield fifo.we.eq(0)
        yield fifo.re.eq(1)
        yield
        for _ in range(3 * depth + 3):
            if (yield fifo.readable):
                assert (yield fifo.dout) == held.popleft()
            yield
        assert not held

    simulate(fifo, process)
    assert peak == depth


@pytest.mark.parametrize(("depth", "lanes"), [(1, 1), (1, 3), (2, 2), (3, 1), (4, 5), (5, 2), (8, 8)])
def test_lane_bank_is_as_many_fifos_of_exactly_that_depth(depth: int, lanes: int) -> None:
    rng = random.Random(100 * depth + lanes)
    top, bank = Module(), LaneBank(16, depth, lanes)
    top.submodules += bank
    want_we, want_re = Signal(lanes), Signal(lanes)
    top.comb += [bank.we.eq(want_we & ~bank.full), bank.re.eq(want_re & bank.readable)]
    held: list[deque[int]] = [deque() for _ in range(lanes)]
    peaks = [0] * lanes

    def process() -> Process:
        for cycle in range(2500):
            eager_write, eager_read = ((9, 0), (3, 9), (5, 5), (10, 10))[cycle // 150 % 4]
            value = rng.getrandbits(16)
            yield want_we.eq((rng.randrange(10) < eager_write) << rng.randrange(lanes))
            yield want_re.eq(sum((rng.randrange(10) < eager_read) << k for k in range(lanes)))
            yield bank.din.eq(value)
            yield
            we, re, readable = (yield bank.we), (yield bank.re), (yield bank.readable)
            assert (yield bank.full) == sum((len(held[k]) == depth) << k for k in range(lanes))
            for k in range(lanes):
                if (readable >> k) & 1:
                    assert (yield bank.dout[k]) == held[k][0]
                if (re >> k) & 1:
                    held[k].popleft()
                if (we >> k) & 1:
                    held[k].append(value)
                peaks[k] = max(peaks[k], len(held[k]))

    simulate(top, process)
    assert peaks == [depth] * lanes


@pytest.mark.parametrize("delay", [2, 3, 4, 5, 6])
def test_delay_line_gives_back_after_exactly_the_delay(delay: int) -> None:
    rng = random.Random(delay)
    slot = Signal(DelayLine.slot_bits(delay))
    line = DelayLine(12, delay, slot)
    line.sync += slot.eq(slot + 1)
    history: list[int | None] = []

    def process() -> Process:
        wants: list[bool] = []
        shown = None
        for cycle in range(400):
            we, value = rng.randrange(2), rng.getrandbits(12)
            # `re` one cycle before the output is used.
            source = cycle - (delay - 1)
            want = source >= 0 and history[source] is not None
            yield line.we.eq(we)
            yield line.din.eq(value)
            yield line.re.eq(want)
            history.append(value if we else None)
            wants.append(want)
            yield
            if cycle > 0 and wants[cycle - 1]:
                shown = history[cycle - delay]
            if shown is not None:
                assert (yield line.dout) == shown

    simulate(line, process)


@pytest.mark.parametrize("width", [2, 3, 8])
def test_saturating_counter_stops_at_its_highest_value_however_it_gets_there(width: int) -> None:
    rng = random.Random(width)
    for _ in range(20):
        counter = SaturatingCounter(width, 2)

        def process(counter: SaturatingCounter = counter) -> Process:
            total = 0
            for _ in range(6 * 2**width):
                increment = rng.randrange(4)
                yield counter.increment.eq(increment)
                yield
                assert (yield counter.value) == total
                total = min(total + increment, 2**width - 1)
            assert total == 2**width - 1

        simulate(counter, process)


def test_a_counter_too_narrow_for_its_increments_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        SaturatingCounter(1, 2)


@pytest.mark.parametrize("sources", [1, 2, 3, 5, 9])
@pytest.mark.parametrize(("depth", "staging"), [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_error_queue_gives_every_error_in_order_or_counts_it(sources: int, depth: int, staging: int) -> None:
    rng = random.Random(1000 * sources + 10 * depth + staging)
    stb, reports = Signal(sources), [Report(f"source{n}") for n in range(sources)]
    delays = {1: 3}
    queue = ErrorQueue(stb, reports, depth=depth, staging_depth=staging, delays=delays)
    errors: list[tuple[int, int, int]] = []
    popped: list[tuple[int, int, int]] = []

    def tick(pop: int) -> Process:
        yield queue.pop.eq(pop)
        yield
        if pop and (yield queue.present):
            popped.append(((yield queue.kind), (yield queue.channel), (yield queue.timestamp)))

    def process() -> Process:
        for cycle in range(1200):
            density, eagerness = ((1, 9), (8, 5), (9, 0), (0, 9), (5, 10))[cycle // 60 % 5]
            value = 0
            for n, report in enumerate(reports):
                if rng.randrange(10) < density and rng.randrange(2):
                    error = (rng.choice((1, 2, 3)), rng.randrange(4), 8 * len(errors) + 1000)
                    errors.append(error)
                    value |= 1 << n
                    kind, channel, time = error
                    yield report.kind.eq(kind)
                    yield report.channel.eq(channel)
                    yield report.timestamp.eq(time + 8 * delays.get(channel, 0))
            yield stb.eq(value)
            yield from tick(rng.randrange(10) < eagerness)
        yield stb.eq(0)
        for _ in range(6 * (depth + sources * staging) + 20):
            yield from tick(1)
        lost = {}
        for kind, value in queue.lost.items():
            lost[kind] = yield value
        kinds, got = Counter(error[0] for error in errors), Counter(report[0] for report in popped)
        assert {kind: got[kind] + lost[kind] for kind in (1, 2, 3)} == {kind: kinds[kind] for kind in (1, 2, 3)}
        assert sum(lost.values()) > 0
        # In order, none twice, none invented.
        remaining = iter(errors)
        assert all(report in remaining for report in popped)

    simulate(queue, process)


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 8])
def test_resolver_decides_as_events_taken_one_by_one_also_in_cycles_in_a_row(lanes: int) -> None:
    rng = random.Random(lanes)
    resolver = ConflictResolver(2, 2, lanes)
    expected: deque[tuple[int, int]] = deque([(0, 0)] * LATENCY)

    def process() -> Process:
        for _ in range(1500):
            order = rng.sample(range(lanes), lanes)  # order of submission
            stb = rng.getrandbits(lanes) & (rng.getrandbits(lanes) | (2**lanes - 1) * rng.randrange(2))
            replacing = rng.getrandbits(4)
            first: dict[int, tuple[int, int]] = {}
            execute: dict[int, int] = {}
            collision = 0
            for position, k in enumerate(order):
                channel, key = rng.randrange(1 + rng.randrange(4)), rng.randrange(1 + rng.randrange(4))
                yield resolver.channel[k].eq(channel)
                yield resolver.key[k].eq(key)
                yield resolver.replace[k].eq((replacing >> channel) & 1)
                # What the distributor knows of lanes without an event now is of no meaning.
                noise = rng.getrandbits(lanes) & ~stb
                yield resolver.earlier[k].eq(sum(1 << j for j in order[:position]) & stb | noise)
                if not (stb >> k) & 1:
                    continue
                if channel not in first:
                    first[channel] = (k, key)
                    execute[channel] = k
                elif (replacing >> channel) & 1 and first[channel][1] == key:
                    execute[channel] = k
                else:
                    collision |= 1 << k
            yield resolver.stb.eq(stb)
            expected.append((sum(1 << k for k in execute.values()), collision))
            yield
            assert ((yield resolver.execute), (yield resolver.collision)) == expected.popleft()

    simulate(resolver, process)


def test_time_counts_cycles_and_its_copies_run_ahead() -> None:
    tsc = TimestampCounter()
    ahead = {n: tsc.ahead(n) for n in (1, 7, 12)}
    assert tsc.ahead(7) is ahead[7]

    def process() -> Process:
        for cycle in range(40):
            assert (yield tsc.coarse) == cycle
            assert (yield tsc.full) == 8 * cycle
            for n, signal in ahead.items():
                assert (yield signal) == cycle + n
            yield

    simulate(tsc, process)


def test_a_time_loaded_is_that_of_its_cycle_in_the_counter_and_its_copies() -> None:
    rng = random.Random(2)
    tsc = TimestampCounter()
    ahead = {n: tsc.ahead(n) for n in (1, 7, 12)}

    def process() -> Process:
        now = 1
        for _ in range(300):
            load, value = rng.randrange(5) == 0, rng.choice((rng.getrandbits(64), 2**64 - 1, 0))
            yield tsc.load.eq(load)
            yield tsc.load_value.eq(value)
            yield
            assert (yield tsc.coarse) == now
            for n, signal in ahead.items():
                assert (yield signal) == (now + n) % 2**61
            now = ((value >> 3 if load else now) + 1) % 2**61

    simulate(tsc, process)


@pytest.mark.parametrize(("lanes", "depth"), [(1, 1), (1, 3), (2, 2), (3, 5), (8, 7)])
def test_buffer_space_is_the_room_in_the_fullest_lane(lanes: int, depth: int) -> None:
    rng = random.Random(lanes)
    top, cri = Module(), CRI()
    top.submodules.bank = bank = LaneBank(4, depth, lanes)
    top.submodules.space = BufferSpace(cri, bank, depth)
    held = [0] * lanes
    answers = set()

    def process() -> Process:
        for _ in range(400):
            k = rng.randrange(lanes)
            if rng.randrange(2) and held[k] < depth:
                held[k] += 1
                yield bank.we.eq(1 << k)
            elif (yield bank.readable) >> k & 1:
                held[k] -= 1
                yield bank.re.eq(1 << k)
            # Asked in the cycle after the change at the earliest.
            yield
            yield bank.we.eq(0)
            yield bank.re.eq(0)
            yield cri.space_stb.eq(1)
            for _ in range(rng.randrange(1, 3)):  # asked again while the answer is under way
                yield
            yield cri.space_stb.eq(0)
            yield
            cycles = 0
            while (yield cri.space_wait):
                cycles += 1
                assert cycles <= lanes + 2
                yield
            assert (yield cri.space) == depth - max(held)
            answers.add((yield cri.space))

    simulate(top, process)
    assert answers >= {0, 1}


class Loop(Module):
    """TTL output and input at one pad, with a register between them for each cycle of extra delay."""

    def __init__(self, extra_delay: int) -> None:
        self.pad = Signal()
        self.submodules.output = ttl.Output(self.pad)
        late = self.pad
        for _ in range(extra_delay):
            later = Signal()
            self.sync += later.eq(late)
            late = later
        self.submodules.input = ttl.Input(late, extra_delay=extra_delay)


@pytest.mark.parametrize("extra_delay", [0, 1, 3])
@pytest.mark.parametrize("sensitivity", [0, 1, 2, 3])
def test_ttl_input_sees_the_chosen_edges_and_samples_at_the_very_cycle_of_the_pad(
    extra_delay: int, sensitivity: int
) -> None:
    rng = random.Random(10 * extra_delay + sensitivity)
    loop = Loop(extra_delay)
    phy = loop.input
    cycles = 300
    opened, closed = 40, 250
    levels, samples = [0] * cycles, set()
    level = 0
    for t in range(10, cycles):
        if rng.randrange(4) == 0:
            level ^= 1
        levels[t] = level
        if rng.randrange(8) == 0 and t not in (opened, closed):
            samples.add(t)
    expected = []
    for t in range(1, cycles - 12):
        rising, falling = levels[t] > levels[t - 1], levels[t] < levels[t - 1]
        edge = opened <= t < closed and ((sensitivity & 1 and rising) or (sensitivity & 2 and falling))
        if edge or t in samples:
            expected.append((t, levels[t]))
    seen = []

    def process() -> Process:
        # Strobes come one cycle before the time they are for; a value set here is there in the next cycle.
        for now in range(cycles - 1):
            t = now + 1
            yield loop.output.output.stb.eq(1)
            yield loop.output.output.data.eq(levels[min(t + 1, cycles - 1)])
            yield phy.output.stb.eq(t + 1 in samples or t + 1 in (opened, closed))
            yield phy.output.address.eq(3 if t + 1 in samples else 2)
            yield phy.output.data.eq(sensitivity if t + 1 == opened else 0)
            yield
            # Now in cycle t.
            if (yield phy.input.stb):
                seen.append((t - phy.input.delay, (yield phy.input.data)))
            if t > 10:
                assert (yield loop.pad) == levels[t]

    simulate(loop, process)
    assert [event for event in seen if event[0] < cycles - 12] == expected


def test_ttl_phys_are_quiet_after_a_phy_reset() -> None:
    loop = Loop(0)

    def process() -> Process:
        yield loop.output.output.stb.eq(1)
        yield loop.output.output.data.eq(1)
        yield loop.input.output.stb.eq(1)
        yield loop.input.output.address.eq(2)
        yield loop.input.output.data.eq(3)
        yield
        yield loop.output.output.stb.eq(0)
        yield loop.input.output.stb.eq(0)
        yield
        yield
        assert (yield loop.pad) == 1
        for reset in (loop.output.reset, loop.input.reset):
            yield reset.eq(1)
        yield
        for reset in (loop.output.reset, loop.input.reset):
            yield reset.eq(0)
        yield
        yield
        assert (yield loop.pad) == 0
        for _ in range(10):
            yield
            events = (yield loop.input.input.stb)
        assert events == 0, "an edge made an event though the reset had closed the input"

    simulate(loop, process)


@pytest.mark.parametrize("busy_cycles", [1, 2, 5, 64])
def test_slow_output_is_busy_for_exactly_the_cycles_after_an_event(busy_cycles: int) -> None:
    phy = slow.Output(busy_cycles=busy_cycles, data_width=8)

    def process() -> Process:
        for value in (5, 9):
            yield phy.output.stb.eq(1)
            yield phy.output.data.eq(value)
            yield
            assert (yield phy.output.busy) == 0
            yield phy.output.stb.eq(0)
            yield
            busy = 0
            while (yield phy.output.busy):
                assert (yield phy.value) == value
                busy += 1
                yield
            assert busy == busy_cycles
        yield phy.output.stb.eq(1)
        yield
        yield phy.output.stb.eq(0)
        yield phy.reset.eq(1)
        yield
        yield
        assert (yield phy.output.busy) == 0
        assert (yield phy.value) == 0

    simulate(phy, process)
