"""The OpenOCD script of a job: commands like `write=gateware,firmware`, as steps.

All files have fixed names in the folder in which OpenOCD runs. Each step first says its number with an `echo`, which is
how the runner follows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corelog.flash.images import Image
from corelog.flash.layout import BOOTLOADER, FIRMWARE, FLASH_SIZE, GATEWARE, REGIONS, SECTOR, STORAGE, Target

MARK = "corelog step "
LOAD_FILE = "top.bit"
FILES = {GATEWARE: "gateware.bin", BOOTLOADER: "bootloader.bin", STORAGE: "storage.img", FIRMWARE: "firmware.fbi"}

# Slowest of what is in use: a sector takes up to 3 s to erase, a USB adapter may manage 20 kB/s.
_SECONDS_PER_SECTOR = 3.0
_SECONDS_PER_BYTE = 1 / 20_000
_SECONDS = 60.0  # to find the adapter, load the FPGA, reconfigure

ALL = ("all",)
DEFAULT_COMMANDS = ("write", "start")
_DEFAULTS = {"write": (GATEWARE, BOOTLOADER, FIRMWARE), "erase": ALL}


class CommandsError(Exception):
    """The commands make no sense; `str()` is one line."""


@dataclass(frozen=True, slots=True)
class Command:
    """`write` and `erase` have regions, in the order of their addresses; `erase` may have ALL."""

    verb: str
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What to tell the user, OpenOCD's commands, and seconds they may take at the worst adapter and flash."""

    title: str
    commands: list[str]
    deadline: float = _SECONDS


def parse(texts: Sequence[str]) -> list[Command]:
    """The commands of a command line; none: write, start. Raises CommandsError."""
    return [_parse(text) for text in texts or DEFAULT_COMMANDS]


def _parse(text: str) -> Command:
    verb, equals, list_ = text.partition("=")
    if verb not in ("write", "erase", "load", "start"):
        raise CommandsError(f"{verb!r} is no command: there are write, erase, load, start")
    if not equals:
        return Command(verb, _DEFAULTS.get(verb, ()))
    if verb in ("load", "start"):
        raise CommandsError(f"{verb} takes no regions")
    names = list_.split(",")
    if verb == "erase" and names == list(ALL):
        return Command(verb, ALL)
    for name in names:
        if name not in REGIONS:
            raise CommandsError(f"{name!r} is no region of the flash: there are {', '.join(REGIONS)}")
    return Command(verb, tuple(name for name in REGIONS if name in names))


def steps(target: Target, commands: Sequence[Command], images: dict[str, Image], preinit: Sequence[str] = ()
          ) -> list[Step]:  # fmt: skip
    """The whole job. `images`: one for each region that is written."""
    # OpenOCD goes on with whatever board it finds: that must not be written to
    check_chain = (
        "if {[string match {*Trying to use configured scan chain anyway*} [capture init]]} "
        "{error {Error: the JTAG chain is not that of this board}}"
    )
    job = [
        Step(
            f"connecting to the {target.name}",
            [
                f"source [find {target.board}]",
                "target create xc7.spi0.proxy testee -chain-position xc7.tap",
                "flash bank spi0 jtagspi 0 0 0 0 xc7.spi0.proxy 0x2",
                *(f"{port}_port disabled" for port in ("gdb", "tcl", "telnet")),
                *preinit,
                check_chain,
                "xadc_report xc7.tap",
            ],
        )
    ]
    proxy = False  # whether the proxy is what the FPGA holds
    for command in commands:
        if command.verb in ("write", "erase") and not proxy:
            job.append(Step("loading the flash proxy", [f"pld load 0 {{{target.proxy}}}", "flash probe spi0"]))
        if command.verb == "write":
            for region in command.regions:
                job += _write(target, images[region])
        elif command.verb == "erase":
            job += _erase(target, command.regions)
        elif command.verb == "load":
            job.append(Step(f"loading {LOAD_FILE} into the FPGA", [f"pld load 0 {{{LOAD_FILE}}}"]))
        else:
            job.append(Step("starting from the flash", ["xc7_program xc7.tap"]))
        proxy = command.verb in ("write", "erase")
    return [*job, Step("done", ["exit"])]


def lines(job: Sequence[Step]) -> list[str]:
    """All lines of the script."""
    return [line for n, step in enumerate(job, 1) for line in (f"echo {{{MARK}{n}: {step.title}}}", *step.commands)]


def _write(target: Target, image: Image) -> list[Step]:
    start, size, file = target.region(image.region).start, len(image.data), FILES[image.region]
    first, last = start // SECTOR, (start + size - 1) // SECTOR
    about = f"{image.region} ({size} bytes at {start:#08x})"
    slow = _SECONDS + size * _SECONDS_PER_BYTE
    return [
        Step(f"erasing for {about}", [f"flash erase_sector spi0 {first} {last}"], _erasing(last - first + 1)),
        Step(f"writing {about}", [f"flash write_bank spi0 {{{file}}} {start:#x}"], slow),
        Step(f"verifying {about}", [f"flash verify_bank spi0 {{{file}}} {start:#x}"], slow),
    ]


def _erase(target: Target, regions: tuple[str, ...]) -> list[Step]:
    if regions == ALL:
        return [Step("erasing the whole flash", ["flash erase_sector spi0 0 last"], _erasing(FLASH_SIZE // SECTOR))]
    job = []
    for name in regions:
        region = target.region(name)
        first, last = region.start // SECTOR, region.end // SECTOR - 1
        command = f"flash erase_sector spi0 {first} {'last' if region.end == FLASH_SIZE else last}"
        job.append(Step(f"erasing {name}", [command], _erasing(last - first + 1)))
    return job


def _erasing(sectors: int) -> float:
    return _SECONDS + sectors * _SECONDS_PER_SECTOR
