"""The flash of real boards as CPU and firmware see it: memory, master and the wait after a reset, against a model."""

from collections.abc import Generator
from typing import Any

import pytest
from litespi import LiteSPI
from migen import Module, Record, passive, run_simulation

from corelog_gateware.soc import flash_ready, parts
from corelog_gateware.soc.spi_phy import SpiPHY

JEDEC_ID = 0x012018


class Chip:
    """A flash: read, status, JEDEC id, write enable, page program and sector erase, the latter two taking time."""

    def __init__(self, lines: Record, busy: int = 0) -> None:
        self.lines, self.busy = lines, busy
        self.bytes = {0x400000 + n: n * 7 & 0xFF for n in range(64)}
        self.commands: list[int] = []
        self.read_while_busy = 0
        self.enabled = False

    def answer(self, bits: list[int]) -> int:
        """The bit that follows when so many have come."""
        number = int("".join(map(str, bits)), 2)
        command, n = number >> (len(bits) - 8), len(bits) - 8
        if command == 0x05:
            return (self.busy > 0) << 0 if n % 8 == 7 else self.enabled if n % 8 == 6 else 0
        if command == 0x9F:
            return JEDEC_ID >> (23 - n) & 1 if n < 24 else 0
        if command == 0x03 and n >= 24:
            address = (number >> (n - 24) & 0xFFFFFF) + (n - 24) // 8
            return self.bytes.get(address, 0xFF) >> (7 - n % 8) & 1
        return 1

    def end(self, bits: list[int]) -> None:
        """Deselected after these bits: what is whole is done."""
        whole = [int("".join(map(str, bits[n : n + 8])), 2) for n in range(0, len(bits) - 7, 8)]
        if not whole:
            return
        self.commands.append(whole[0])
        address = int.from_bytes(whole[1:4], "big")
        if whole[0] == 0x03 and self.busy:
            self.read_while_busy += 1
        if whole[0] == 0x06:
            self.enabled = True
        elif whole[0] == 0x02 and self.enabled:
            for n, byte in enumerate(whole[4:]):
                self.bytes[address + n] = self.bytes.get(address + n, 0xFF) & byte
            self.busy, self.enabled = 400, False
        elif whole[0] == 0xD8 and self.enabled:
            self.bytes = {at: byte for at, byte in self.bytes.items() if at >> 16 != address >> 16}
            self.busy, self.enabled = 400, False

    @passive
    def run(self) -> Generator[Any, Any, None]:
        before, bits = 0, list[int]()
        while True:
            clk, cs_n = (yield self.lines.clk), (yield self.lines.cs_n)
            if cs_n:
                self.end(bits)
                bits = []
            elif clk and not before:
                bits.append((yield self.lines.mosi))
            elif before and not clk and len(bits) >= 8:
                yield self.lines.miso.eq(self.answer(bits))
            before = clk
            self.busy = max(0, self.busy - 1)
            yield


class Board(Module):
    def __init__(self) -> None:
        self.lines = Record(parts.flash_lines())
        self.submodules.phy = phy = SpiPHY(self.lines, parts.FLASH_HALF_PERIOD)
        self.submodules.core = LiteSPI(phy, mmap_endianness="little", with_csr=False)
        self.comb += self.lines.clk.eq(phy.clk)

    def transfer(self, value: int, length: int) -> Generator[Any, Any, int]:
        """As firmware does it: write `rxtx`, wait, read `rxtx`."""
        master = self.core.master
        yield master._phyconfig.fields.len.eq(length)
        yield master._phyconfig.fields.width.eq(1)
        yield master._phyconfig.fields.mask.eq(1)
        yield master._rxtx.r.eq(value)
        yield master._rxtx.re.eq(1)
        yield
        yield master._rxtx.re.eq(0)
        yield
        while not (yield master.rx_fifo.source.valid):
            yield
        got: int = yield master._rxtx.w
        yield master._rxtx.we.eq(1)
        yield
        yield master._rxtx.we.eq(0)
        return got

    def command(self, values: list[tuple[int, int]]) -> Generator[Any, Any, list[int]]:
        got = []
        yield self.core.master._cs.storage.eq(1)
        for value, length in values:
            got.append((yield from self.transfer(value, length)))
        yield self.core.master._cs.storage.eq(0)
        yield
        return got

    def read(self, address: int) -> Generator[Any, Any, int]:
        """A word, as the CPU reads it."""
        bus = self.core.bus
        yield bus.adr.eq(address >> 2)
        yield bus.cyc.eq(1)
        yield bus.stb.eq(1)
        yield
        while not (yield bus.ack):
            yield
        word: int = yield bus.dat_r
        yield bus.cyc.eq(0)
        yield bus.stb.eq(0)
        yield
        return word


