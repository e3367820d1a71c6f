"""The words of a kernel: `kernel`, `delay`, `now_mu`, `at_mu`, `parallel`, `sequential` and relatives.

A kernel runs on the host as a trace. The outermost call makes a Timeline through its core device driver, the words
act on it, and what was recorded is played when the call ends or when the host needs an answer from the device.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, Protocol, SupportsIndex, TypeVar, overload

from corelog.language.timeline import MuTime, Timeline
from corelog.language.transform import with_parallel_blocks

__all__ = ["at_mu", "delay", "delay_mu", "host_only", "interleave", "kernel", "now_mu", "parallel", "portable", "rpc",
           "sequential"]

P = ParamSpec("P")
R = TypeVar("R")

_timeline: ContextVar[Timeline | None] = ContextVar("corelog_timeline", default=None)


class CoreDevice(Protocol):
    """What `@kernel` needs of the object in `self.core`."""

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...


def timeline() -> Timeline:
    """The timeline of the running kernel; RuntimeError outside of a kernel."""
    current = _timeline.get()
    if current is None:
        raise RuntimeError("RTIO operations and the timeline (delay, now_mu, ...) exist only inside a @kernel method")
    return current


def in_kernel() -> bool:
    return _timeline.get() is not None


@contextlib.contextmanager
def tracing(new: Timeline) -> Iterator[None]:
    """Makes `new` the timeline of what runs inside; for core device drivers."""
    token = _timeline.set(new)
    try:
        yield
    finally:
        _timeline.reset(token)


# The decorators

@overload
def kernel(arg: Callable[P, R], *, flags: object = ...) -> Callable[P, R]: ...
@overload
def kernel(arg: str | None = ..., *, flags: object = ...) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def kernel(arg: Any = None, *, flags: object = frozenset()) -> Any:
    """Marks a function that acts on the core device's timeline.

    `@kernel` methods use the core device driver in `self.core`; `@kernel("name")` the one in `self.name`. A kernel
    called by a kernel joins its timeline. `flags` is accepted for source compatibility.
    """
    if not callable(arg):
        return lambda function: _kernel(function, arg or "core")
    return _kernel(arg, "core")


def _kernel(function: Callable[..., Any], core_name: str) -> Callable[..., Any]:
    traced = _Lazy(function)

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        core = getattr(args[0], core_name, None) if args else None
        current = _timeline.get()
        if current is not None:
            if core is not None and core is not current.clock:
                raise RuntimeError(f"kernel {function.__qualname__} is on another core device than the kernel that "
                                   f"calls it")
            return traced()(*args, **kwargs)
        if core is None:
            raise RuntimeError(f"kernel {function.__qualname__} needs the core device driver in self.{core_name}: call "
                               f'self.setattr_device("{core_name}") in build(), or call it from another kernel')
        return core.run(traced(), args, kwargs)

    run.__dict__["corelog_kernel"] = True
    return run


class _Lazy:
    """The function with its parallel blocks, compiled at the first call: by then all its globals are there."""

    def __init__(self, function: Callable[..., Any]):
        self._function = function
        self._compiled: Callable[..., Any] | None = None

    def __call__(self) -> Callable[..., Any]:
        if self._compiled is None:
            self._compiled = with_parallel_blocks(self._function, parallel)
        return self._compiled


@overload
def portable(arg: Callable[P, R], *, flags: object = ...) -> Callable[P, R]: ...
@overload
def portable(arg: None = ..., *, flags: object = ...) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def portable(arg: Any = None, *, flags: object = frozenset()) -> Any:
    """Marks a function for kernel and host: in a kernel it acts on the timeline, elsewhere it is ordinary Python."""
    if arg is None:
        return portable
    traced = _Lazy(arg)

    @functools.wraps(arg)
    def run(*args: Any, **kwargs: Any) -> Any:
        return traced()(*args, **kwargs)

    return run


@overload
def rpc(arg: Callable[P, R], *, flags: object = ...) -> Callable[P, R]: ...
@overload
def rpc(arg: None = ..., *, flags: object = ...) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def rpc(arg: Any = None, *, flags: Any = frozenset()) -> Any:
    """Marks a host function that kernels call.

    What the kernel recorded before is played first, so that the function runs after its last event was submitted,
    unless `flags` contains "async".
    """
    if arg is None:
        return functools.partial(rpc, flags=flags)
    if "async" in flags:
        return host_only(arg)

    @functools.wraps(arg)
    def run(*args: Any, **kwargs: Any) -> Any:
        current = _timeline.get()
        if current is None:
            return arg(*args, **kwargs)
        current.flush()
        token = _timeline.set(None)
        try:
            return arg(*args, **kwargs)
        finally:
            _timeline.reset(token)

    return run


def host_only(function: Callable[P, R]) -> Callable[P, R]:
    """Marks a function that is never part of a kernel's timeline."""
    return function


# The timeline

def now_mu() -> MuTime:
    """The cursor in machine units, which behaves like an int."""
    return timeline().cursor


def at_mu(time: SupportsIndex) -> None:
    """Moves the cursor to a time in machine units."""
    timeline().at(time)


def delay_mu(duration: SupportsIndex) -> None:
    """Moves the cursor by a number of machine units, which may be negative."""
    try:
        whole = duration.__index__()
    except AttributeError:
        raise TypeError(f"delay_mu() takes a whole number of machine units, not {duration!r}; "
                        f"delay() takes seconds") from None
    timeline().delay(whole)


def delay(duration: float) -> None:
    """Moves the cursor by a number of seconds, rounded to machine units."""
    current = timeline()
    current.delay(current.clock.seconds_to_mu(duration))


class _Branch:
    """A statement of a parallel block: starts at the block's start and may make its end later."""

    def __init__(self, block: _Block):
        self._block = block

    def __enter__(self) -> None:
        timeline().cursor = self._block.start

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._block.ends_at(timeline().cursor)


class _Block:
    start: MuTime
    _end: MuTime

    def __enter__(self) -> _Block:
        self.start = self._end = timeline().cursor
        self.branch = _Branch(self)
        return self

    def ends_at(self, time: MuTime) -> None:
        if time > self._end:
            self._end = time

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            timeline().cursor = self._end


class _Parallel:
    """`with parallel:` - see corelog.language.transform for how its statements are found."""

    block = _Block

    def __enter__(self) -> None:
        raise RuntimeError("`with parallel:` is understood only in functions marked @kernel or @portable")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        return None

    def __repr__(self) -> str:
        return "parallel"


class _Sequential:
    """`with sequential:` - its statements follow one another, as they do outside of any block."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        return None

    def __repr__(self) -> str:
        return "sequential"


parallel = _Parallel()
interleave = parallel
sequential = _Sequential()
