"""The check of clock crossings tells faults from named primitives, and names registers and domains."""

from collections.abc import Callable
from typing import Any

import pytest
from litex.gen.genlib.cdc import BusSynchronizer
from litex.soc.interconnect import stream
from migen import (
    Array,
    Case,
    Cat,
    ClockDomain,
    ClockDomainsRenamer,
    ClockSignal,
    If,
    Instance,
    Memory,
    Module,
    Mux,
    ResetSignal,
    Signal,
)
from migen.genlib.cdc import BlindTransfer, GrayCounter, MultiReg, PulseSynchronizer
from migen.genlib.fifo import AsyncFIFO
from migen.genlib.resetsync import AsyncResetSynchronizer

from corelog_gateware.check import timing
from corelog_gateware.check.clocks import CheckError
from corelog_gateware.check.crossings import Crossing, Crossings, crossings
from corelog_gateware.check.design import Design


class TwoClocks(Module):
    """Domains `a` and `b`, each with a register that counts: `fast` and `slow`; a pad `pad`."""

    def __init__(self) -> None:
        for name in ("a", "b"):
            domain = ClockDomain(name)
            setattr(self.clock_domains, name, domain)
            pad = Signal(name=f"clk_{name}")
            setattr(self, f"clk_{name}", pad)
            self.comb += domain.clk.eq(pad)
            self.specials += AsyncResetSynchronizer(domain, 0)
        self.pad = Signal(name="pad")
        self.fast = Signal(4, name="fast")
        self.slow = Signal(4, name="slow")
        self.sync.a += self.fast.eq(self.fast + 1)
        self.sync.b += self.slow.eq(self.slow + 3)

    def check(self) -> Crossings:
        return crossings(Design(self, [self.clk_a, self.clk_b, self.pad]))


def found(build: Callable[[Any], None]) -> Crossings:
    top = TwoClocks()
    build(top)
    return top.check()


def only(result: Crossings) -> Crossing:
    assert len(result.faults) == 1, sorted(map(str, result.faults))
    return next(iter(result.faults))


def raw(top: Any) -> None:
    taken = Signal(4, name="taken")
    top.sync.b += taken.eq(top.fast)


def test_a_register_taken_straight_into_another_domain_is_named_with_both_domains() -> None:
    crossing = only(found(raw))
    assert crossing == Crossing("register", "fast", "a", "taken", "b")
    assert str(crossing) == "register: fast (a) -> taken (b)"


def test_two_domains_that_do_not_meet_are_clean() -> None:
    assert found(lambda top: None).faults == set()


def condition(top: Any) -> None:
    taken = Signal(name="taken")
    top.sync.b += If(top.fast == 3, taken.eq(1))


def case(top: Any) -> None:
    taken = Signal(name="taken")
    top.sync.b += Case(top.slow, {0: If(top.slow[1], taken.eq(1)), "default": Case(top.fast[:2], {1: taken.eq(0)})})


def array_read(top: Any) -> None:
    taken = Signal(name="taken")
    top.sync.b += taken.eq(Array([top.slow[0], top.slow[1], top.fast[2]])[top.slow])


def array_write(top: Any) -> None:
    slots = Array([Signal(name="taken") for _ in range(4)])
    top.sync.b += slots[top.fast].eq(1)


def part(top: Any) -> None:
    taken = Signal(name="taken")
    top.sync.b += taken.eq(top.slow.part(top.fast, 1))


def through_wires(top: Any) -> None:
    taken, one, two = Signal(name="taken"), Signal(4), Signal(4)
    top.comb += [one.eq(Mux(top.slow[0], Cat(top.slow[1], top.fast), 0)), two.eq(one << 1)]
    top.sync.b += taken.eq(two[2])


def through_a_loop(top: Any) -> None:
    taken, one, two = Signal(name="taken"), Signal(), Signal()
    top.comb += [one.eq(two | top.slow[0]), two.eq(one & top.fast[0])]
    top.sync.b += taken.eq(one)


def into_a_memory(top: Any) -> None:
    memory = Memory(4, 16, name="taken")
    port = memory.get_port(write_capable=True, clock_domain="b")
    top.specials += memory, port
    top.comb += [port.adr.eq(top.slow), port.dat_w.eq(top.slow), port.we.eq(top.fast[0])]


