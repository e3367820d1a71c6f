"""What surrounds remote code while it runs: the limit of its time, and its output on the way to the log."""

import contextlib
import ctypes
import io
import logging
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

logger = logging.getLogger("sipyco.remote_exec")

_REPEAT = 0.1
_MAX_LINE = 65536


class _Expired(BaseException):
    """Interrupts remote code; no Exception, so that ``except Exception`` in it does not hold it up."""


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raises _Expired after `seconds`, again and again, out of blocking system calls too. Main thread of POSIX."""
    active = True

    def expire(_number: int, _frame: Any) -> None:
        if active:
            raise _Expired
    previous = signal.signal(signal.SIGALRM, expire)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6), _REPEAT)
            yield
        finally:
            active = False  # an expiry at this very moment is followed by none before it is done again below
    finally:
        active = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if previous is None else previous)


@contextlib.contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    """The same in any thread of any system, but a blocking system call is not interrupted, only what follows it."""
    victim = ctypes.c_ulong(threading.get_ident())
    lock, done = threading.Lock(), threading.Event()

    def watch() -> None:
        wait = max(seconds, 0.0)
        while not done.wait(wait):
            with lock:
                if not done.is_set():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(victim, ctypes.py_object(_Expired))
            wait = _REPEAT
    thread = threading.Thread(target=watch, daemon=True, name="remote code's time limit")
    thread.start()
    try:
        yield
    finally:
        while not done.is_set():
            try:
                with lock:
                    done.set()
            except _Expired:  # it came while we were ending
                continue
        ctypes.pythonapi.PyThreadState_SetAsyncExc(victim, None)  # one that is still on its way


def _interruption(seconds: float) -> contextlib.AbstractContextManager[None]:
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        return _alarm(seconds)
    return _watchdog(seconds)


class _LogWriter(io.TextIOBase):
    """A text file whose lines are log records."""

    def __init__(self, level: int, original: Any) -> None:
        self._level = level
        self._original = original
        self._line = ""
        self._logging = False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._logging:  # a handler that writes to sys.stderr as it is now
            return self._original.write(text) if self._original is not None else len(text)
        self._line += text
        *lines, self._line = self._line.split("\n")
        if len(self._line) > _MAX_LINE:
            lines.append(self._line)
            self._line = ""
        for line in lines:
            self._log(line)
        return len(text)

    def _log(self, line: str) -> None:
        self._logging = True
        try:
            logger.log(self._level, "%s", line)
        finally:
            self._logging = False

    def end(self) -> None:
        """Log the line that was begun."""
        if self._line:
            line, self._line = self._line, ""
            self._log(line)


@contextlib.contextmanager
def _output_to_log() -> Iterator[None]:
    out, err = _LogWriter(logging.INFO, sys.stdout), _LogWriter(logging.WARNING, sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield
        finally:
            out.end()
            err.end()


class Watch:
    """Runs remote code under a time limit (s, or None) and, if asked, with its output going to the log."""

    def __init__(self, time_limit: float | None, log_output: bool) -> None:
        self._time_limit = time_limit
        self._log_output = log_output

    def run(self, what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """``function(*args, **kwargs)``; a coroutine that it returns is watched too. TimeoutError beyond the limit."""
        deadline = None if self._time_limit is None else time.monotonic() + self._time_limit
        result = self._step(what, deadline, function, *args, **kwargs)
        if isinstance(result, types.CoroutineType) and (deadline is not None or self._log_output):
            return self._drive(what, deadline, result)
        return result

    def _step(self, what: str, deadline: float | None, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with _output_to_log() if self._log_output else contextlib.nullcontext():
            if deadline is None:
                return function(*args, **kwargs)
            try:
                with _interruption(deadline - time.monotonic()):
                    return function(*args, **kwargs)
            except _Expired as error:
                timeout = TimeoutError(f"{what} took longer than {self._time_limit:g} s")
                raise timeout.with_traceback(error.__traceback__) from None

    @types.coroutine
    def _drive(self, what: str, deadline: float | None, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The coroutine step by step, each under the limit; what it waits for, asyncio is left to do."""
        step: Callable[[Any], Any] = coroutine.send
        value: Any = None
        expired = _Timer(deadline)
        try:
            while True:
                try:
                    awaited = self._step(what, deadline, step, value)
                except StopIteration as end:
                    return end.value
                try:
                    expired.arm(awaited)
                    step, value = coroutine.send, (yield awaited)
                except BaseException as error:  # noqa: BLE001  cancellation, for instance; the coroutine's to handle
                    step, value = coroutine.throw, error
                if expired.fired:
                    raise TimeoutError(f"{what} took longer than {self._time_limit:g} s")
        finally:
            expired.disarm()
            coroutine.close()


class _Timer:
    """Ends the wait for a future at the deadline."""

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline
        self._handle: Any = None
        self.fired = False

    def arm(self, awaited: Any) -> None:
        self.disarm()
        if self._deadline is not None and awaited is not None:
            self._handle = awaited.get_loop().call_later(self._deadline - time.monotonic(), self._fire, awaited)

    def disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self, awaited: Any) -> None:
        self.fired = True
        awaited.cancel()
