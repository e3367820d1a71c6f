"""Runs the steps of a job in OpenOCD, on this machine or over SSH."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from corelog.children import Child
from corelog.flash.script import MARK, Step, lines

_TAIL = 200  # lines of OpenOCD kept for the case that it fails
_LINE_MAX = 1 << 16
_UPLOAD_SECONDS = 300.0
_STEP = re.compile(rf"{MARK}(\d+): ")
_FAILURE = re.compile(r"error|differ|unable|no device found", re.IGNORECASE)


class OpenOCDError(Exception):
    """OpenOCD is not there, failed or took too long; `str()` is one line."""


def command(steps: Sequence[Step]) -> list[str]:
    """How OpenOCD is called."""
    return ["openocd", "-c", "; ".join(lines(steps))]


def require() -> Path:
    """The openocd that would run. Raises OpenOCDError."""
    found = shutil.which("openocd")
    if found is None:
        raise OpenOCDError("OpenOCD is not installed, or not in PATH (-n shows the script without it)")
    return Path(found)


def find_proxy(name: str) -> Path:
    """The proxy bitstream: beside OpenOCD if it is on this machine, or where Migen looks. Raises OpenOCDError."""
    found = shutil.which("openocd")
    beside = [Path(found).resolve().parents[1], Path(found).parents[1]] if found else []
    folders = [root / "share" / "bscan-spi-bitstreams" for root in beside]
    folders += [Path.home() / ".migen", Path("/usr/local/share/migen"), Path("/usr/share/migen")]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise OpenOCDError(f"the flash proxy {name} is in none of {', '.join(map(str, folders))} "
                       "(quartiq/bscan_spi_bitstreams on GitHub has it)")


def run(
    steps: Sequence[Step],
    files: Mapping[str, bytes],
    progress: Callable[[int, str], None],
    output: Callable[[str], None] = lambda line: None,
    host: str | None = None,
    jump: str | None = None,
) -> None:
    """Runs the job with these files in OpenOCD's folder; on `host` over SSH if given, through `jump`.

    `progress` is called with the number of each step that begins and its title; `output` with other lines of OpenOCD.
    Raises OpenOCDError when it fails in any way; what was being written is then not whole.
    """
    if host is None:
        require()
    elif host.startswith("-") or (jump or "").startswith("-"):
        raise OpenOCDError("a host's name does not begin with '-'")
    with tempfile.TemporaryDirectory(prefix="corelog-flash-") as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        asyncio.run(_run(steps, Path(folder), progress, output, host, jump))


def _call(steps: Sequence[Step], folder: Path, host: str | None, jump: str | None) -> list[str]:
    if host is None:
        return command(steps)
    # the files go through standard input, to a folder that is gone afterwards
    remote = ('set -e; d=$(mktemp -d); trap \'rm -rf "$d"\' EXIT; trap "exit 1" HUP INT TERM; cd "$d"; tar -xf -; '
              + shlex.join(command(steps)))  # fmt: skip
    ssh = ["ssh", "-o", "BatchMode=yes", *(["-J", jump] if jump else []), host, remote]
    return ["sh", "-c", f"tar -cf - -C {shlex.quote(str(folder))} . | {shlex.join(ssh)}"]


async def _run(
    steps: Sequence[Step],
    folder: Path,
    progress: Callable[[int, str], None],
    output: Callable[[str], None],
    host: str | None,
    jump: str | None,
) -> None:
    child = await Child.start(
        _call(steps, folder, host, jump), cwd=folder, limit=_LINE_MAX,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)  # fmt: skip
    process = child.process
    assert process.stdout is not None
    clock = asyncio.get_running_loop().time
    tail: list[str] = []
    number, doing = 0, "starting OpenOCD"
    ends = clock() + steps[0].deadline + (_UPLOAD_SECONDS if host else 0)
    try:
        async with asyncio.timeout_at(ends) as limit:
            while line := await process.stdout.readline():
                text = line.decode(errors="backslashreplace").rstrip()
                if (mark := _STEP.search(text)) and int(mark[1]) == number + 1 <= len(steps):
                    step = steps[number]
                    number, doing = number + 1, step.title
                    limit.reschedule(clock() + step.deadline)
                    progress(number, step.title)
                elif text:
                    tail = [*tail, text][-_TAIL:]
                    output(text)
            status = await process.wait()
    except TimeoutError:
        raise OpenOCDError(f"OpenOCD took too long at {doing}; it was ended") from None
    except ValueError:
        raise OpenOCDError(f"OpenOCD wrote a line of more than {_LINE_MAX} bytes at {doing}; it was ended") from None
    finally:
        child.kill()
        await process.wait()
    if status or number != len(steps):
        why = next((line for line in reversed(tail) if _FAILURE.search(line)), tail[-1] if tail else "it said nothing")
        raise OpenOCDError(f"OpenOCD failed at {doing} (status {status}): {why.strip()}")
