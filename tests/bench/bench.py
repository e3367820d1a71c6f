"""Cycle counts of the logging paths on the simulated board, and rates of the host's, beside the recorded ones.

    make bench
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bench_datasets
import bench_log
import bench_master
import bench_sipyco
import bench_tree

from corelog.coredevice.mgmt import AsyncMgmt
from corelog.coredevice.session import AsyncSession
from corelog.lab.addresses import free_address
from corelog.lab.program import Program
from corelog.testing import bench_aqctl
from corelog.wire.frames import From
from corelog.wire.session import Program as Events
from corelog.wire.stream import frames

RECORDED = Path(__file__).parent / "recorded.json"
ERRORS = 50
SPEED_CYCLES = 12_000_000
RECORD_FRAME_BYTES = 150  # a frame with an error's record is longer; heartbeats and acknowledgements are shorter

# name -> (unit, budget or None)
FIGURES: dict[str, tuple[str, float | None]] = {
    "record, no arguments": ("cycles", 500),
    "record, four arguments": ("cycles", 2500),
    "stream a record (batch)": ("cycles", 1500),
    "idle loop": ("cycles", None),
    "error to MAC, median": ("cycles", None),
    "error to MAC, worst": ("cycles", None),
    "simulation speed": ("Mcycles/s", 2.5),
    "simulation speed, 2 boards": ("Mcycles/s", None),
    "simulation speed, 3 boards": ("Mcycles/s", None),
    "aqctl_corelog": ("records/s", 500_000),
    "aqctl_corelog, per 100,000 records": ("CPU s", 0.2),
}
FIGURES |= {name: (unit, None) for name, unit in bench_tree.FIGURES.items()}
HIGHER_IS_BETTER = {"Mcycles/s", "records/s", "changes/s", "runs/s", "files/s", "1/s"} | bench_sipyco.UNITS
HOST_PARTS: dict[str, Any] = {
    "SiPyCo": bench_sipyco, "the master's log": bench_log, "the master's datasets": bench_datasets,
    "the master's runs and scans": bench_master}
"""Each has `figures()`: name -> (value, unit), and `BUDGETS`."""


async def on_board() -> dict[str, float]:
    """Figures that the firmware measures with its cycle counter, and those stamped by the simulator."""
    address = free_address()
    with tempfile.TemporaryDirectory() as folder:
        marks = Path(folder) / "marks"
        board = Program("board", ["corelog", "board", "--address", address, "--free-run", "--trace-marks", str(marks)],
                        ready="corelog board is now running", on_line=lambda _, line: print(f"  board: {line}"))
        await board.start(600.0)
        try:
            figures = await measured_by_firmware(address)
            await cause_errors(address)
        finally:
            await board.stop()
        delays = error_to_frame(marks.read_text())
    assert len(delays) == ERRORS, f"{len(delays)} of {ERRORS} errors were followed by a frame with their record"
    figures["error to MAC, median"] = statistics.median(delays)
    figures["error to MAC, worst"] = max(delays)
    return figures


async def measured_by_firmware(address: str) -> dict[str, float]:
    figures = {}
    async with AsyncMgmt(address) as reader, AsyncMgmt(address, timeout=120.0) as device:
        stream = await reader.subscribe(From.NOW, silence=60.0)
        request = asyncio.create_task(device.debug_bench())
        async for batch in stream:
            for item in frames(batch):
                found = re.match(r"(.+): median (\d+) worst (\d+) cycles", getattr(item, "body", ""))
                if found:
                    figures[found[1]] = float(found[2])
            if request.done() and "idle loop" in figures:
                await request
                return figures
    raise RuntimeError("the stream ended before the board had measured")


async def cause_errors(address: str) -> None:
    """Busy errors on `slow0`, one every 200 ms of board time, while a subscriber reads."""
    async with AsyncMgmt(address) as reader, AsyncSession(address) as session:
        stream = await reader.subscribe(From.NOW, silence=60.0)
        unit = (await session.hello()).unit_fs
        events = Events()
        events.break_realtime(10**15 // 100 // unit * 10)
        for _ in range(ERRORS):
            events.output(9, 0, 1)
            events.delay(8 * 8)
            events.output(9, 0, 0)
            events.delay(2 * 10**14 // unit)
        await session.run(events)
        seen = 0
        async for batch in stream:
            seen += sum("busy error" in getattr(item, "body", "") for item in frames(batch))
            if seen >= ERRORS:
                return


def error_to_frame(marks: str) -> list[int]:
    """Cycles from each error's report in gateware to the first byte at the MAC of the frame that carries its record."""
    def stamps() -> Iterator[tuple[str, int, int]]:
        for line in marks.splitlines():
            kind, *numbers = line.split()
            values = [int(number) for number in numbers]
            yield kind, values[0], values[1] if len(values) > 1 else 0

    delays, waiting = [], None
    for kind, cycle, value in sorted(stamps(), key=lambda stamp: stamp[1]):
        if kind == "error":
            waiting = cycle
        elif kind == "frame" and value >= RECORD_FRAME_BYTES and waiting is not None:
            delays.append(cycle - waiting)
            waiting = None
    return delays


