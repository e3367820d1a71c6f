"""How fast the real `aqctl_corelog` process is: records over a real socket in, lines through a real pipe out.

    python -m corelog.testing.bench_aqctl [--records N] [--length BYTES]
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

from corelog.testing import bulk
from corelog.wire import frames, mgmt

BOOT_ID = 0x123


@dataclass(frozen=True, slots=True)
class Result:
    """seconds: from the first record's line to the last one's. cpu: user and system seconds of the whole process,
    start-up included. `startup`: CPU seconds of a run without a flood."""

    records: int
    seconds: float
    cpu: float
    startup: float

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds

    @property
    def cpu_per_100k(self) -> float:
        """CPU seconds per 100,000 records, without start-up."""
        return (self.cpu - self.startup) * 1e5 / self.records


class Source:
    """Serves one subscriber a prepared stream, as fast as it takes it, then heartbeats. Runs in a thread."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(20)
        self.port: int = self._listener.getsockname()[1]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join(5)
        self._listener.close()

    def _run(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(20)
            try:
                connection.recv(len(mgmt.MAGIC) + 1, socket.MSG_WAITALL)
                connection.sendall(b"e")
                while code := connection.recv(1):
                    if code[0] == mgmt.Request.SUBSCRIBE:
                        break
                    identity = mgmt.Identity(1, BOOT_ID, 0, mgmt.Capability.SUBSCRIBE, "bench", "bench")
                    connection.sendall(mgmt.identity_reply(identity))
                connection.sendall(self._stream)
                while not self._end.wait(0.5):
                    connection.sendall(frames.encode_heartbeat(frames.Heartbeat(0, 0, 0)))
            except (ConnectionError, TimeoutError):
                return  # the controller has ended


def _run(stream: bytes, lines: int) -> tuple[float, float]:
    """Seconds from the first record's line to the last of `lines` lines, and CPU seconds of the process."""
    source = Source(stream)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "corelog.frontend.aqctl_corelog", "-p", "0", "--port-mgmt", str(source.port),
                   "--state", f"{folder}/state", "127.0.0.1"]  # fmt: skip
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert process.stderr is not None
        fd = process.stderr.fileno()
        seen, first = 0, 0.0
        deadline = time.monotonic() + 120
        while seen < lines:
            part = os.read(fd, 1 << 16)
            if not part or time.monotonic() > deadline:
                raise RuntimeError(f"aqctl_corelog wrote {seen} of {lines} lines")
            first = first or time.monotonic()
            seen += part.count(b"\n")
        seconds = time.monotonic() - first
        process.terminate()
        process.stderr.read()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        source.close()
    return seconds, usage.ru_utime + usage.ru_stime


def measure(records: int = 500_000, length: int = 60) -> Result:
    """Runs the controller twice, with and without records. `length`: bytes of each record's body, at least 16."""
    head = frames.encode_header(frames.Header(BOOT_ID, 0, 0, records)) + frames.encode_boot(
        frames.Boot(0, BOOT_ID, 0, records, 0, 0)
    )
    _, startup = _run(head, 1)
    seconds, cpu = _run(head + bulk.records(records, length=length), records + 1)
    return Result(records, seconds, cpu, startup)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--length", type=int, default=60, help="bytes of each record's body (%(default)d)")
    args = parser.parse_args()
    r = measure(args.records, args.length)
    print(f"aqctl_corelog: {r.rate:,.0f} records/s, {r.cpu_per_100k:.3f} CPU s per 100,000 "
          f"(start-up {r.startup:.2f} CPU s; load average {os.getloadavg()[0]:.1f})")  # fmt: skip


if __name__ == "__main__":
    main()
