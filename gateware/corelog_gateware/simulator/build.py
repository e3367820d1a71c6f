"""Everything from Python and Rust sources to a board that can be started, redoing only what changed.

    python -m corelog_gateware.simulator.build [--tree]     builds (or finds) gateware, firmware and board program

Each step's result carries the hash of all its inputs. One build runs at a time; others wait for it.
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib.metadata
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from . import model, profile, toolchain
from .paths import ALONE, BUILD, FIRMWARE, HARNESS, ROOT, TREE, BuildError, Variant

PACKAGES = ("migen", "litex", "liteeth", "pythondata-cpu-vexriscv", "corelog-gateware")
FIRMWARE_TYPES = (".rs", ".toml", ".lock", ".x")


@dataclass(frozen=True)
class Built:
    """What boards are started with: the ``program`` (the simulated gateware) and the ``firmware`` (ELF) of the core
    device, and of the satellites if it is for a tree."""

    program: Path
    firmware: Path
    satellite_firmware: Path | None = None

    def command(self) -> list[str]:
        """The program with its firmware options."""
        satellites = [] if self.satellite_firmware is None else ["--satellite-firmware", str(self.satellite_firmware)]
        return [str(self.program), "--firmware", str(self.firmware), *satellites]


class Progress:
    """Says on standard error what is being built, with the time since the first step; silent if all is there."""

    def __init__(self, out: Callable[[str], object] | None = None):
        self.out = out or (lambda line: print(line, file=sys.stderr, flush=True))
        self.start: float | None = None

    def step(self, what: str) -> None:
        if self.start is None:
            self.start = time.monotonic()
        self.out(f"[{time.monotonic() - self.start:5.1f} s] {what}")

    def done(self) -> None:
        if self.start is not None:
            self.step("board built")


def digest(paths: Iterable[Path], texts: Iterable[str] = ()) -> str:
    """Hash of the names and contents of ``paths`` and of ``texts``."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(f"{path.relative_to(ROOT)}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    for text in texts:
        total.update(f"{text}\0".encode())
    return total.hexdigest()


def is_fresh(stamp: Path, key: str) -> bool:
    try:
        return stamp.read_text() == key
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def step(stamp: Path, key: str) -> Iterator[None]:
    """``stamp`` says ``key`` only after the step ended well."""
    stamp.unlink(missing_ok=True)
    yield
    stamp.write_text(key)


def elaborate(progress: Progress, variant: Variant) -> list[Path]:
    """Verilog sources and the generated constants; see ``targets/sim.py``."""
    package = HARNESS.parents[1]
    sources = [path for path in package.rglob("*.py") if package / "simulator" not in path.parents]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    key = digest(sources, [*versions, sys.version])
    variant.directory.mkdir(parents=True, exist_ok=True)
    stamp = variant.directory / "elaborated"
    gateware, generated = variant.directory / "gateware", variant.generated
    wanted = [generated / "csr.rs", generated / "csr.json", generated / "corelog_soc.h", gateware / f"{model.TOP}.v"]
    if not is_fresh(stamp, key) or not all(path.exists() for path in wanted):
        progress.step(f"elaborating gateware ({variant.name})")
        log = fresh_log(variant, "elaborate.log")
        with step(stamp, key):
            shutil.rmtree(gateware, ignore_errors=True)
            command = [sys.executable, "-m", "corelog_gateware.targets.sim", "--variant", variant.name]
            command += ["--build-dir", str(variant.directory)]
            model.run_logged(command, log, "elaborating the gateware")
    return sorted(gateware.glob("*.v"))


def compile_firmware(progress: Progress, variant: Variant) -> Path:
    """The ELF file."""
    result = variant.firmware
    rust = toolchain.find()
    sources = [path for path in FIRMWARE.rglob("*") if path.suffix in FIRMWARE_TYPES and "target" not in path.parts]
    key = digest([*sources, variant.generated / "csr.rs"], [rust.description, *rust.arguments])
    stamp = variant.directory / "firmware.key"
    if not is_fresh(stamp, key) or not result.exists():
        progress.step(f"compiling firmware ({variant.name})")
        log = fresh_log(variant, "firmware.log")
        with step(stamp, key):
            command = toolchain.command(rust, variant, "build")
            model.run_logged(
                command, log, "compiling the firmware", cwd=FIRMWARE, env=toolchain.environment(rust, variant)
            )
            temporary = result.with_name("firmware.elf.new")
            shutil.copyfile(toolchain.built(variant), temporary)
            temporary.replace(result)
    return result


