"""Kernels from text, and the kinds of kernels that exist only where kernels are compiled."""

from __future__ import annotations

import functools
import itertools
import linecache
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from corelog.language import core

__all__ = ["kernel_from_string", "subkernel", "syscall"]

_numbers = itertools.count(1)


def kernel_from_string(parameters: Sequence[str | tuple[str, str]], body_code: str,
                       decorator: Callable[..., Any] = core.kernel) -> Any:
    """A kernel with the given parameters (names, or pairs of name and type) and body.

    The body sees the words of a kernel, its parameters and nothing else.
    """
    names = [parameter if isinstance(parameter, str) else f"{parameter[0]}: {parameter[1]!r}"
             for parameter in parameters]
    text = f"def kernel_from_string_fn({', '.join(names)}):\n{textwrap.indent(body_code or 'pass', '    ')}\n"
    filename = f"<kernel from string {next(_numbers)}>"
    # so that tracebacks show it, and parallel blocks are found
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {name: getattr(core, name) for name in core.__all__}
    exec(compile(text, filename, "exec"), namespace)
    return decorator(namespace["kernel_from_string_fn"])


def subkernel(arg: Any = None, *, destination: int = 0, flags: object = frozenset()) -> Any:
    """Marks a kernel that ARTIQ runs on a satellite's own processor: here it can be defined, not called."""
    if not callable(arg):
        return functools.partial(subkernel, destination=destination, flags=flags)

    @functools.wraps(arg)
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"{arg.__qualname__} is a subkernel, which only ARTIQ's satellites can run: kernels "
                                  f"reach the channels of all satellites")

    return refuse


def syscall(arg: Any = None, *, flags: object = frozenset()) -> Any:
    """Marks a function of ARTIQ's own runtime: on the host it is an ordinary one, in a kernel there is none."""
    if not callable(arg):  # the name of the runtime's function, or nothing
        return functools.partial(syscall, flags=flags)

    @functools.wraps(arg)
    def call(*args: Any, **kwargs: Any) -> Any:
        if core.in_kernel():
            raise NotImplementedError(f"{arg.__qualname__} is a system call of ARTIQ's runtime, which is not here")
        return arg(*args, **kwargs)

    return call