def into_a_cell(top: Any) -> None:
    top.specials += Instance("FDRE", name="taken", i_C=ClockSignal("b"), i_CE=1, i_R=0, i_D=top.fast[0], o_Q=Signal())


@pytest.mark.parametrize("fault", [condition, case, array_read, array_write, part, through_wires, through_a_loop,
                                   into_a_memory, into_a_cell], ids=lambda fault: fault.__name__)
def test_a_crossing_is_seen_wherever_it_hides(fault: Callable[[Any], None]) -> None:
    crossing = only(found(fault))
    assert (crossing.kind, crossing.source, crossing.source_clock) == ("register", "fast", "a")
    assert crossing.destination.startswith("taken") and crossing.destination_clock == "b"


def test_bits_that_do_not_cross_are_not_blamed_for_those_beside_them() -> None:
    def beside(top: Any) -> None:
        mixed, taken = Signal(8), Signal(4, name="taken")
        top.comb += mixed.eq(Cat(top.slow, top.fast))
        top.sync.b += taken.eq(mixed[:4] ^ (mixed & 0x0F))
        top.sync.a += If(mixed[7], top.fast.eq(mixed >> 4))

    assert found(beside).faults == set()


def test_each_bit_of_a_signal_is_judged_by_its_own_clock() -> None:
    def shared(top: Any, swapped: bool) -> None:
        both = Signal(2, name="both")
        top.sync.a += both[0].eq(top.slow[0] if swapped else top.fast[0])
        top.sync.b += both[1].eq(top.slow[1])

    assert found(lambda top: shared(top, swapped=False)).faults == set()
    assert only(found(lambda top: shared(top, swapped=True))) == Crossing("register", "slow", "b", "both", "a")


def test_one_bit_through_a_multireg_is_clean() -> None:
    def one_bit(top: Any) -> None:
        seen, taken = Signal(), Signal()
        top.specials += MultiReg(~top.fast[0], seen, "b")
        top.sync.b += taken.eq(seen)

    result = found(one_bit)
    assert result.faults == set()
    assert result.primitives["MultiReg", "a", "b"] == 1


def test_a_multireg_with_its_output_taken_back_raw_is_a_fault() -> None:
    def back(top: Any) -> None:
        seen, taken = Signal(name="seen"), Signal(name="taken")
        top.specials += MultiReg(top.fast[0], seen, "b")
        top.sync.a += taken.eq(seen)

    assert only(found(back)) == Crossing("register", "seen", "b", "taken", "a")


def test_a_multireg_of_logic_is_a_fault() -> None:
    def logic(top: Any) -> None:
        seen = Signal(name="seen")
        top.specials += MultiReg(top.fast == 7, seen, "b")

    assert only(found(logic)) == Crossing("logic", "fast", "a", "seen", "b")


def test_several_bits_through_a_multireg_are_a_fault() -> None:
    def bus(top: Any) -> None:
        seen = Signal(4, name="seen")
        top.specials += MultiReg(top.fast, seen, "b")

    assert only(found(bus)) == Crossing("bus", "fast", "a", "seen", "b")


def test_several_bits_through_a_multireg_each_are_a_fault_too() -> None:
    def bits(top: Any) -> None:
        seen = [Signal(name=f"seen{n}") for n in range(2)]
        top.specials += [MultiReg(top.fast[n], seen[n], "b") for n in range(2)]

    assert only(found(bits)) == Crossing("bus", "fast", "a", "seen0, seen1", "b")


def test_a_gray_counter_through_a_multireg_is_clean_but_not_its_binary_value() -> None:
    def gray(top: Any, binary: bool) -> None:
        seen = Signal(4, name="seen")
        counter = top.submodules.counter = CounterOfA()
        top.specials += MultiReg(counter.gray.q_binary if binary else counter.gray.q, seen, "b")

    result = found(lambda top: gray(top, binary=False))
    assert result.faults == set()
    assert result.primitives["MultiReg of a GrayCounter", "a", "b"] == 1
    assert only(found(lambda top: gray(top, binary=True))) == Crossing("bus", "counter.gray.q_binary", "a", "seen", "b")