def compile_program(
    progress: Progress, verilog: dict[Variant, list[Path]], trace: bool, training: Sequence[str] | None
) -> Path:
    """The board program with the models of ``verilog``, in the folder of the first. With ``training``, the options of a
    run, it is compiled a second time with the profile of it; a program trained before serves without as well."""
    inputs = [*HARNESS.glob("*.cpp"), *HARNESS.glob("*.h")]
    inputs += [variant.generated / "corelog_soc.h" for variant in verilog]
    # A new elaboration of the same gateware differs in its date only.
    paths = [path for sources in verilog.values() for path in sources]
    design = [line for path in paths for line in path.read_text().splitlines() if not line.startswith("//")]
    key = digest(inputs, [*model.versions(), *profile.versions(), *design])[:16]
    home = next(iter(verilog)).directory
    trained, plain = home / f"board-trained-{key}", home / f"board-plain-{key}"
    if trace:
        kind, usable = "trace", [home / f"board-trace-{key}"]
    elif training is not None:
        kind, usable = "trained", [trained]
    else:
        kind, usable = "plain", [plain, trained]
    for program in reversed(usable):
        if program.exists():
            return program
    result = usable[0]
    parts = [model.Part(variant, variant.directory / f"objects-{kind}") for variant in verilog]
    progress.step("translating gateware (Verilator)")
    for part in parts:
        shutil.rmtree(part.directory, ignore_errors=True)
        part.directory.mkdir(parents=True)
    with ThreadPoolExecutor(model.JOBS) as pool:
        list(pool.map(lambda part: model.verilate(part.variant, verilog[part.variant], part.directory, trace), parts))
    if training is not None:
        profile.compile_trained(parts, result, training, progress.step)
    else:
        progress.step("compiling board" + (" with waveform output" if trace else ""))
        model.compile_board(parts, result, trace)
    for old in home.glob(f"board-{kind}-*"):
        if old != result:
            old.unlink()
    return result


def fresh_log(variant: Variant, name: str) -> Path:
    log = variant.directory / name
    log.write_bytes(b"")
    return log


@contextlib.contextmanager
def lock(progress: Progress) -> Iterator[None]:
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.step("waiting for another build of the board")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(
    trace: bool = False,
    firmware: Path | None = None,
    out: Callable[[str], object] | None = None,
    *,
    tree: bool = False,
    satellite_firmware: Path | None = None,
) -> Built:
    """Build what is missing or changed.

    :param trace: the board program shall write waveforms (slower).
    :param firmware, satellite_firmware: ELF files to use instead of compiling ours.
    :param out: receives the lines of progress; default standard error.
    :param tree: a core device with satellites, instead of one alone.
    :raises BuildError: with one line that names the step and its log file.
    """
    progress = Progress(out)
    if not (FIRMWARE / "Cargo.toml").is_file():
        raise BuildError(f"the board's sources are not in {ROOT}: install corelog-gateware from a checkout (pip -e)")
    given = [firmware, satellite_firmware] if tree else [firmware]
    for image in given:
        if image is not None and not image.is_file():
            raise BuildError(f"firmware {image} is not a file")
    try:
        with lock(progress):
            variants = TREE if tree else ALONE
            verilog = {variant: elaborate(progress, variant) for variant in variants}
            pairs = zip(given, variants, strict=True)
            images = [image or compile_firmware(progress, variant) for image, variant in pairs]
            built = Built(Path(), *images)
            # Only our own firmware trains: a foreign one may do nothing at all.
            own = not any(given) and not trace
            training = [*built.command()[1:], *(["--satellites", "1"] if tree else [])] if own else None
            built = replace(built, program=compile_program(progress, verilog, trace, training))
    except OSError as error:
        raise BuildError(f"the board cannot be built: {error}") from error
    progress.done()
    return built


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Build the simulated board")
    parser.add_argument("--trace", action="store_true", help="build the board program that writes waveforms")
    parser.add_argument("--tree", action="store_true", help="a core device with satellites, instead of one alone")
    parser.add_argument("--firmware", type=Path, metavar="ELF", help="use this firmware instead of compiling one")
    parser.add_argument("--satellite-firmware", type=Path, metavar="ELF", help="the same for the satellites")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = get_argparser().parse_args(argv)
    try:
        built = build(args.trace, args.firmware, tree=args.tree, satellite_firmware=args.satellite_firmware)
    except BuildError as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    print(*built.command(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
