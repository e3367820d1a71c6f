"""Finds the files of a build and reads them, checked.

Flat directory: `top.bit` or without it `top.bin`, `bootloader.bin`, and `runtime.fbi` or `satman.fbi`. Build tree:
`gateware/top.bit` or `top.bin`, `software/bootloader/bootloader.bin`, `software/runtime/runtime.fbi` or
`software/satman/satman.fbi`. Zynq: `boot.bin`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corelog.flash.images import Image, ImageError, check, check_boot_bin, check_together
from corelog.flash.layout import BOOTLOADER, FIRMWARE, GATEWARE, Target, of_part

BOOT_BIN = "boot.bin"
COMPONENTS = (GATEWARE, BOOTLOADER, FIRMWARE)
_FLAT = {GATEWARE: ("top.bit", "top.bin"), BOOTLOADER: ("bootloader.bin",), FIRMWARE: ("runtime.fbi", "satman.fbi")}
_TREE = {
    GATEWARE: ("gateware/top.bit", "gateware/top.bin"),
    BOOTLOADER: ("software/bootloader/bootloader.bin",),
    FIRMWARE: ("software/runtime/runtime.fbi", "software/satman/satman.fbi"),
}
# In a build tree of ours.
_MADE_BY = {
    GATEWARE: " (the target with --build makes it, by Vivado)",
    BOOTLOADER: " (make bootloader makes it)",
    FIRMWARE: " (make firmware makes it)",
}


def find(directory: Path, component: str, srcbuild: bool = False) -> Path:
    """The file of a component. Raises ImageError if it is not there, or if there are two firmwares. Of two bitstreams
    it is the one that tells more."""
    if not directory.is_dir():
        raise ImageError(f"{directory} {'is no directory' if directory.exists() else 'does not exist'}")
    names = (_TREE if srcbuild else _FLAT)[component]
    files = [file for name in names if (file := directory / name).is_file()]
    if len(files) > 1 and component == FIRMWARE:
        raise ImageError(f"{directory} holds more than one {component}: {', '.join(file.name for file in files)}")
    if not files:
        hint = _other_layout(directory, srcbuild) or (_MADE_BY[component] if srcbuild else "")
        raise ImageError(f"{directory} lacks {' or '.join(names)}{hint}")
    return files[0]


def _other_layout(directory: Path, srcbuild: bool) -> str:
    other = _FLAT if srcbuild else _TREE
    if not any((directory / name).is_file() for names in other.values() for name in names):
        return ""
    return " (it is not a build tree: leave out --srcbuild)" if srcbuild else " (it is a build tree: give --srcbuild)"


def read(directory: Path, components: Sequence[str], target: Target | None = None, srcbuild: bool = False,
         mixed: bool = False) -> list[Image]:  # fmt: skip
    """The images of these components. Raises ImageError, or OSError for a file that cannot be read. `mixed`: gateware
    and firmware need not be made for each other."""
    files = [find(directory, component, srcbuild) for component in components]
    images = [check(part, file.read_bytes(), str(file), target) for part, file in zip(components, files, strict=True)]
    if not mixed:
        check_together(images)
    return images


def read_all(path: Path, target: Target | None = None, srcbuild: bool = False, mixed: bool = False,
             ) -> tuple[list[bytes], dict[str, str]]:  # fmt: skip
    """What to flash through the network: gateware, bootloader, firmware; or a boot.bin alone. And the bitstream's
    fields. `path` is a directory or a file named boot.bin.

    Raises ImageError if one of the three is missing or damaged, if there are two of a kind, or both kinds: a device
    writes them by their position, so a missing one would put the others in the wrong place.
    """
    if path.is_file():
        if path.name != BOOT_BIN:
            raise ImageError(f"{path} must be a directory, or a file named {BOOT_BIN}")
        return [check_boot_bin(path.read_bytes(), str(path))], {}
    if not path.is_dir():
        raise ImageError(f"{path} does not exist")
    boot = path / BOOT_BIN
    layout = _TREE if srcbuild else _FLAT
    present = [name for names in layout.values() for name in names if (path / name).is_file()]
    if boot.is_file():
        if present:
            raise ImageError(f"{path} holds both {BOOT_BIN} and {present[0]}: remove what is not meant")
        return [check_boot_bin(boot.read_bytes(), str(boot))], {}
    missing = [" or ".join(names) for names in layout.values() if not set(names) & set(present)]
    if missing and present:
        raise ImageError(f"{path} lacks {', '.join(missing)}: gateware, bootloader and firmware are all needed")
    [gateware] = read(path, [GATEWARE], target, srcbuild)
    # the bitstream says which board it is for, and so how much room there is for the others
    others = read(path, COMPONENTS[1:], target or of_part(gateware.fields["Part name"]), srcbuild)
    images = [gateware, *others]
    if not mixed:
        check_together(images)
    return [image.data for image in images], gateware.fields