class CounterOfA(Module):
    def __init__(self) -> None:
        self.submodules.gray = ClockDomainsRenamer("a")(GrayCounter(4))
        self.comb += self.gray.ce.eq(1)


def fifo(top: Any) -> None:
    top.submodules.fifo = queue = ClockDomainsRenamer({"write": "a", "read": "b"})(AsyncFIFO(4, 16))
    taken = Signal(4)
    top.comb += [queue.din.eq(top.fast), queue.we.eq(1), queue.re.eq(1)]
    top.sync.b += taken.eq(queue.dout)


def stream_crossing(top: Any) -> None:
    top.submodules.cdc = crossing = stream.ClockDomainCrossing([("data", 4)], "a", "b", depth=8)
    taken = Signal(4)
    top.comb += [crossing.sink.data.eq(top.fast), crossing.sink.valid.eq(1), crossing.source.ready.eq(1)]
    top.sync.b += taken.eq(crossing.source.data)


def pulse(top: Any) -> None:
    top.submodules.pulse = synchronizer = PulseSynchronizer("a", "b")
    taken = Signal()
    top.comb += synchronizer.i.eq(top.fast == 2)
    top.sync.b += taken.eq(synchronizer.o)


def bus_synchronizer(top: Any) -> None:
    top.submodules.bus = synchronizer = BusSynchronizer(4, "a", "b")
    taken = Signal(4)
    top.comb += synchronizer.i.eq(top.fast)
    top.sync.b += taken.eq(synchronizer.o)


def blind_transfer(top: Any) -> None:
    top.submodules.blind = blind = BlindTransfer("a", "b", data_width=4)
    taken = Signal(4)
    top.comb += [blind.i.eq(top.fast == 1), blind.data_i.eq(top.fast)]
    top.sync.b += taken.eq(blind.data_o)


@pytest.mark.parametrize("primitive", [fifo, stream_crossing, pulse, bus_synchronizer, blind_transfer],
                         ids=lambda primitive: primitive.__name__)
def test_named_primitives_are_clean_and_counted(primitive: Callable[[Any], None]) -> None:
    result = found(primitive)
    assert result.faults == set()
    assert [key for key in result.primitives if key[1:] == ("a", "b")]


def test_a_memory_of_two_clocks_outside_of_a_fifo_is_a_fault() -> None:
    def memory(top: Any) -> None:
        storage = Memory(4, 16, name="storage")
        write = storage.get_port(write_capable=True, clock_domain="a")
        read = storage.get_port(clock_domain="b")
        top.specials += storage, write, read
        top.comb += [write.adr.eq(top.fast), write.dat_w.eq(top.fast), write.we.eq(1), read.adr.eq(top.slow)]

    assert only(found(memory)) == Crossing("memory", "storage", "a", "storage's port", "b")


def test_a_memory_read_without_a_clock_gives_what_its_writer_wrote() -> None:
    def memory(top: Any, reader: str) -> None:
        storage, taken = Memory(4, 16, name="storage"), Signal(4, name="taken")
        write = storage.get_port(write_capable=True, clock_domain="a")
        read = storage.get_port(async_read=True, clock_domain="a")
        top.specials += storage, write, read
        top.comb += [write.adr.eq(top.fast), write.dat_w.eq(top.fast), write.we.eq(1)]
        top.comb += read.adr.eq(top.fast if reader == "a" else top.slow)
        getattr(top.sync, reader).__iadd__(taken.eq(read.dat_r))

    assert found(lambda top: memory(top, "a")).faults == set()
    assert only(found(lambda top: memory(top, "b"))) == Crossing("register", "storage", "a", "taken", "b")


