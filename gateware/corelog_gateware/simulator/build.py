"""Everything from Python and Rust sources to a board that can be started, redoing only what changed.

    python -m corelog_gateware.simulator.build        builds (or finds) gateware, firmware and board program

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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import model, profile, toolchain
from .paths import BUILD, FIRMWARE, GENERATED, HARNESS, ROOT, SIM, BuildError

PACKAGES = ("migen", "litex", "liteeth", "pythondata-cpu-vexriscv", "corelog-gateware")
FIRMWARE_TYPES = (".rs", ".toml", ".lock", ".x")


@dataclass(frozen=True)
class Built:
    """What a board is started with: the ``program`` (the simulated gateware) and the ``firmware`` (ELF)."""

    program: Path
    firmware: Path


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


def elaborate(progress: Progress) -> list[Path]:
    """Verilog sources and the generated constants; see ``targets/sim.py``."""
    package = HARNESS.parents[1]
    sources = [path for path in package.rglob("*.py") if package / "simulator" not in path.parents]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    key = digest(sources, [*versions, sys.version])
    stamp = SIM / "elaborated"
    gateware = SIM / "gateware"
    wanted = [GENERATED / "csr.rs", GENERATED / "csr.json", GENERATED / "corelog_soc.h", gateware / f"{model.TOP}.v"]
    if not is_fresh(stamp, key) or not all(path.exists() for path in wanted):
        progress.step("elaborating gateware")
        log = fresh_log("elaborate.log")
        with step(stamp, key):
            shutil.rmtree(gateware, ignore_errors=True)
            command = [sys.executable, "-m", "corelog_gateware.targets.sim", "--build-dir", str(SIM)]
            model.run_logged(command, log, "elaborating the gateware")
    return sorted(gateware.glob("*.v"))


def compile_firmware(progress: Progress) -> Path:
    """The runtime's ELF file."""
    result = SIM / "firmware.elf"
    rust = toolchain.find()
    sources = [path for path in FIRMWARE.rglob("*") if path.suffix in FIRMWARE_TYPES and "target" not in path.parts]
    key = digest([*sources, GENERATED / "csr.rs"], [rust.description, *rust.arguments])
    stamp = SIM / "firmware.key"
    if not is_fresh(stamp, key) or not result.exists():
        progress.step("compiling firmware")
        log = fresh_log("firmware.log")
        with step(stamp, key):
            command = toolchain.command(rust, "build")
            model.run_logged(
                command, log, "compiling the firmware", cwd=FIRMWARE, env=toolchain.environment(rust)
            )
            built = BUILD / "firmware" / toolchain.TARGET / "release" / "runtime"
            temporary = result.with_name("firmware.elf.new")
            shutil.copyfile(built, temporary)
            temporary.replace(result)
    return result


def compile_program(progress: Progress, verilog: list[Path], trace: bool, training: Path | None) -> Path:
    """The board program. With ``training``, a firmware, it is compiled a second time with the profile of a run of it;
    a program trained before serves without as well."""
    harness = [*HARNESS.glob("*.cpp"), *HARNESS.glob("*.h")]
    # A new elaboration of the same gateware differs in its date only.
    design = [line for path in verilog for line in path.read_text().splitlines() if not line.startswith("//")]
    texts = [*model.versions(), *profile.versions(), *design]
    key = digest([*harness, GENERATED / "corelog_soc.h"], texts)[:16]
    trained, plain = SIM / f"board-trained-{key}", SIM / f"board-plain-{key}"
    if trace:
        variant, usable = "trace", [SIM / f"board-trace-{key}"]
    elif training is not None:
        variant, usable = "trained", [trained]
    else:
        variant, usable = "plain", [plain, trained]
    for program in reversed(usable):
        if program.exists():
            return program
    result = usable[0]
    directory = SIM / f"objects-{variant}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    progress.step("translating gateware (Verilator)")
    model.verilate(verilog, directory, trace)
    if training is not None:
        profile.compile_trained(directory, result, training, progress.step)
    else:
        progress.step("compiling board" + (" with waveform output" if trace else ""))
        model.compile_board(directory, result, trace)
    for old in SIM.glob(f"board-{variant}-*"):
        if old != result:
            old.unlink()
    return result


def fresh_log(name: str) -> Path:
    log = SIM / name
    log.write_bytes(b"")
    return log


@contextlib.contextmanager
def lock(progress: Progress) -> Iterator[None]:
    SIM.mkdir(parents=True, exist_ok=True)
    with (SIM / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.step("waiting for another build of the board")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(trace: bool = False, firmware: Path | None = None, out: Callable[[str], object] | None = None) -> Built:
    """Build what is missing or changed.

    :param trace: the board program shall write waveforms (slower).
    :param firmware: an ELF file to use instead of compiling the runtime.
    :param out: receives the lines of progress; default standard error.
    :raises BuildError: with one line that names the step and its log file.
    """
    progress = Progress(out)
    if not (FIRMWARE / "Cargo.toml").is_file():
        raise BuildError(f"the board's sources are not in {ROOT}: install corelog-gateware from a checkout (pip -e)")
    if firmware is not None and not firmware.is_file():
        raise BuildError(f"firmware {firmware} is not a file")
    try:
        with lock(progress):
            verilog = elaborate(progress)
            image = compile_firmware(progress) if firmware is None else firmware
            # Only our own firmware trains: a foreign one may do nothing at all.
            training = image if firmware is None and not trace else None
            built = Built(compile_program(progress, verilog, trace, training), image)
    except OSError as error:
        raise BuildError(f"the board cannot be built: {error}") from error
    progress.done()
    return built


def get_argparser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Build the simulated board")
    parser.add_argument("--trace", action="store_true", help="build the board program that writes waveforms")
    parser.add_argument("--firmware", type=Path, metavar="ELF", help="use this firmware instead of compiling one")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = get_argparser().parse_args(argv)
    try:
        built = build(args.trace, args.firmware)
    except BuildError as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    print(f"{built.program}\n{built.firmware}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