async def simulation_speed(satellites: int = 0) -> float:
    """Mcycles per CPU second, or of a tree per second, of boards that run free and idle, Ethernet and RTIO included."""
    tree = ["--satellites", str(satellites), "--chain"] if satellites else []
    cycles = SPEED_CYCLES // (satellites + 1)
    board = Program("board", ["corelog", "board", "--address", free_address(), "--free-run", "--print-speed",
                              "--cycles", str(cycles), *tree])
    await board.start()
    await board.wait(600.0)
    [(of_cpu, of_wall)] = [found for line in board.lines if len(found := re.findall(r"([0-9.]+) Mcycles/s", line)) == 2]
    return float(of_wall if satellites else of_cpu)


def table(figures: dict[str, float], recorded: dict[str, float]) -> str:
    rows = [("", "now", "recorded", "budget", "")]
    for name, (unit, budget) in FIGURES.items():
        now, before = figures.get(name), recorded.get(name)
        met = ""
        if budget is not None and now is not None:
            met = "met" if (now >= budget if unit in HIGHER_IS_BETTER else now <= budget) else "NOT MET"
        rows.append((f"{name} [{unit}]", number(now), number(before), number(budget), met))
    for name in sorted(figures.keys() - FIGURES.keys()):
        rows.append((f"{name} [cycles]", number(figures[name]), number(recorded.get(name)), "", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w)
                               for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows)


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep the figures as the recorded ones")
    parser.add_argument("--no-sipyco", action="store_true", help="leave out the 40 s that SiPyCo takes")
    args = parser.parse_args()
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    print("cycles on the simulated board ...", flush=True)
    figures = asyncio.run(on_board())
    print("speed of the simulation ...", flush=True)
    figures["simulation speed"] = asyncio.run(simulation_speed())
    for satellites in (1, 2):
        figures[f"simulation speed, {satellites + 1} boards"] = asyncio.run(simulation_speed(satellites))
    print("records of satellites ...", flush=True)
    figures |= asyncio.run(bench_tree.measure())
    print("aqctl_corelog ...", flush=True)
    result = bench_aqctl.measure()
    figures["aqctl_corelog"] = result.rate
    figures["aqctl_corelog, per 100,000 records"] = result.cpu_per_100k
    for title, part in HOST_PARTS.items():
        if part is bench_sipyco and args.no_sipyco:
            continue
        print(f"{title} ...", flush=True)
        for name, (value, unit) in part.figures().items():
            figures[name] = value
            FIGURES[name] = unit, part.BUDGETS.get(name)
    print(f"\n{table(figures, recorded)}\n\nload average {os.getloadavg()[0]:.1f} (rates suffer from other work)")
    if args.record:
        RECORDED.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
        print(f"recorded in {RECORDED}")


if __name__ == "__main__":
    main()
