"""Starts workers by forking, so that none has to load Python and its libraries: each is still a process of its own.

    python -m corelog.master.worker_zygote SOCKET_FD

The master sends requests of REQUEST bytes (number, log level) with four descriptors: pipe to read, pipe to write,
standard output, standard error. Answers of ANSWER bytes are (number, kind, value): STARTED with the process id,
REFUSED with the error number, ENDED with the exit status (negative: the signal). When the master has gone, all
workers get SIGTERM, and those that are left after GRACE seconds SIGKILL, with the processes they started.

No code of users is ever loaded here, so what they change is in effect at the next run.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
import time
import traceback
from typing import Any, NoReturn

REQUEST = struct.Struct("<Ii")
ANSWER = struct.Struct("<IIi")
STARTED, REFUSED, ENDED = range(3)
GRACE = 2.0


class _InWorker(BaseException):
    """Unwinds the stack of the zygote in a process that is a worker now."""

    def __init__(self, address: str, log_level: int):
        super().__init__()
        self.address = address
        self.log_level = log_level


class Zygote:
    """See the module."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._numbers: dict[int, int] = {}  # process id -> number
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until the master has gone."""
        while True:
            watched: list[Any] = [self._connection, self._wake_read]
            ready, _, _ = select.select(watched, [], [])
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
                self._reap()
            if self._connection in ready and not self._receive():
                self._end_all()
                return

    def _receive(self) -> bool:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._connection, REQUEST.size, 4)
        except OSError:
            return False
        try:
            if len(data) < REQUEST.size or len(descriptors) != 4:
                return False
            self._start(*REQUEST.unpack(data), *descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _start(self, number: int, log_level: int, reads: int, writes: int, stdout: int, stderr: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._answer(number, REFUSED, error.errno or 0)
            return
        if pid == 0:
            self._become_worker(log_level, reads, writes, stdout, stderr)
        self._numbers[pid] = number
        self._answer(number, STARTED, pid)

    def _answer(self, number: int, kind: int, value: int) -> None:
        try:
            self._connection.sendall(ANSWER.pack(number, kind, value))
        except OSError:
            return  # the master has gone, which select tells too

    def _become_worker(self, log_level: int, reads: int, writes: int, stdout: int, stderr: int) -> NoReturn:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._connection.close()
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        address = f"{os.dup(reads)},{os.dup(writes)}"
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()  # or all workers would draw the same numbers
        raise _InWorker(address, log_level)

    def _reap(self) -> None:
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._answer(self._numbers.pop(pid), ENDED, os.waitstatus_to_exitcode(status))

    def _end_all(self) -> None:
        signal.set_wakeup_fd(-1)
        deadline = time.monotonic() + GRACE
        for number, send in ((signal.SIGTERM, os.kill), (signal.SIGKILL, os.killpg)):
            for pid in self._numbers:
                with contextlib.suppress(ProcessLookupError):  # it has not come to have a group yet
                    send(pid, number)
            while self._numbers and (number == signal.SIGKILL or time.monotonic() < deadline):
                self._reap()
                time.sleep(0.01)


def main() -> None:
    zygote = Zygote(socket.socket(fileno=int(sys.argv[1])))
    # What nearly every worker needs; h5py and numpy take most of the time of a start.
    for name in ("corelog.experiment", "corelog.language.results"):
        importlib.import_module(name)
    from corelog.master import worker_exit, worker_impl

    gc.collect()
    gc.freeze()
    try:
        zygote.serve()
    except _InWorker as start:
        address, log_level = start.address, start.log_level
    else:
        return
    try:
        worker_impl.work(address, log_level)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  the process ends all the same, and says why
        traceback.print_exc()
        status = 1
    else:
        status = 0
    worker_exit.leave(status)


if __name__ == "__main__":
    main()