def word_at(address: int) -> int:
    return sum((address - 0x400000 + n) * 7 % 256 << 8 * n for n in range(4))


def test_words_are_read_in_a_row_and_out_of_order() -> None:
    board = Board()
    chip = Chip(board.lines)
    addresses = [0x400000, 0x400004, 0x400008, 0x400020, 0x400004, 0x400038]
    got = []

    def cpu() -> Generator[Any, Any, None]:
        for address in addresses:
            got.append((yield from board.read(address)))

    run_simulation(board, [cpu(), chip.run()])
    assert got == [word_at(address) for address in addresses]


def test_firmware_erases_programs_and_reads_back_through_the_master() -> None:
    board = Board()
    chip = Chip(board.lines)
    got: dict[str, Any] = {}

    def finished() -> Generator[Any, Any, None]:
        while (yield from board.command([(0x05, 8), (0, 8)]))[1] & 1:
            pass

    def firmware() -> Generator[Any, Any, None]:
        got["id"] = (yield from board.command([(0x9F, 8), (0, 24)]))[1]
        yield from board.command([(0x06, 8)])
        yield from board.command([(0xD8, 8), (0x400000, 24)])
        yield from finished()
        yield from board.command([(0x06, 8)])
        yield from board.command([(0x02, 8), (0x400010, 24), (0xCAFE1234, 32)])
        yield from finished()
        got["back"] = (yield from board.command([(0x03, 8), (0x40000F, 24), (0, 8), (0, 32), (0, 8)]))[2:]
        got["cpu"] = yield from board.read(0x400010)

    run_simulation(board, [firmware(), chip.run()])
    assert got["id"] == JEDEC_ID
    assert got["back"] == [0xFF, 0xCAFE1234, 0xFF]
    assert got["cpu"] == 0x3412FECA
    assert chip.read_while_busy == 0


def test_the_memory_waits_while_the_master_has_the_flash_selected() -> None:
    board = Board()
    chip = Chip(board.lines)
    order = []

    def firmware() -> Generator[Any, Any, None]:
        yield board.core.master._cs.storage.eq(1)
        yield from board.transfer(0x9F, 8)
        for _ in range(500):
            yield
        answer = yield from board.transfer(0, 24)
        assert answer == JEDEC_ID
        order.append("master")
        yield board.core.master._cs.storage.eq(0)

    def cpu() -> Generator[Any, Any, None]:
        for _ in range(100):
            yield
        assert (yield from board.read(0x400008)) == word_at(0x400008)
        order.append("cpu")

    run_simulation(board, [firmware(), cpu(), chip.run()])
    assert order == ["master", "cpu"]
    assert chip.commands[0] == 0x9F


class Waiting(Module):
    def __init__(self, clk_freq: int) -> None:
        self.lines = Record(parts.flash_lines())
        self.submodules.phy = phy = SpiPHY(self.lines, 2)
        self.submodules.wait = wait = flash_ready.FlashReady(clk_freq)
        self.comb += [
            self.lines.clk.eq(phy.clk),
            wait.source.connect(phy.sink),
            phy.source.connect(wait.sink),
            phy.cs.eq(wait.cs),
        ]


@pytest.mark.parametrize(
    ("busy", "least", "most"), [(0, 100, 400), (1500, 1500, 2000), (10**6, 4000, 4400)],
    ids=["idle", "an erase under way", "a flash that is not there"],
)  # fmt: skip
def test_after_a_reset_the_flash_is_asked_until_it_is_ready_or_the_deadline(busy: int, least: int, most: int) -> None:
    board = Waiting(clk_freq=1000)  # the deadline is 4000 cycles
    chip = Chip(board.lines, busy)
    cycles = 0

    def count() -> Generator[Any, Any, None]:
        nonlocal cycles
        while not (yield board.wait.ready):
            cycles += 1
            yield
        for _ in range(50):
            yield
        assert (yield board.lines.cs_n), "deselected, for the CPU's first read"

    run_simulation(board, [count(), chip.run()])
    assert least <= cycles <= most
    assert set(chip.commands) == {0x05}
