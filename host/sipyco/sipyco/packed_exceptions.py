"""Exceptions as data, so that one raised by a remote method can be raised again where the method was called."""

import builtins
import sys
import traceback
from typing import Any

__all__ = ["GenericRemoteException", "current_exc_packed", "raise_packed_exc"]


class GenericRemoteException(Exception):
    """A remote exception of a class that does not exist here. Its message begins with the name of the class."""


def current_exc_packed() -> dict[str, Any]:
    """The exception being handled, as ``{"class": ..., "message": ..., "traceback": [...]}``."""
    error = sys.exception()
    if error is None:
        raise RuntimeError("no exception is being handled")
    kind = type(error)
    if vars(builtins).get(kind.__name__) is kind:
        name, message = kind.__name__, _text(error)
    else:
        name, message = GenericRemoteException.__name__, _qualified(kind, error)
    return {"class": name, "message": message, "traceback": traceback.format_tb(error.__traceback__)}


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001  __str__ is the class's own, and a reply there must be
        return f"<unprintable: {type(second).__name__}>"


def _qualified(kind: type[BaseException], error: BaseException) -> str:
    """As the last line of a traceback."""
    module = "" if kind.__module__ in ("__main__", "builtins") else kind.__module__ + "."
    text = _text(error)
    return f"{module}{kind.__qualname__}: {text}" if text else f"{module}{kind.__qualname__}"


def raise_packed_exc(pack: Any) -> None:
    """Raise the exception described by `pack`, with the remote frames in its attribute `parent_traceback`.

    Only an ordinary exception class among Python's builtins that takes a message is ever made from the name in the
    pack; anything else becomes a GenericRemoteException.
    """
    if not isinstance(pack, dict):
        pack = {}
    name, message = str(pack.get("class", "unknown")), str(pack.get("message", ""))
    error = _build(name, message)
    trace = pack.get("traceback", [])
    lines = list(trace) if isinstance(trace, list | tuple) else [str(trace)]
    error.parent_traceback = lines  # type: ignore[attr-defined]
    raise error


def _build(name: str, message: str) -> Exception:
    if name == GenericRemoteException.__name__:
        return GenericRemoteException(message)
    kind = vars(builtins).get(name)
    # StopIteration ends a generator or coroutine instead of passing through it.
    if isinstance(kind, type) and issubclass(kind, Exception) and \
            not issubclass(kind, StopIteration | StopAsyncIteration):
        try:
            return kind(message)
        except TypeError:
            pass
    return GenericRemoteException(f"{name}: {message}")
