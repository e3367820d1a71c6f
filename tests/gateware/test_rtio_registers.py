"""The RTIO registers as firmware sees them: writes and reads on a 32-bit CSR bus, with real PHYs behind the core."""

from collections.abc import Callable, Generator

from litex.soc.interconnect import csr_bus
from migen import Module, Signal, run_simulation

from corelog_gateware.rtio import Channel, RTIOCore, RTIOErrors, RTIOFrontEnd
from corelog_gateware.rtio.phy import slow, ttl

Process = Generator
DEADLINE = 4000


class Board(Module):
    """Two TTL outputs, an input at the second one's pad, and a slow output, behind two CSR banks."""

    def __init__(self) -> None:
        self.pads = [Signal(name=f"pad{n}") for n in range(2)]
        phys = [*map(ttl.Output, self.pads), ttl.Input(self.pads[1]), slow.Output(busy_cycles=64)]
        self.submodules += phys
        self.slow = phys[3]
        channels = [Channel.of(phy, f"channel{n}") for n, phy in enumerate(phys)]
        self.submodules.core = RTIOCore(channels, lane_count=2, lane_depth=8, report_depth=4)
        self.submodules.rtio = RTIOFrontEnd(self.core)
        self.submodules.rtio_errors = RTIOErrors(self.core)
        self.buses, self.places = {}, {}
        for module in ("rtio", "rtio_errors"):
            bus = csr_bus.Interface(data_width=32)
            bank = csr_bus.CSRBank(getattr(self, module).get_csrs(), bus=bus, ordering="big")
            self.submodules += bank
            self.buses[module] = bus
            for place, register in enumerate(bank.simple_csrs):
                self.places[module, register.name] = place

    def write(self, module: str, register: str, value: int, words: int = 1) -> Process:
        names = [register] if words == 1 and (module, register) in self.places else [
            f"{register}{n}" for n in reversed(range(words))
        ]
        for n, name in zip(reversed(range(len(names))), names, strict=True):
            yield from self.buses[module].write(self.places[module, name], (value >> (32 * n)) & 0xFFFFFFFF)
            yield

    def read(self, module: str, register: str, words: int = 1) -> Process:
        value = 0
        for n in reversed(range(words)):
            name = register if words == 1 else f"{register}{n}"
            yield from self.buses[module].read(self.places[module, name])
            yield
            value = value << 32 | (yield self.buses[module].dat_r)
        return value

    def until_clear(self, register: str, bit: int) -> Process:
        for _ in range(DEADLINE):
            status = yield from self.read("rtio", register)
            if not status & bit:
                return status
        raise AssertionError(f"{register} still has bit {bit} set")

    def output(self, channel: int, time: int, data: int, address: int = 0) -> Process:
        yield from self.write("rtio", "target", channel << 8 | address)
        yield from self.write("rtio", "timestamp", time, words=2)
        yield from self.write("rtio", "o_data", data)
        return (yield from self.until_clear("o_status", 1))

    def input(self, channel: int, timeout: int) -> Process:
        yield from self.write("rtio", "target", channel << 8)
        yield from self.write("rtio", "i_timeout", timeout, words=2)
        yield from self.write("rtio", "i_start", 1)
        status = yield from self.until_clear("i_status", 4)
        return status, (yield from self.read("rtio", "i_data")), (yield from self.read("rtio", "i_timestamp", words=2))

    def now(self) -> Process:
        yield from self.write("rtio", "counter_update", 1)
        return (yield from self.read("rtio", "counter", words=2))

    def wait(self, time: int) -> Process:
        for _ in range(DEADLINE):
            if (yield from self.now()) >= time:
                return
        raise AssertionError(f"it never became {time} mu")

    def report(self) -> Process:
        for _ in range(8):  # cycles from an error to its report
            yield
        if not (yield from self.read("rtio_errors", "present")):
            return None
        kind = yield from self.read("rtio_errors", "kind")
        channel = yield from self.read("rtio_errors", "channel")
        time = yield from self.read("rtio_errors", "timestamp", words=2)
        yield from self.write("rtio_errors", "pop", 1)
        return kind, channel, time


def simulate(process: Callable[[Board], Process]) -> None:
    board = Board()
    run_simulation(board, process(board))


