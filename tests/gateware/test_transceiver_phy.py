"""A PHY over a model of a transceiver: it comes up in any position, in the same time, and goes down when it should."""

import random
from collections.abc import Generator
from typing import Any

import pytest
from migen import Module, passive
from transceiver_model import PERIOD, UI, Line, ModelChannel, simulate

from corelog_gateware.drtio.interface import K_IDLE
from corelog_gateware.drtio.link import LinkLayer
from corelog_gateware.transceiver import aligner
from corelog_gateware.transceiver.phy import TransceiverPHY

Steps = Generator[Any, Any, Any]
WATCH, FREQUENCY = 32, 80e3  # a millisecond of 80 cycles


@pytest.fixture(autouse=True)
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WINDOW": 32, "BAD_WORDS": 8, "COMMAS": 4}.items():
        monkeypatch.setattr(aligner, name, value)


class Loop:
    """A PHY whose transmitter leads to its own receiver."""

    def __init__(self, delay: int, uplink: bool = False, seed: int | None = None) -> None:
        seed = random.randrange(2**32) if seed is None else seed
        print(f"seed {seed}")
        self.rng = random.Random(seed)
        self.line = Line(self.rng)
        self.channel = ModelChannel(self.line, delay, self.rng)
        self.dut = TransceiverPHY(self.channel, uplink, FREQUENCY, WATCH)
        self.sent = 0

    def run(self, steps: Steps) -> None:
        simulate(self.dut, self.channel, self.rng.randrange(PERIOD), steps)

    def cycle(self) -> Steps:
        """Sends an idle word with a number; returns (up, bad, k, byte 0, byte 1) of what is there."""
        phy = self.dut.phy
        self.sent = (self.sent + 1) % 256
        yield phy.tx_d.eq(K_IDLE | self.sent << 8)
        yield phy.tx_k.eq(1)
        yield
        d = yield phy.rx_d
        return (yield phy.rx_up), (yield phy.rx_bad), (yield phy.rx_k), d & 0xFF, d >> 8

    def until(self, up: int, cycles: int) -> Steps:
        for n in range(cycles):
            if (yield from self.cycle())[0] == up:
                return n
        raise AssertionError(f"rx_up is not {up} after {cycles} cycles")

    def latency(self, cycles: int = 100) -> Steps:
        """Cycles from tx to rx, of every word."""
        found = set()
        for _ in range(cycles):
            up, bad, k, first, number = yield from self.cycle()
            assert (up, bad, k, first) == (1, 0, 1, K_IDLE)
            found.add((self.sent - number) % 256)
        assert len(found) == 1
        return found.pop()

    def start_again(self) -> Steps:
        """The transmitter pauses until the receiver has lost it."""
        yield self.dut.phy.tx_enable.eq(0)
        yield from self.until(0, 1500)
        self.channel.wrong = self.rng.randrange(3)
        for _ in range(self.rng.randrange(100)):
            yield from self.cycle()
        yield self.dut.phy.tx_enable.eq(1)
        yield from self.until(1, 8000)


@pytest.mark.slow
@pytest.mark.parametrize("delay", [6 * PERIOD + 7 * UI + 20, 9 * PERIOD + 12 * UI + 30])
def test_the_latency_is_the_same_after_every_start(delay: int) -> None:
    found = set()
    for _ in range(2):
        loop = Loop(delay)

        def steps(loop: Loop = loop) -> Steps:
            loop.channel.wrong = 2
            yield loop.dut.phy.tx_enable.eq(1)
            yield from loop.until(1, 8000)
            found.add((yield from loop.latency()))
            before = loop.channel.starts
            yield from loop.start_again()
            found.add((yield from loop.latency()))
            assert loop.channel.starts > before
            for _ in range(10):
                yield from loop.cycle()
            assert (yield loop.dut._restarts.status) == loop.channel.starts % 2**16
            assert not (yield loop.dut._phase_ambiguous.status)

        loop.run(steps())
    assert len(found) == 1
    # Encoder 2, its output seen by the model 1, the line, the receiver's word 1 and register 1, decoder 2, crossing 3
    # to 4 with its output register.
    assert delay / PERIOD + 2 + 2 + 3 <= found.pop() <= delay / PERIOD + 2 + 4 + 2 + 5


