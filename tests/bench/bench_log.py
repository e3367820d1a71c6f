"""Log lines into a real master and its store, without and with a log file and a receiver.

    .venv/bin/python tests/bench/bench_log.py [--lines N]

Upstream on a like machine: 70,000 lines/s, 47,000 with a log file, a receiver sees 2-32 % of a flood and is not told.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from corelog.lab.addresses import free_address
from corelog.lab.program import executable
from sipyco.broadcast import Receiver
from sipyco.pc_rpc import Client

LINES = 1_500_000
SENDERS = 4
DEVICE = "device log with fields into master and store"
BUDGETS = {name: 300_000.0 for name in (
    "log into master and store", DEVICE, "log into master, store and log file",
    "log into master and store, one receiver")}
LIMIT = 300.0
READY = "ARTIQ master is now ready.\n"


@contextmanager
def master(*options: str) -> Iterator[tuple[str, int]]:
    """A master whose console goes nowhere: its address and process id."""
    address = free_address()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "device_db.py").write_text("device_db = {}\n")
        command = [executable("corelog"), "master", "--bind", address, "--no-localhost-bind", *options]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        try:
            while process.stdout.readline() != READY:
                if process.poll() is not None:
                    raise RuntimeError(f"the master ended with status {process.returncode}")
            yield address, process.pid
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def plain_line(i: int) -> bytes:
    return b"worker(3,x.py):INFO:some.module:a message of usual length, number %d\n" % i


def device_line(i: int) -> bytes:
    """As the controller manager sends a core device's record."""
    return (b"controller(core_log):INFO:firmware.runtime.rtio\x1forigin=0,boot_id=0123456789abcdef,seq=%d,device_us=%d,"
            b"host_time=1700000000.%06d:a message of usual length, number %d\n"
            % (i, i * 7, i % 1000000, i))


async def send(address: str, lines: int, line: Callable[[int], bytes] = plain_line) -> None:
    """Over several connections, prepared lines; prints when it begins."""
    blocks = [b"".join(map(line, range(start, min(start + 500, lines)))) for start in range(0, lines, 500)]

    async def one(sender: int) -> None:
        _, writer = await asyncio.open_connection(address, 1066)
        writer.write(b"ARTIQ logging\n")
        for block in blocks[sender::SENDERS]:
            writer.write(block)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    print(time.monotonic(), flush=True)
    await asyncio.gather(*(one(sender) for sender in range(SENDERS)))


async def send_device(address: str, lines: int) -> None:
    """The same for a core device's lines."""
    await send(address, lines, device_line)


async def receive(address: str, lines: int) -> None:
    """Prints how many of the lines came and were said to be missing, and the ranges that were named."""
    came, told = 0, []
    done = asyncio.Event()

    def take(message: tuple[int, str, float, str]) -> None:
        nonlocal came
        text = message[3]
        if text.startswith("some.module:"):
            came += 1
        elif found := re.search(r"--number (\d+)-(\d+)$", text):
            told.append((int(found[1]), int(found[2])))
        elif text == "some.end:":
            done.set()

    receiver = Receiver("log", take)
    await receiver.connect(address, 1067)
    print("ready", flush=True)
    await done.wait()
    print(came, receiver.missed, *(number for pair in told for number in pair), flush=True)
    await receiver.close()


def role(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, "--role", *words], stdout=subprocess.PIPE, text=True)


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flood(address: str, client: Client, lines: int, sender_role: str = "send") -> float:
    """Sends the lines; seconds until all are in the store."""
    number = client.status()["next"] + lines
    with role(sender_role, address, str(lines)) as sender:
        assert sender.stdout is not None
        began = float(sender.stdout.readline())
        while client.status()["next"] < number:
            time.sleep(0.02)
        return time.monotonic() - began


def measure(lines: int, *options: str, sender: str = "send") -> tuple[float, float]:
    """Lines per second until all are in the store, and lines per second of the master's processor time."""
    with master(*options) as (address, pid):
        client = Client(address, 3251, "log_store", timeout=60)
        used = cpu(pid)
        result = lines / flood(address, client, lines, sender), lines / (cpu(pid) - used)
        client.close_rpc()
    return result


def measure_receiver(lines: int) -> tuple[float, float]:
    """Lines per second into the store while a receiver listens, and the share that it got; RuntimeError unless what it
    got and what it was told to be missing and can fetch is everything."""
    with master() as (address, _), role("receive", address, str(lines)) as receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()
        time.sleep(0.3)  # the listeners of a broadcast are not told that they are
        client = Client(address, 3251, "log_store", timeout=60)
        took = flood(address, client, lines)
        ender = asyncio.run(end_of_log(address, receiver))
        came, missed, *told = map(int, ender.split())
        fetched = 0
        for start, last in zip(told[::2], told[1::2], strict=True):
            while start <= last:
                page = client.read(start, min(5000, last - start + 1))
                fetched += sum(record["name"] == "some.module" for record in page["records"])
                start = page["next"]
        client.close_rpc()
        if came + fetched != lines:
            raise RuntimeError(f"of {lines} lines {came} came, {missed} were declared, {fetched} could be fetched")
    return lines / took, came / lines


async def end_of_log(address: str, receiver: "subprocess.Popen[str]") -> str:
    """Lets the receiver end once it has caught up; what it printed."""
    assert receiver.stdout is not None
    line = asyncio.create_task(asyncio.to_thread(receiver.stdout.readline))
    _, writer = await asyncio.open_connection(address, 1066)
    writer.write(b"ARTIQ logging\n")
    while not line.done():
        writer.write(b"bench:INFO:some.end:\n")
        await asyncio.wait([line], timeout=0.1)
    writer.close()
    await writer.wait_closed()
    return line.result()


def figures(lines: int = LINES) -> dict[str, tuple[float, str]]:
    """name -> (figure, unit)."""
    rate, per_cpu = measure(lines)
    found = {"log into master and store": (rate, "lines/s"),
             "log into master and store, per CPU second of the master": (per_cpu, "lines/s")}
    rate, per_cpu = measure(lines, sender="device")
    found |= {DEVICE: (rate, "lines/s"), f"{DEVICE}, per CPU second of the master": (per_cpu, "lines/s")}
    found["log into master, store and log file"] = measure(lines, "--log-file", "master.log")[0], "lines/s"
    rate, share = measure_receiver(lines)
    found["log into master and store, one receiver"] = rate, "lines/s"
    found["share of a flood that a receiver gets (of the rest it is told)"] = share, "ratio"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=LINES, help="for each measurement (%(default)d)")
    parser.add_argument("--role", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        name, address, lines = args.role
        work = {"send": send, "device": send_device, "receive": receive}[name](address, int(lines))
        asyncio.run(asyncio.wait_for(work, LIMIT))
        return
    for name, (value, unit) in figures(args.lines).items():
        print(f"{name:65s} {value:12,.{0 if value >= 100 else 2}f} {unit}")
    print(f"load average {os.getloadavg()[0]:.1f} (rates suffer from other work)")


if __name__ == "__main__":
    main()