def test_a_pad_needs_a_multireg_unless_it_is_said_to_be_synchronous() -> None:
    def direct(top: Any) -> None:
        taken = Signal(name="taken")
        top.sync.b += taken.eq(top.pad)

    assert only(found(direct)) == Crossing("pad", "pad", "no clock", "taken", "b")

    def safe(top: Any) -> None:
        taken = Signal()
        top.specials += MultiReg(top.pad, taken, "b")

    assert found(safe).faults == set()
    top = TwoClocks()
    direct(top)
    assert crossings(Design(top, [top.clk_a, top.clk_b, top.pad], {"pad": "b"})).faults == set()
    top = TwoClocks()
    direct(top)
    ports = [top.clk_a, top.clk_b, top.pad]
    assert only(crossings(Design(top, ports, {"pad": "a"}))) == Crossing("register", "pad", "a", "taken", "b")


def test_a_foreign_reset_is_a_fault_and_a_synchronized_one_is_not() -> None:
    class Reset(TwoClocks):
        def __init__(self, synchronized: bool) -> None:
            TwoClocks.__init__(self)
            third = ClockDomain("third")
            self.clock_domains.third = third
            self.comb += third.clk.eq(ClockSignal("b"))
            if synchronized:
                self.specials += AsyncResetSynchronizer(third, self.fast[0])
            else:
                self.comb += third.rst.eq(self.fast[0])
            count = Signal(name="count")
            self.sync.third += count.eq(~count)
            self.sync.b += self.slow.eq(count)

    assert Reset(True).check().faults == set()
    assert only(Reset(False).check()) == Crossing("register", "fast", "a", "reset of third", "b")


def test_a_reset_of_the_other_domain_used_as_data_is_a_fault() -> None:
    def reset(top: Any) -> None:
        taken = Signal(name="taken")
        top.sync.b += taken.eq(ResetSignal("a"))

    assert only(found(reset)) == Crossing("register", "a_rst", "a", "taken", "b")


def test_a_clock_used_as_data_is_a_fault() -> None:
    def clock(top: Any) -> None:
        taken = Signal(name="taken")
        top.sync.b += taken.eq(ClockSignal("a"))

    assert only(found(clock)).kind == "clock"


class Managed(TwoClocks):
    """Domains `x` and `y` from one MMCM that `clk_a` feeds, through buffers; `locked` has no clock."""

    def __init__(self) -> None:
        TwoClocks.__init__(self)
        self.locked = Signal(name="locked")
        feedback, outs = Signal(), [Signal(), Signal()]
        self.specials += Instance("MMCME2_BASE", name="mmcm", i_CLKIN1=self.clk_a, i_CLKFBIN=feedback,
                                  o_CLKFBOUT=feedback, o_CLKOUT0=outs[0], o_CLKOUT1=outs[1], o_LOCKED=self.locked)
        for name, out in zip("xy", outs, strict=True):
            domain = ClockDomain(name)
            setattr(self.clock_domains, name, domain)
            self.specials += Instance("BUFG", i_I=out, o_O=domain.clk), AsyncResetSynchronizer(domain, ~self.locked)
        self.count = Signal(4, name="count")
        self.sync.x += self.count.eq(self.count + 1)


def test_clocks_of_one_manager_are_related_and_its_input_is_not() -> None:
    top = Managed()
    taken, far = Signal(4, name="taken"), Signal(4, name="far")
    top.sync.y += taken.eq(top.count)
    top.sync.a += far.eq(top.count)
    result = top.check()
    assert only(result) == Crossing("register", "count", "x", "far", "a")
    assert result.related["x", "y"] == 1


def test_a_pin_without_a_clock_needs_a_multireg() -> None:
    top = Managed()
    taken = Signal(name="taken")
    top.sync.x += taken.eq(top.locked)
    assert only(top.check()) == Crossing("free pin", "locked", "no clock", "taken", "x")


def test_cells_and_pins_that_the_table_does_not_have_stop_the_check() -> None:
    with pytest.raises(CheckError, match="does not have cell NOVELTY"):
        found(lambda top: top.specials.__iadd__(Instance("NOVELTY", i_A=top.fast)))
    with pytest.raises(CheckError, match="which clock pin TURBO of FDRE belongs to"):
        found(lambda top: top.specials.__iadd__(Instance("FDRE", i_C=ClockSignal("a"), i_TURBO=top.fast[0])))


