"""Small cores of real boards, each against a model of what is on its other side."""

import random
import zlib
from collections.abc import Generator
from typing import Any

import pytest
from liteeth.common import eth_phy_description
from litex.soc.interconnect import stream
from migen import ClockDomain, Instance, Module, Record, Signal, passive, run_simulation

from corelog_gateware.soc import dna, entropy, icap, parts
from corelog_gateware.soc.ethernet import FrameLink
from corelog_gateware.soc.spi_phy import DESELECTED, SpiPHY

CYCLE = 8  # ns


def without_instance(core: Module) -> tuple[Any, dict[str, Any]]:
    """The core's fragment without its only Instance, whose place a model takes, and what is at its pins."""
    fragment = core.get_fragment()
    [instance] = [special for special in fragment.specials if isinstance(special, Instance)]
    fragment.specials.remove(instance)
    return fragment, {item.name: item.expr for item in instance.items if hasattr(item, "expr")}


class FlashModel:
    """SPI mode 0; replies to whatever comes with `reply`, bit by bit from the `answer_at`th on."""

    def __init__(self, lines: Record, reply: int, answer_at: int, lost: int) -> None:
        self.lines, self.reply, self.answer_at, self.lost = lines, reply, answer_at, lost
        self.frames: list[list[int]] = []
        self.pauses: list[int] = []

    @passive
    def run(self) -> Generator[Any, Any, None]:
        clk_before, selected, pause, lost = 0, False, 0, self.lost
        while True:
            clk, cs_n, mosi = (yield self.lines.clk), (yield self.lines.cs_n), (yield self.lines.mosi)
            rise, fall, clk_before = clk and not clk_before, clk_before and not clk, clk
            if lost and fall:
                lost -= 1
            elif not cs_n:
                if not selected:
                    self.frames.append([])
                    self.pauses.append(pause)
                if rise:
                    self.frames[-1].append(mosi)
                bits = len(self.frames[-1])
                if fall and 0 <= bits - self.answer_at < 32:
                    yield self.lines.miso.eq(self.reply >> (31 - (bits - self.answer_at)) & 1)
            pause = pause + 1 if cs_n else 0
            selected = not cs_n
            yield


def phy(half_period: int = 2) -> tuple[SpiPHY, Record]:
    lines = Record(parts.flash_lines())
    core = SpiPHY(lines, half_period)
    core.comb += lines.clk.eq(core.clk)
    return core, lines


def number(bits: list[int]) -> int:
    return int("".join(map(str, bits)), 2)


def transfer(core: SpiPHY, data: int, length: int, answers: list[int]) -> Generator[Any, Any, None]:
    yield core.sink.data.eq(data)
    yield core.sink.len.eq(length)
    yield core.sink.valid.eq(1)
    yield
    while not (yield core.sink.ready):
        yield
    yield core.sink.valid.eq(0)
    yield core.source.ready.eq(1)
    while not (yield core.source.valid):
        yield
    answers.append((yield core.source.data))
    yield
    yield core.source.ready.eq(0)


@pytest.mark.parametrize("half_period", [2, 3, 5])
def test_a_command_reaches_the_flash_though_the_first_clocks_are_swallowed(half_period: int) -> None:
    core, lines = phy(half_period)
    model = FlashModel(lines, reply=0xCAFE1234, answer_at=32, lost=3)
    answers: list[int] = []

    def user() -> Generator[Any, Any, None]:
        yield core.cs.eq(1)  # at once, as the CPU's first fetch does
        yield from transfer(core, 0x03, 8, answers)
        yield from transfer(core, 0x400000, 24, answers)
        yield from transfer(core, 0, 32, answers)

    run_simulation(core, [user(), model.run()])
    [frame] = model.frames
    assert number(frame[:32]) == 0x03400000
    assert len(frame) == 64
    assert answers[2] == 0xCAFE1234


def test_a_short_pause_of_the_select_still_ends_the_command_for_the_flash() -> None:
    core, lines = phy()
    model = FlashModel(lines, reply=0, answer_at=99, lost=0)
    answers: list[int] = []

    def user() -> Generator[Any, Any, None]:
        yield core.cs.eq(1)
        yield from transfer(core, 0x9F, 8, answers)
        yield core.cs.eq(0)
        yield
        yield core.cs.eq(1)
        yield from transfer(core, 0x05, 8, answers)

    run_simulation(core, [user(), model.run()])
    assert [number(frame) for frame in model.frames] == [0x9F, 0x05]
    assert model.pauses[1] >= DESELECTED


def test_the_clock_rests_low_and_is_off_while_nothing_is_transferred() -> None:
    core, lines = phy()
    seen = []

    def user() -> Generator[Any, Any, None]:
        yield core.cs.eq(1)
        for _ in range(200):
            yield
        for _ in range(100):
            seen.append((yield lines.clk))
            yield

    run_simulation(core, user())
    assert seen == [0] * 100


def test_dna_is_read_most_significant_bit_first() -> None:
    core = dna.DNA()
    fragment, pins = without_instance(core)
    value = 0x1AB_CDEF_0123_4567 & (1 << dna.BITS) - 1

    @passive
    def model() -> Generator[Any, Any, None]:
        register, before = 0, 0
        while True:
            now = yield pins["CLK"]
            if now and not before:
                register = value if (yield pins["READ"]) else register << 1 if (yield pins["SHIFT"]) else register
                yield pins["DOUT"].eq(register >> (dna.BITS - 1) & 1)
            before = now
            yield

    def wait() -> Generator[Any, Any, None]:
        for _ in range(2000):
            if (yield core.done):
                break
            yield
        for _ in range(50):
            yield
        assert (yield core.value) == value

    run_simulation(fragment, [wait(), model()])


