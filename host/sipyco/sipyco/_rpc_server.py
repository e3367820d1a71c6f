"""The RPC server: see `pc_rpc`."""

import asyncio
import inspect
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextvars import ContextVar
from typing import Any

from sipyco import _rpc_target, pyon, pyon_v1
from sipyco._streams import READ_SIZE, LineSplitter
from sipyco.packed_exceptions import current_exc_packed
from sipyco.tools import LINE_LIMIT, AsyncioServer, SignalHandler, SimpleSSLConfig, read_first_line

logger = logging.getLogger("sipyco.pc_rpc")

_BANNER = b"ARTIQ pc_rpc\n"
_FEATURES = ["pyon_v2"]

_SLICE = 0.005
"""Seconds for which one client's requests are worked off before it is the others' turn."""
_FLUSH_BYTES = 256 * 1024
_NEVER_AWAITABLE = frozenset({type(None), bool, int, float, str, list, dict, tuple})

PEER: ContextVar[str] = ContextVar("peer", default="this process")
"""Who the connection is with, for callable targets and methods that want to know."""

CERTIFICATE: ContextVar[bytes | None] = ContextVar("certificate", default=None)
"""What the peer has proved to be with TLS: its certificate (DER)."""

Encode = Callable[[Any], str]
Decode = Callable[[str], Any]


class _Dialect:
    """How one PYON version writes replies."""

    def __init__(self, encode: Encode, decode: Decode, ok: str) -> None:
        self.encode = encode
        self.decode = decode
        self._ok = ok

    def result(self, value: Any) -> bytes:
        """Raises what `encode` raises."""
        return f"{self._ok}{self.encode(value)}}}\n".encode("ascii")

    def failure(self) -> bytes:
        """For the exception being handled."""
        return self.encode({"status": "failed", "exception": current_exc_packed()}).encode("ascii") + b"\n"


_V1 = _Dialect(pyon_v1.encode, pyon_v1.decode, '{"status": "ok", "ret": ')
_V2 = _Dialect(pyon.encode, pyon.decode, '{"status":"ok","ret":')


class _Turns:
    """A lock whose holder hands it to whoever waits longest, so that "not taken" means that nobody waits either."""

    def __init__(self) -> None:
        self.taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> None:
        """Only when it is not taken."""
        assert not self.taken
        self.taken = True

    async def wait(self) -> None:
        """Take it as soon as it is our turn."""
        if not self.taken:
            self.taken = True
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Let the next one have it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken = False


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
        self._turns = None if allow_parallel else _Turns()
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
        PEER.set("{}:{}".format(*writer.get_extra_info("peername")))
        if (tls := writer.get_extra_info("ssl_object")) is not None:
            CERTIFICATE.set(tls.getpeercert(binary_form=True))
        target = self.targets[selection[0]]
        if callable(target):
            target = target()
        await self._serve_target(reader, writer, target, _V2 if "pyon_v2" in selection else _V1)

    async def _serve_target(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Any,
                            dialect: _Dialect) -> None:
        methods = _rpc_target.method_names(target)
        if self.builtin_terminate:
            methods.add("terminate")
        writer.write(dialect.encode(methods).encode("ascii") + b"\n")
        caller = _rpc_target.Caller(target)
        splitter = LineSplitter(LINE_LIMIT)
        while data := await reader.read(READ_SIZE):
            if not await self._answer(splitter.feed(data), writer, caller, dialect):
                return

    async def _answer(self, lines: list[bytes], writer: asyncio.StreamWriter, caller: _rpc_target.Caller,
                      dialect: _Dialect) -> bool:
        """Work off requests in order, writing the replies to many at once. False to close the connection."""
        replies: list[bytes] = []
        size = 0
        pause = time.monotonic() + _SLICE
        try:
            for line in lines:
                try:
                    request = dialect.decode(line.decode())
                except (ValueError, TypeError, ArithmeticError) as error:
                    logger.warning("closing the connection to %s: its request is not PYON: %s", PEER.get(), error)
                    return False
                reply = self._process(caller, request, dialect)
                if not isinstance(reply, bytes):
                    # It takes a while: what was asked before is not to wait for it.
                    if replies:
                        writer.write(b"".join(replies))
                        replies, size = [], 0
                    reply = await reply
                replies.append(reply)
                size += len(reply)
                if size > _FLUSH_BYTES or time.monotonic() > pause:
                    writer.write(b"".join(replies))
                    replies, size = [], 0
                    await writer.drain()
                    await asyncio.sleep(0)
                    pause = time.monotonic() + _SLICE
        except SystemExit:
            if self._terminate_request is None:
                raise
            self._terminate_request.set()
            return False
        finally:
            if replies:
                writer.write(b"".join(replies))
        await writer.drain()
        return True

    def _process(self, caller: _rpc_target.Caller, request: Any,
                 dialect: _Dialect) -> bytes | Coroutine[Any, Any, bytes]:
        """The reply line; a coroutine for it if the method is one or other calls have to end first.

        Exceptions are replies too, but those that end a task or the process.
        """
        if self._turns is not None and self._turns.taken:
            return self._process_in_turn(caller, request, dialect)
        try:
            result = self._execute(caller, request)
            if type(result) in _NEVER_AWAITABLE or not inspect.isawaitable(result):
                return dialect.result(result)
            if self._turns is not None:
                self._turns.take()
            return self._finish(result, dialect)
        except (SystemExit, asyncio.CancelledError):
            raise
        except BaseException:  # noqa: BLE001  the caller is to get it, whatever it is
            return dialect.failure()

    async def _process_in_turn(self, caller: _rpc_target.Caller, request: Any, dialect: _Dialect) -> bytes:
        assert self._turns is not None
        await self._turns.wait()
        try:
            reply = self._execute(caller, request)
        except (SystemExit, asyncio.CancelledError):
            self._turns.give()
            raise
        except BaseException:  # noqa: BLE001  as in _process
            self._turns.give()
            return dialect.failure()
        return await self._finish(reply, dialect)

    async def _finish(self, result: Any, dialect: _Dialect) -> bytes:
        """Await what a method returned and, with its end, let the next call run."""
        try:
            if inspect.isawaitable(result):
                result = await result
            return dialect.result(result)
        except (SystemExit, asyncio.CancelledError):
            raise
        except BaseException:  # noqa: BLE001  as in _process
            return dialect.failure()
        finally:
            if self._turns is not None:
                self._turns.give()

    def _execute(self, caller: _rpc_target.Caller, request: Any) -> Any:
        action = request["action"]
        if action == "get_rpc_method_list":
            return _rpc_target.describe(caller.target, self.builtin_terminate)
        if action != "call":
            raise ValueError(f"Unknown action: {action}")
        name, args, kwargs = request["name"], request["args"], request["kwargs"]
        if self._terminate_request is not None and name == "terminate":
            self._terminate_request.set()
            return None
        return caller.method(name)(*args, **kwargs)

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
