"""A NOR flash chip as gateware, and the simulated board with one: to write flash images to."""

import logging
from pathlib import Path
from typing import Any

from migen import Array, C, Case, Cat, If, Memory, Module, Mux, Record, Signal

from corelog.flash.layout import TARGETS
from corelog_gateware.firmware.build import compile_elf
from corelog_gateware.simulator import build, paths, toolchain
from corelog_gateware.soc import parts, simulated
from corelog_gateware.targets import sim

LAYOUT = TARGETS["kasli"]
READ, PROGRAM, ERASE, STATUS, ENABLE, IDENTIFY = 0x03, 0x02, 0xD8, 0x05, 0x06, 0x9F
ERASE_CYCLES, PROGRAM_CYCLES = 80_000, 600  # an erasure of the model itself takes 65536


class Chip(Module):
    """16 MiB on ``lines`` (Record of ``parts.flash_lines()``), SPI mode 0, a clock that lasts 2 cycles or more."""

    def __init__(self, lines: Record) -> None:
        memory = Memory(8, 1 << 24)
        port = memory.get_port(write_capable=True)
        self.specials += memory, port
        was_high, was_selected = Signal(), Signal()
        rise, fall = Signal(), Signal()
        bits, shifted, byte = Signal(32), Signal(7), Signal(8)
        command, address, number = Signal(8), Signal(24), Signal(29)
        enabled, programmed, busy = Signal(), Signal(), Signal(20)
        erasing, sector_byte = Signal(), Signal(24)
        phase, data, target, value = Signal(2), Signal(8), Signal(24), Signal(8)
        identity = Array([0x20, 0xBA, 0x18, 0x10, 0x00, 0, 0, 0])
        self.comb += [
            rise.eq(lines.clk & ~was_high & ~lines.cs_n),
            fall.eq(~lines.clk & was_high & ~lines.cs_n),
            byte.eq(Cat(lines.mosi, shifted)),
            number.eq(bits[3:]),
            # A programming reads the byte, then writes what both have set.
            If(erasing, port.adr.eq(sector_byte), port.dat_w.eq(0xFF), port.we.eq(1))
            .Elif(phase != 0, port.adr.eq(target), port.dat_w.eq(port.dat_r & data), port.we.eq(phase == 3))
            .Else(port.adr.eq(address)),
            Case(
                command,
                {
                    STATUS: value.eq(Cat((busy != 0) | erasing, enabled)),
                    IDENTIFY: value.eq(identity[number - 1]),
                    "default": value.eq(Mux((busy != 0) | erasing, 0x55, port.dat_r)),
                },
            ),
        ]
        self.sync += [
            was_high.eq(lines.clk),
            was_selected.eq(~lines.cs_n),
            If(busy != 0, busy.eq(busy - 1)),
            If(erasing, sector_byte.eq(sector_byte + 1), If(sector_byte[:16] == 0xFFFF, erasing.eq(0))),
            If(phase != 0, phase.eq(phase + 1)),
            If(
                rise,
                shifted.eq(byte),
                bits.eq(bits + 1),
                If(
                    bits[:3] == 7,
                    If(number == 0, command.eq(byte)),
                    If((number > 0) & (number < 4), address.eq(Cat(byte, address[:16]))),
                    If((number >= 4) & (command == READ), address.eq(address + 1)),
                    If(
                        (number >= 4) & (command == PROGRAM) & enabled,
                        data.eq(byte),
                        target.eq(address),
                        phase.eq(1),
                        programmed.eq(1),
                        address[:8].eq(address[:8] + 1),
                    ),
                ),
            ),
            If(fall & (bits >= 8), lines.miso.eq((value >> (7 - bits[:3])) & 1)),
            If(
                lines.cs_n,
                bits.eq(0),
                If(was_selected & (bits == 8) & (command == ENABLE), enabled.eq(1)),
                If(
                    was_selected & (bits == 32) & (command == ERASE) & enabled,
                    erasing.eq(1),
                    sector_byte.eq(Cat(C(0, 16), address[16:])),
                    busy.eq(ERASE_CYCLES),
                    enabled.eq(0),
                ),
                If(was_selected & programmed, busy.eq(PROGRAM_CYCLES), enabled.eq(0), programmed.eq(0)),
            ),
        ]


class _Variant(paths.Variant):
    @property
    def directory(self) -> Path:
        return paths.BUILD / "tests/flash-board"


def flash_board() -> list[str]:
    """The command of the simulated board with a flash chip, built if it has changed."""
    logging.disable(logging.INFO)

    def extend(soc: Any) -> None:
        lines = Record(parts.flash_lines())
        parts.add_flash_memory(soc, lines, LAYOUT)
        soc.flash_chip = Chip(lines)

    variant = _Variant("sim", "runtime", "Vcorelog")
    progress = build.Progress(lambda line: None)
    with build.lock(progress):
        verilog = simulated.elaborate(
            variant.directory, links=0, satellite=False, extend=extend, clk_freq=sim.CLOCK_FREQUENCY,
            main_ram_size=sim.MAIN_RAM_SIZE, ident=sim.ident("sim"), make_phys=sim.rtio_phys)  # fmt: skip
        program = build.compile_program(progress, {variant: verilog}, False, None)
        elf = variant.directory / "firmware.elf"
        elf.write_bytes(compile_elf(toolchain.find(), variant.package, variant.generated))
    return [str(program), "--firmware", str(elf)]
