"""Calls nobody waits for: `FFProxy` runs the methods of an object, such as an RPC client, in the background."""

import logging
import threading
from collections.abc import Callable
from inspect import iscoroutine
from typing import Any

__all__ = ["FFProxy"]

logger = logging.getLogger(__name__)


class FFProxy:
    """Has the methods of `target`; a call returns None at once and runs in a background thread.

    One at a time: a call made while another one runs is dropped, with a warning. An exception becomes a warning with
    its traceback. The program does not end before a call that runs; give the client a timeout.

    The methods are those that `target` has at the time of the call, so those of an RPC client's server are among them.
    """

    def __init__(self, target: Any) -> None:
        self.__target = target
        self.__lock = threading.Lock()
        self.__thread: threading.Thread | None = None

    def ff_join(self) -> None:
        """Wait until the background call, if there is one, has ended."""
        thread = self.__thread
        if thread is not None:
            thread.join()

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(f"FFProxy has no attribute {name!r}")
        method = getattr(self.__target, name)
        if not callable(method):
            raise AttributeError(f"attribute {name!r} of the target is not a method")

        def call(*args: Any, **kwargs: Any) -> None:
            self.__call(name, method, args, kwargs)
        return call

    def __call(self, name: str, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        with self.__lock:
            if self.__thread is not None and self.__thread.is_alive():
                logger.warning("skipping fire-and-forget call to %s: the previous call still runs", name)
                return
            self.__thread = threading.Thread(target=_run, args=(name, method, args, kwargs), name=f"FFProxy.{name}")
            self.__thread.start()


def _run(name: str, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        result = method(*args, **kwargs)
        if iscoroutine(result):
            result.close()
            raise TypeError(f"{name} is a coroutine, which a thread cannot run; use a blocking client")
    except Exception as error:  # whatever the target raises; nobody else will tell
        remote = "".join(getattr(error, "parent_traceback", ()))
        logger.warning("fire-and-forget call to %s raised an exception:%s", name,
                       f"\nRemote traceback:\n{remote}" if remote else "", exc_info=True)