def test_output_input_and_every_kind_of_error_through_the_registers() -> None:
    def process(board: Board) -> Process:
        yield
        assert (yield from board.read("rtio", "i_status")) == 1, "no event before the first read"
        start = 8 * (((yield from board.now()) >> 3) + 600)
        # Channel 2 is the input at the pad of channel 1: both edges.
        assert (yield from board.output(2, start, 3, address=2)) == 0
        assert (yield from board.output(1, start + 80, 1)) == 0
        assert (yield from board.output(1, start + 160 + 7, 0)) == 0
        assert (yield from board.output(3, start + 240, 0xC0FFEE)) == 0
        assert (yield from board.output(3, start + 248, 1)) == 0
        assert (yield from board.output(1, start + 160, 1)) == 0  # differs in fine time: a collision
        assert (yield from board.output(0, start + 72, 1)) == 0  # no lane left
        assert (yield from board.output(0, start - 8 * 600, 1)) == 2
        assert (yield from board.output(4, start, 1)) == 4
        assert (yield from board.input(0, 0))[0] == 8
        assert (yield from board.input(2, start + 400)) == (0, 1, start + 80)
        assert (yield from board.input(2, start + 400)) == (0, 0, start + 160)
        assert (yield from board.input(2, start + 400))[0] == 1
        assert (yield from board.now()) > start + 400
        assert (yield board.slow.value) == 0xC0FFEE
        irq = board.rtio_errors.ev.irq
        assert (yield irq) == 0, "not enabled yet"
        yield from board.write("rtio_errors", "ev_enable", 1)
        yield
        assert (yield irq) == 1
        reports = []
        while (report := (yield from board.report())) is not None:
            reports.append(report)
        # The sequence error is known at submission, the others when they happen.
        assert reports == [(3, 0, start + 72), (1, 1, start + 160), (2, 3, start + 248)]
        yield
        assert (yield irq) == 0
        yield from board.write("rtio_errors", "pop", 1)  # of nothing
        assert (yield from board.read("rtio_errors", "present")) == 0

    simulate(process)


def test_the_high_word_of_a_timestamp_counts() -> None:
    def process(board: Board) -> Process:
        yield
        # So far ahead that it stays in its lane; a later one with a smaller time needs another lane, a third has none.
        far = 5 << 32
        assert (yield from board.output(0, far + 8, 1)) == 0
        assert (yield from board.output(0, far, 1)) == 0
        assert (yield from board.output(0, 8000, 1)) == 0
        assert (yield from board.report()) == (3, 0, 8000)
        assert (yield from board.output(0, (6 << 32) + 16, 1)) == 0
        assert (yield from board.report()) is None

    simulate(process)


def test_reset_phy_clears_pads_and_core_reset_drops_what_waits_but_no_report() -> None:
    def process(board: Board) -> Process:
        yield
        start = 8 * (((yield from board.now()) >> 3) + 150)
        assert (yield from board.output(0, start, 1)) == 0
        yield from board.wait(start + 16)
        assert (yield board.pads[0]) == 1
        late = start + 8 * 400
        for step in range(3):
            assert (yield from board.output(1, late - 8 * step, 1)) == 0
        yield from board.write("rtio", "reset", 1)
        yield
        assert (yield board.pads[0]) == 1, "a core reset touches no pad"
        yield from board.write("rtio", "reset_phy", 1)
        yield
        yield
        assert (yield board.pads[0]) == 0
        assert (yield from board.report()) == (3, 1, late - 16)
        yield from board.wait(late + 80)
        assert (yield board.pads[1]) == 0

    simulate(process)


def test_lost_counters_are_readable_and_survive_a_core_reset() -> None:
    def process(board: Board) -> Process:
        yield
        start = 8 * (((yield from board.now()) >> 3) + 3000)
        errors = 40
        for step in range(errors + 2):
            assert (yield from board.output(0, start - 8 * step, 1)) == 0
        yield from board.write("rtio", "reset", 1)
        reports = 0
        while (yield from board.report()) is not None:
            reports += 1
        lost = yield from board.read("rtio_errors", "lost_sequence")
        assert lost > 0
        assert reports + lost == errors
        assert (yield from board.read("rtio_errors", "lost_collision")) == 0
        assert (yield from board.read("rtio_errors", "lost_busy")) == 0

    simulate(process)
