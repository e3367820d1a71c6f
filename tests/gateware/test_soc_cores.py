"""Storage front end, identity, watchdog and reset manager."""

from collections.abc import Generator
from typing import Any

from migen import Module, Signal, passive, run_simulation

from corelog_gateware.soc.identity import Identity
from corelog_gateware.soc.reset import RESET_CYCLES, ResetManager
from corelog_gateware.soc.storage import Storage
from corelog_gateware.soc.watchdog import Watchdog

Steps = Generator[Any, Any, Any]


def write(csr: Any, value: int) -> Steps:
    """Write to a CSRStorage like the CSR bus does."""
    yield csr.storage.eq(value)
    yield csr.re.eq(1)
    yield
    yield csr.re.eq(0)


def command(csr: Any, value: int) -> Steps:
    """Write to a plain CSR like the CSR bus does."""
    yield csr.r.eq(value)
    yield csr.re.eq(1)
    yield
    yield csr.re.eq(0)
    yield csr.r.eq(0)


def cycles(count: int) -> Steps:
    for _ in range(count):
        yield


class Flash:
    """A store that needs ``busy_cycles`` for programming and erasing."""

    def __init__(self, busy_cycles: int) -> None:
        self.bytes = bytearray(b"\xff" * 0x10000)
        self.busy_cycles = busy_cycles
        self.commands: list[tuple[str, int, int]] = []

    @passive
    def serve(self, storage: Storage) -> Steps:
        store, busy = storage.store, 0
        while True:
            address, value = (yield store.address), (yield store.value)
            if (yield store.program):
                self.commands.append(("program", address, value))
                self.bytes[address] &= value
                busy = self.busy_cycles
            elif (yield store.erase):
                self.commands.append(("erase", 0, 0))
                self.bytes[:] = b"\xff" * 0x10000
                busy = self.busy_cycles
            elif busy:
                busy -= 1
            yield store.busy.eq(busy != 0)
            yield store.data.eq(self.bytes[address])
            yield


def wait(storage: Storage) -> Steps:
    for _ in range(100):
        if not (yield storage._busy.status):
            return
        yield
    raise AssertionError("the store is busy for ever")


def read_byte(storage: Storage, address: int) -> Steps:
    yield from write(storage._address, address)
    yield from wait(storage)
    return (yield storage._data.status)


def test_programming_only_clears_bits_and_erasing_sets_all() -> None:
    for busy_cycles in (0, 1, 7):
        storage, flash = Storage(), Flash(busy_cycles)

        def steps(storage: Storage = storage) -> Steps:
            assert (yield from read_byte(storage, 0xFFFF)) == 0xFF
            for value, expected in ((0xF0, 0xF0), (0x3C, 0x30), (0xFF, 0x30)):
                yield from write(storage._address, 0x1234)
                yield from wait(storage)
                yield from command(storage._program, value)
                yield from wait(storage)
                assert (yield storage._data.status) == expected
            assert (yield from read_byte(storage, 0x1235)) == 0xFF
            yield from command(storage._erase, 0)
            yield from wait(storage)
            assert (yield from read_byte(storage, 0x1234)) == 0x30
            yield from command(storage._erase, 1)
            yield from wait(storage)
            assert (yield from read_byte(storage, 0x1234)) == 0xFF

        run_simulation(storage, [steps(), flash.serve(storage)])
        assert [name for name, *_ in flash.commands] == ["program"] * 3 + ["erase"]


def test_commands_to_a_busy_store_are_ignored() -> None:
    storage, flash = Storage(), Flash(20)

    def steps() -> Steps:
        yield from write(storage._address, 5)
        yield from wait(storage)
        yield from command(storage._program, 0x0F)
        yield from cycles(5)
        assert (yield storage._busy.status)
        yield from command(storage._program, 0)
        yield from command(storage._erase, 1)
        yield from wait(storage)
        assert (yield storage._data.status) == 0x0F

    run_simulation(storage, [steps(), flash.serve(storage)])
    assert flash.commands == [("program", 5, 0x0F)]


def test_a_read_as_fast_as_the_bus_allows_sees_the_byte_of_the_new_address() -> None:
    """Two accesses of the CPU to CSRs are at least three cycles apart."""
    storage, flash = Storage(), Flash(0)
    flash.bytes[7] = 0x42

    def steps() -> Steps:
        yield from write(storage._address, 7)
        yield from cycles(2)
        assert (yield storage._data.status) == 0x42

    run_simulation(storage, [steps(), flash.serve(storage)])


def test_every_read_of_entropy_asks_for_another_word() -> None:
    identity = Identity()

    def steps() -> Steps:
        yield identity.pads.entropy.eq(0x1111)
        yield from cycles(2)
        assert (yield identity._entropy.status) == 0x1111
        yield identity._entropy.we.eq(1)
        yield
        yield identity._entropy.we.eq(0)
        yield
        assert (yield identity.pads.entropy_taken)
        yield
        assert not (yield identity.pads.entropy_taken)

    run_simulation(identity, steps())