def test_a_reload_gives_the_words_of_the_manual_and_nothing_before() -> None:
    core = icap.ICAP()
    fragment, pins = without_instance(core)
    taken: list[int] = []

    @passive
    def model() -> Generator[Any, Any, None]:
        before = 0
        while True:
            now = yield pins["CLK"]
            if now and not before and not (yield pins["CSIB"]) & 1:
                reversed_bytes = yield pins["I"]
                taken.append(sum(int(f"{reversed_bytes >> 8 * n & 0xFF:08b}"[::-1], 2) << 8 * n for n in range(4)))
            before = now
            yield

    def user() -> Generator[Any, Any, None]:
        for _ in range(100):
            yield
        assert taken == []
        yield core._reload.r.eq(1)
        yield core._reload.re.eq(1)
        yield
        yield core._reload.re.eq(0)
        for _ in range(2 * icap.HALF_PERIOD * (len(icap.WORDS) + 2)):
            yield

    run_simulation(fragment, [user(), model()])
    assert taken[: len(icap.WORDS)] == list(icap.WORDS)
    assert set(taken[len(icap.WORDS) :]) <= {icap.WORDS[-1]}


def test_entropy_differs_from_one_read_to_the_next_and_from_one_boot_to_the_next() -> None:
    boots = []
    for noise_period in (14, 18):
        top = Module()
        top.submodules.core = core = entropy.Entropy(Signal())
        words: list[int] = []

        def read(core: entropy.Entropy = core, words: list[int] = words) -> Generator[Any, Any, None]:
            for _ in range(60):
                for _ in range(40):
                    yield
                words.append((yield core.word))

        run_simulation(core, read(), clocks={"sys": CYCLE, "noise": noise_period})
        boots.append(words)
    late = [set(words[20:]) for words in boots]
    assert [len(words) for words in late] == [40, 40]
    assert not late[0] & late[1]


class LoopPHY(Module):
    """What is sent is received, one octet a cycle, except that octet `wrong` is changed on its way."""

    dw = 8

    def __init__(self, wrong: int | None = None) -> None:
        self.clock_domains.cd_eth_tx = ClockDomain(reset_less=True)
        self.clock_domains.cd_eth_rx = ClockDomain(reset_less=True)
        self.sink = stream.Endpoint(eth_phy_description(8))
        self.source = stream.Endpoint(eth_phy_description(8))
        self.wrong = wrong
        self.octets: list[int] = []

    @passive
    def run(self) -> Generator[Any, Any, None]:
        yield self.sink.ready.eq(1)
        while True:
            valid, data, last = (yield self.sink.valid), (yield self.sink.data), (yield self.sink.last)
            flip = 0x10 if valid and len(self.octets) == self.wrong else 0
            if valid:
                self.octets.append(data)
            yield self.source.valid.eq(valid)
            yield self.source.data.eq(data ^ flip)
            yield self.source.last.eq(last)
            yield


def through(frame: bytes, wrong: int | None = None) -> tuple[bytes | None, list[int], int]:
    """(what came back or None if it was marked wrong, octets on the wire, errors counted)."""
    loop = LoopPHY(wrong)
    link = FrameLink(loop)
    came: list[tuple[bytes, int]] = []

    def send() -> Generator[Any, Any, None]:
        for at in range(0, len(frame), 4):
            word = frame[at : at + 4]
            yield link.sink.data.eq(int.from_bytes(word, "little"))
            yield link.sink.last.eq(at + 4 >= len(frame))
            yield link.sink.last_be.eq(1 << (len(word) - 1) if at + 4 >= len(frame) else 0)
            yield link.sink.valid.eq(1)
            yield
            while not (yield link.sink.ready):
                yield
        yield link.sink.valid.eq(0)

    def receive() -> Generator[Any, Any, None]:
        yield link.source.ready.eq(1)
        whole = b""
        for _ in range(1500):
            yield
            if (yield link.source.valid):
                word = (yield link.source.data).to_bytes(4, "little")
                if (yield link.source.last):
                    last_be = yield link.source.last_be
                    came.append((whole + word[: last_be.bit_length()], (yield link.source.error) & last_be))
                    break
                whole += word
        for _ in range(50):
            yield

    errors = []

    def count() -> Generator[Any, Any, None]:
        while len(came) == 0:
            yield
        for _ in range(40):
            yield
        errors.append((yield link.rx_datapath.crc_errors.status))

    clocks = {"sys": 8, "eth_tx": 8, "eth_rx": 8}
    run_simulation(link, {"sys": [send(), receive(), count()], "eth_tx": loop.run()}, clocks=clocks)
    [(got, error)] = came
    return None if error else got, loop.octets, errors[0]


@pytest.mark.parametrize("length", [14, 60, 61, 63])
def test_a_frame_survives_the_wire_and_a_short_one_is_padded(length: int) -> None:
    frame = random.Random(length).randbytes(length)
    got, octets, errors = through(frame)
    assert got == frame + bytes(max(0, 60 - length))
    assert bytes(octets[:8]) == b"\x55" * 7 + b"\xd5"
    assert bytes(octets[8:]) == got + zlib.crc32(got).to_bytes(4, "little")
    assert errors == 0


def test_a_frame_with_a_wrong_octet_is_marked_and_counted() -> None:
    got, _, errors = through(random.Random(1).randbytes(100), wrong=50)
    assert got is None
    assert errors == 1
