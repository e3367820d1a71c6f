"""The RPC server: see `pc_rpc`."""

import asyncio
import contextlib
import inspect
import json
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from sipyco import _rpc_target, pyon, pyon_v1
from sipyco.packed_exceptions import current_exc_packed
from sipyco.tools import AsyncioServer, SignalHandler, SimpleSSLConfig, read_first_line

logger = logging.getLogger("sipyco.pc_rpc")

_BANNER = b"ARTIQ pc_rpc\n"
_FEATURES = ["pyon_v2"]

Encode = Callable[[Any], str]
Decode = Callable[[str], Any]


class Server(AsyncioServer):
    """Makes the public methods of objects callable over the network.

    `targets` maps names to objects; one that is itself callable is called for each connection to make an object for
    that connection. Names beginning with an underscore are neither listed nor callable, and properties never read.
    Methods may be coroutines. Unless `allow_parallel`, calls are made one after the other over all connections.
    With `builtin_terminate` clients may call `terminate`, for which `wait_terminate` waits.

    Raises ValueError for a target name with a space in it.
    """

    def __init__(self, targets: dict[str, Any], description: str | None = None, builtin_terminate: bool = False,
                 allow_parallel: bool = False) -> None:
        super().__init__()
        if any(" " in name for name in targets):
            raise ValueError("the name of a target must not contain spaces")
        self.targets = targets
        self.description = description
        self.builtin_terminate = builtin_terminate
        self._lock: AbstractAsyncContextManager[Any] = contextlib.nullcontext() if allow_parallel else asyncio.Lock()
        self._terminate_request = asyncio.Event() if builtin_terminate else None

    async def wait_terminate(self) -> None:
        """Wait until a client has called `terminate`. Only with `builtin_terminate`."""
        if self._terminate_request is None:
            raise RuntimeError("this server was made without builtin_terminate")
        await self._terminate_request.wait()

    async def _handle_connection_cr(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await read_first_line(reader) != _BANNER:
            return
        identification = {"targets": sorted(self.targets), "description": self.description, "features": _FEATURES}
        writer.write(json.dumps(identification, separators=(",", ":")).encode("ascii") + b"\n")
        # No deadline here: a client may select its target whenever it likes.
        selection = (await reader.readline())[:-1].decode(errors="backslashreplace").split(" ")
        if selection[0] not in self.targets:
            return
        for feature in selection[1:]:
            if feature not in _FEATURES:
                logger.warning("closing a connection whose client wants the unknown feature %r", feature[:100])
                return
        target = self.targets[selection[0]]
        if callable(target):
            target = target()
        encode, decode = (pyon.encode, pyon.decode) if "pyon_v2" in selection else (pyon_v1.encode, pyon_v1.decode)
        await self._serve_target(reader, writer, target, encode, decode)

    async def _serve_target(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Any,
                            encode: Encode, decode: Decode) -> None:
        methods = _rpc_target.method_names(target)
        if self.builtin_terminate:
            methods.add("terminate")
        writer.write(encode(methods).encode("ascii") + b"\n")
        while line := await reader.readline():
            try:
                request = decode(line.decode())
            except (ValueError, TypeError, ArithmeticError) as error:
                logger.warning("closing the connection to %s: its request is not PYON: %s",
                               writer.get_extra_info("peername"), error)
                return
            try:
                reply = await self._reply(target, request, encode)
            except SystemExit:
                if self._terminate_request is None:
                    raise
                self._terminate_request.set()
                return
            writer.write(reply)
            await writer.drain()

    async def _reply(self, target: Any, request: Any, encode: Encode) -> bytes:
        """The reply line. Exceptions are replies too, but those that end a task or the process."""
        try:
            async with self._lock:
                result = await self._process(target, request)
            text = encode({"status": "ok", "ret": result})
        except (SystemExit, asyncio.CancelledError):
            raise
        except BaseException:  # noqa: BLE001  the caller is to get it, whatever it is
            text = encode({"status": "failed", "exception": current_exc_packed()})
        return text.encode("ascii") + b"\n"

    async def _process(self, target: Any, request: Any) -> Any:
        action = request["action"]
        if action == "get_rpc_method_list":
            return _rpc_target.describe(target, self.builtin_terminate)
        if action != "call":
            raise ValueError(f"Unknown action: {action}")
        name, args, kwargs = request["name"], request["args"], request["kwargs"]
        if self._terminate_request is not None and name == "terminate":
            self._terminate_request.set()
            return None
        result = _rpc_target.get_method(target, name)(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result


def simple_server_loop(targets: dict[str, Any], host: str | Iterable[str] | None, port: int,
                       description: str | None = None, allow_parallel: bool = False,
                       ssl_config: SimpleSSLConfig | None = None, *,
                       loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Serve until a client calls `terminate` or SIGINT, SIGTERM or SIGHUP comes. In `loop`, or one of its own."""
    used_loop = asyncio.new_event_loop() if loop is None else loop
    try:
        if loop is None:
            asyncio.set_event_loop(used_loop)
        used_loop.run_until_complete(_serve_until_terminated(
            targets, host, port, description, allow_parallel, ssl_config))
    finally:
        if loop is None:
            asyncio.set_event_loop(None)
            used_loop.close()


async def _serve_until_terminated(targets: dict[str, Any], host: str | Iterable[str] | None, port: int,
                                  description: str | None, allow_parallel: bool,
                                  ssl_config: SimpleSSLConfig | None) -> None:
    signals = SignalHandler()
    signals.setup()
    try:
        server = Server(targets, description, True, allow_parallel)
        await server.start(host, port, ssl_config)
        try:
            waiting = [asyncio.create_task(signals.wait_terminate()), asyncio.create_task(server.wait_terminate())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
        finally:
            await server.stop()
    finally:
        signals.teardown()