def test_flipped_bits_are_bad_words_and_the_link_stays_up() -> None:
    loop = Loop(8 * PERIOD + 5 * UI + 10)

    def steps() -> Steps:
        yield loop.dut.phy.tx_enable.eq(1)
        yield from loop.until(1, 8000)
        bad = wrong = 0
        for n in range(600):
            if n % 20 == 0:
                loop.line.flips = 1
            up, is_bad, k, first, _ = yield from loop.cycle()
            assert up
            bad += is_bad
            wrong += not is_bad and (k, first) != (1, K_IDLE)
        # A flip is seen in its word or by the disparity of a later one; now and then in both.
        assert 30 <= bad <= 60
        assert wrong <= 15
        assert (yield loop.dut._slips.status) == 0

    loop.run(steps())


def test_an_uplink_passes_nothing_on_before_it_is_told_to() -> None:
    loop = Loop(8 * PERIOD + 5 * UI + 10, uplink=True)

    def steps() -> Steps:
        yield loop.dut.phy.tx_enable.eq(1)
        for _ in range(8000):
            assert not (yield from loop.cycle())[0]
            if (yield loop.dut._rx_ready.status):
                break
        else:
            raise AssertionError("the receiver does not become ready")
        for _ in range(10 * WATCH):
            assert not (yield from loop.cycle())[0]
        yield loop.dut._receive.storage.eq(1)
        yield from loop.until(1, 3 * WATCH)
        yield loop.dut._receive.storage.eq(0)
        yield from loop.until(0, 3)

    loop.run(steps())


def test_a_recovered_clock_of_another_frequency_slips_and_each_slip_takes_the_link_down() -> None:
    loop = Loop(8 * PERIOD + 5 * UI + 10)

    def steps() -> Steps:
        yield loop.dut.phy.tx_enable.eq(1)
        yield from loop.until(1, 8000)
        loop.channel.drift = 4
        falls = was = 0
        for _ in range(2500):
            up = (yield from loop.cycle())[0]
            falls += was and not up
            was = up
        slips = yield loop.dut._slips.status
        assert slips >= 1 and falls >= slips

    loop.run(steps())


def test_tx_enable_stops_the_transmitter() -> None:
    loop = Loop(8 * PERIOD)

    def steps() -> Steps:
        for enable in (0, 1, 0):
            yield loop.dut.phy.tx_enable.eq(enable)
            for _ in range(3):
                yield
            assert (yield loop.channel.inhibit) == (not enable)

    loop.run(steps())


def test_the_link_layer_comes_up_over_it_carries_frames_counts_errors_and_goes_down() -> None:
    loop = Loop(7 * PERIOD + 3 * UI + 40)
    board = Module()
    board.submodules.phy = phy = loop.dut
    board.submodules.link = link = LinkLayer(phy.phy)
    received: list[tuple[int, int]] = []
    errors = [0]

    @passive
    def listen() -> Steps:
        while True:
            if (yield link.aux_rx_stb):
                received.append(((yield link.aux_rx_data), (yield link.aux_rx_last)))
            errors[0] += yield link.symbol_error
            yield

    def until(up: int, cycles: int) -> Steps:
        for _ in range(cycles):
            if (yield link.up) == up:
                return
            yield
        raise AssertionError(f"the link is not {up}")

    def send(frame: bytes) -> Steps:
        yield link.aux_tx_stb.eq(1)
        for n, byte in enumerate(frame):
            yield link.aux_tx_data.eq(byte)
            yield link.aux_tx_last.eq(n == len(frame) - 1)
            yield
        yield link.aux_tx_stb.eq(0)

    def steps() -> Steps:
        yield link.enable.eq(1)
        yield from until(1, 8000)
        frame = loop.rng.randbytes(40)
        yield from send(frame)
        for _ in range(60):
            yield
        assert received == [(byte, n == len(frame) - 1) for n, byte in enumerate(frame)]
        assert errors[0] == 0
        for _ in range(5):
            loop.line.flips = 1
            for _ in range(60):
                yield
        # A wrong bit makes one or two bad words (disparity), and up to three more that do not descramble.
        assert 3 <= errors[0] <= 5 * 5 and (yield link.up)
        yield link.enable.eq(0)
        yield from until(0, 2000)
        yield link.enable.eq(1)
        yield from until(1, 8000)

    simulate(board, loop.channel, loop.rng.randrange(PERIOD), steps(), listen())