def test_a_register_written_in_two_domains_stops_the_check() -> None:
    def twice(top: Any) -> None:
        both = Signal(name="both")
        top.sync.a += both.eq(top.fast[0])
        top.sync.b += both.eq(top.slow[0])

    with pytest.raises(CheckError, match="both is written in several clock domains: a, b"):
        found(twice)


def test_a_receiver_of_a_transceiver_is_in_the_domain_of_its_user_clock() -> None:
    def transceiver(top: Any) -> None:
        data, taken, good = Signal(16, name="data"), Signal(16, name="taken"), Signal(16)
        top.specials += Instance("GTPE2_CHANNEL", i_RXUSRCLK2=ClockSignal("a"), i_RXUSRCLK=ClockSignal("a"),
                                 o_RXDATA=data, i_TXUSRCLK2=ClockSignal("b"), i_TXDATA=top.slow,
                                 i_GTRXRESET=top.slow[0])
        top.sync.a += good.eq(data)
        top.sync.b += taken.eq(data)

    assert only(found(transceiver)) == Crossing("register", "data", "a", "taken", "b")


def test_a_clock_made_by_logic_stops_the_check_but_not_one_chosen_by_a_constant() -> None:
    def chosen(top: Any, condition: Any) -> None:
        third, clock = ClockDomain("third", reset_less=True), Signal(name="chosen")
        top.clock_domains.third = third
        top.comb += [If(condition, clock.eq(top.clk_a)).Else(clock.eq(top.clk_b)), third.clk.eq(clock)]
        count = Signal(name="count")
        top.sync.third += count.eq(top.slow[0])

    assert found(lambda top: chosen(top, 0)).faults == set()
    with pytest.raises(CheckError, match=r"clock chosen is made by logic from .*clk_a, clk_b.*: use a BUFGCTRL"):
        found(lambda top: chosen(top, top.fast[0]))


def test_a_clock_from_nowhere_and_a_domain_declared_twice_stop_the_check() -> None:
    def nowhere(top: Any) -> None:
        top.clock_domains.lost = ClockDomain("lost")
        top.sync.lost += Signal(name="taken").eq(1)

    with pytest.raises(CheckError, match="clock lost_clk comes from nowhere"):
        found(nowhere)
    with pytest.raises(CheckError, match="clock domain a is declared twice"):
        found(lambda top: top.clock_domains.__iadd__(ClockDomain("a")))


def test_a_fifo_between_clocks_that_are_not_declared_as_asynchronous_is_a_fault() -> None:
    def faults(declared: Callable[[Any], list[tuple[Any, Any]]]) -> list[str]:
        top = Managed()
        queue = AsyncFIFO(4, 16)
        top.submodules.queue = ClockDomainsRenamer({"write": "x", "read": "b"})(queue)
        top.comb += [queue.we.eq(1), queue.re.eq(1), queue.din.eq(top.count)]
        design = Design(top, [top.clk_a, top.clk_b, top.pad])
        return timing.faults(design, crossings(design).memories, declared(top))

    fault = ["a FIFO between b and x would be timed: add_false_path_constraints for both"]
    assert faults(lambda top: []) == fault
    assert faults(lambda top: [(top.x.clk, top.a.clk), (top.y.clk, top.b.clk)]) == fault
    assert faults(lambda top: [(top.b.clk, top.x.clk)]) == []
    # The clock that the manager makes x from stands for x too.
    assert faults(lambda top: [(top.clk_a, top.clk_b)]) == []


def test_a_clock_that_starts_in_the_fpga_needs_a_period_unless_a_clock_manager_makes_it() -> None:
    top = Managed()
    received = Signal(name="received")
    top.clock_domains.rx = ClockDomain("rx", reset_less=True)
    top.specials += Instance("GTPE2_CHANNEL", name="lane", o_RXOUTCLK=received)
    top.specials += Instance("BUFG", i_I=received, o_O=top.rx.clk)
    design = Design(top, [top.clk_a, top.clk_b, top.pad])
    assert timing.without_period(design, []) == [
        "clock domain rx has no period: add_period_constraint for lane.RXOUTCLK"]
    # Before the buffer and behind it it is the same clock.
    assert timing.without_period(design, [received]) == timing.without_period(design, [top.rx.clk]) == []