def test_ready_and_marks_are_seen_outside_each_mark_for_one_cycle() -> None:
    identity = Identity()
    seen = []

    @passive
    def watch() -> Steps:
        while True:
            if (yield identity.pads.marked):
                seen.append((yield identity.pads.mark))
            yield

    def steps() -> Steps:
        assert not (yield identity.pads.ready)
        yield from write(identity._ready, 1)
        yield
        assert (yield identity.pads.ready)
        for value in (7, 7, 0xFFFFFFFF):
            yield from write(identity._mark, value)
            yield from cycles(3)

    run_simulation(identity, [steps(), watch()])
    assert seen == [7, 7, 0xFFFFFFFF]


def test_only_a_one_written_to_reset_asks_for_it() -> None:
    identity = Identity()
    requests = []

    @passive
    def watch() -> Steps:
        while True:
            requests.append((yield identity.reset_request))
            yield

    def steps() -> Steps:
        yield from command(identity._reset, 0)
        yield from cycles(3)
        assert sum(requests) == 0
        yield from command(identity._reset, 1)
        yield from cycles(3)

    run_simulation(identity, [steps(), watch()])
    assert sum(requests) == 1


def expiries(steps_of: Any, count: int) -> list[int]:
    """Cycles in which a watchdog expired while ``steps_of(watchdog)`` ran and then until ``count``."""
    watchdog = Watchdog()
    seen = []

    @passive
    def watch() -> Steps:
        cycle = 0
        while True:
            if (yield watchdog.expired):
                seen.append(cycle)
            cycle += 1
            yield

    def steps() -> Steps:
        yield from steps_of(watchdog)
        yield from cycles(count)

    run_simulation(watchdog, [steps(), watch()])
    return seen


def test_a_watchdog_that_was_never_set_or_is_set_to_zero_never_expires() -> None:
    def off(watchdog: Watchdog) -> Steps:
        yield from write(watchdog._period, 30)
        yield from cycles(10)
        yield from write(watchdog._period, 0)

    assert expiries(lambda watchdog: cycles(1), 300) == []
    assert expiries(off, 300) == []


def test_a_starved_watchdog_expires_after_its_period() -> None:
    seen = expiries(lambda watchdog: write(watchdog._period, 50), 120)
    assert len(seen) == 2
    assert 50 <= seen[0] <= 53
    assert seen[1] - seen[0] == 50


def test_a_fed_watchdog_expires_only_after_the_feeding_stops() -> None:
    def feed(watchdog: Watchdog) -> Steps:
        yield from write(watchdog._period, 50)
        for _ in range(10):
            yield from cycles(45)
            yield from command(watchdog._feed, 0)

    seen = expiries(feed, 60)
    assert len(seen) == 1
    assert seen[0] > 10 * 45 + 49


class Resettable(Module):
    """A reset manager with a counter in the domain it resets."""

    def __init__(self) -> None:
        clk = Signal()
        self.submodules.manager = ResetManager(clk)
        self.count = Signal(16)
        self.sync.sys += self.count.eq(self.count + 1)


def watch_resets(steps_of: Any) -> list[tuple[int, int]]:
    """(length, cause) of each reset that ``steps_of(manager)`` led to."""
    dut = Resettable()
    resets: list[tuple[int, int]] = []

    @passive
    def watch() -> Steps:
        length = 0
        while True:
            if (yield dut.manager.active):
                length += 1
                cause = yield dut.manager.cause
                assert (yield dut.count) <= 1 or length == 1
            elif length:
                resets.append((length, cause))
                length = 0
            yield

    def steps() -> Steps:
        yield from cycles(RESET_CYCLES + 10)
        assert (yield dut.count) > 5
        yield from steps_of(dut.manager)
        yield from cycles(RESET_CYCLES + 10)

    # The simulator drives the clock domains itself, so both stand still or run together here as in a SoC.
    run_simulation(dut, {"sys": [steps(), watch()]}, clocks={"sys": 10, "por": 10})
    return resets


def pulse(signal: Signal) -> Steps:
    yield signal.eq(1)
    yield
    yield signal.eq(0)


def test_power_on_is_a_reset_of_full_length() -> None:
    [(length, cause)] = watch_resets(lambda manager: cycles(1))
    assert cause == 0
    assert length >= RESET_CYCLES - 1


def test_a_request_and_the_watchdog_reset_once_each_and_leave_their_cause() -> None:
    assert watch_resets(lambda manager: pulse(manager.request))[1:] == [(RESET_CYCLES, 1)]
    assert watch_resets(lambda manager: pulse(manager.watchdog))[1:] == [(RESET_CYCLES, 2)]


def test_if_both_ask_together_the_watchdog_is_the_cause() -> None:
    def both(manager: ResetManager) -> Steps:
        yield manager.request.eq(1)
        yield from pulse(manager.watchdog)
        yield manager.request.eq(0)

    assert watch_resets(both)[1][1] == 2
