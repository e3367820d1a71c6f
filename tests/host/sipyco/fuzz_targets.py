"""A fuzz target for every parser of sipyco: a function of bytes that may refuse them in the documented way only.

    python tests/host/sipyco/fuzz_targets.py [NAME ...] [--seconds S] [--seed N]

mutates the captured messages for that long; `test_sipyco_fuzz` does the same briefly with a fixed seed. With atheris
installed, ``atheris.Setup(sys.argv, TARGETS[name])`` is all that coverage-guided fuzzing needs.
"""

import argparse
import asyncio
import logging
import random
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from sipyco_peers import VECTORS, vector_bytes

from sipyco import pyon, pyon_v1
from sipyco._log_assembly import FormatError, RecordAssembler
from sipyco._log_lines import parse_log_message
from sipyco._pipe_posix import _parse_address
from sipyco._rpc_protocol import AutoTarget, IncompatibleServer, Session
from sipyco._rpc_server import Server
from sipyco._rpc_target import Caller
from sipyco._streams import LineSplitter, LineTooLong
from sipyco.broadcast import Receiver, missed_before
from sipyco.packed_exceptions import raise_packed_exc
from sipyco.sync_struct import Subscriber

REFUSALS = (ValueError, TypeError, ArithmeticError)  # as the documentation of both decoders says


def decode_v2(data: bytes) -> None:
    try:
        value = pyon.decode(data.decode("utf-8", "surrogateescape"))
    except REFUSALS:
        return
    pyon.decode(pyon.encode(value))


def decode_v1(data: bytes) -> None:
    try:
        value = pyon_v1.decode(data.decode("utf-8", "surrogateescape"))
    except REFUSALS:
        return
    try:
        text = pyon_v1.encode(value)
    except TypeError:  # numpy scalars of the kinds that version 1 does not write
        return
    pyon_v1.decode(text)


def split_lines(data: bytes) -> None:
    splitter = LineSplitter(100)
    expected = data.split(b"\n")
    lines: list[bytes] = []
    step = data[0] % 50 + 1 if data else 1
    try:
        for i in range(0, len(data), step):
            lines += splitter.feed(data[i:i + step])
    except LineTooLong:
        assert max(map(len, expected)) > 100
        return
    assert [*lines, splitter.rest()] == expected


def _assemble(data: bytes, source_cb: Callable[[], str] | None) -> None:
    assembler = RecordAssembler(source_cb)
    step = data[0] % 50 + 1 if data else 1
    try:
        for i in range(0, len(data), step):
            assembler.feed(data[i:i + step])
    except FormatError:
        assert source_cb is None
        return
    assembler.end()


def log_process_lines(data: bytes) -> None:
    _assemble(data, lambda: "source")


def log_network_lines(data: bytes) -> None:
    _assemble(data, None)


def log_first_line(data: bytes) -> None:
    extra, level, name, message = parse_log_message(data.decode("utf-8", "backslashreplace"))
    assert 0 <= extra <= 65536 and level > 0 and ":" not in name and isinstance(message, str)


def rpc_client(data: bytes) -> None:
    """All that a server says to a client."""
    session = Session()
    lines = [line + b"\n" for line in data.split(b"\n")]
    try:
        session.identify(lines[0])
        session.select(AutoTarget)
        session.take_methods(lines[1])
        for line in lines[2:]:
            session.result(line)
    except Exception as error:  # noqa: BLE001  a reply may hold any ordinary exception
        known = (IncompatibleServer, IndexError, *REFUSALS)
        assert isinstance(error, known) or hasattr(error, "parent_traceback"), repr(error)


def rpc_exception(data: bytes) -> None:
    try:
        pack = pyon.decode(data.decode("utf-8", "surrogateescape"))
    except REFUSALS:
        return
    try:
        raise_packed_exc(pack)
    except Exception as error:  # noqa: BLE001  any ordinary one
        assert hasattr(error, "parent_traceback")


class _Target:
    def add(self, a: Any = 1, b: Any = 2) -> Any:
        return a


def rpc_server(data: bytes) -> None:
    """A request line of a client, from text to reply."""
    from sipyco._rpc_server import _V1, _V2
    server, caller = Server({}, allow_parallel=True), Caller(_Target())
    for dialect in (_V1, _V2):
        try:
            request = dialect.decode(data.decode("utf-8", "surrogateescape"))
        except REFUSALS:
            continue
        reply = server._process(caller, request, dialect)
        assert isinstance(reply, bytes) and reply.count(b"\n") == 1 and reply.endswith(b"\n")


def sync_struct_mods(data: bytes) -> None:
    subscriber = Subscriber("s", lambda struct: struct, lambda mod: None)
    subscriber._take(b'{"action":"init","struct":{"a":[1,{"b":[]}]}}')
    reader = _stream(data)
    asyncio.run(_run_subscriber(subscriber, reader))


def _stream(data: bytes) -> list[bytes]:
    return data.split(b"\n")


async def _run_subscriber(subscriber: Subscriber, lines: list[bytes]) -> None:
    subscriber.reader = asyncio.StreamReader()
    subscriber.reader.feed_data(b"\n".join(lines))
    subscriber.reader.feed_eof()
    await asyncio.wait_for(subscriber._receive(), 10)


def broadcast_line(data: bytes) -> None:
    line = data.split(b"\n")[0]
    assert missed_before(line) >= 0
    try:
        Receiver("r", lambda obj: None)._take(line)
    except REFUSALS:
        return


def pipe_address(data: bytes) -> None:
    try:
        _parse_address(data.decode("utf-8", "replace"))
    except ValueError as error:
        assert "not an address" in str(error)


def _all(*lists: str) -> list[bytes]:
    return [vector_bytes(entry) for name in lists for entry in VECTORS[name] if "hex" in entry]


def _conversations() -> list[bytes]:
    said = [vector_bytes(entry) for entry in VECTORS["rpc"] if entry["from"] == "server"]
    return [b"".join(said), *said, *_all("rpc_failures")]


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "decode_v2": (decode_v2, lambda: _all("pyon_v2", "bad_pyon_v2")),
    "decode_v1": (decode_v1, lambda: _all("pyon_v1", "bad_pyon_v1")),
    "split_lines": (split_lines, lambda: _all("logging", "rpc")),
    "log_process_lines": (log_process_lines, lambda: [b"WARN:a:b\nINFO<3>:n:l1\nl2\nl3\nplain\n", b"INFO<0>:n:x\ny\n"]),
    "log_network_lines": (log_network_lines, lambda: _all("logging")),
    "log_first_line": (log_first_line, lambda: [b"WARN:a:b", b"INFO<3>:n:l1", b"FATAL:x:y", b"INFO<0>:n:x"]),
    "rpc_client": (rpc_client, _conversations),
    "rpc_exception": (rpc_exception, lambda: [
        b'{"class":"KeyError","message":"m","traceback":["a"]}', b'{"class":"print","message":5,"traceback":null}']),
    "rpc_server": (rpc_server, lambda: [
        b'{"action":"call","name":"add","args":{"__jsonclass__":["tuple",[[1]]]},"kwargs":{"b":2}}',
        b'{"action": "call", "name": "add", "args": (1,), "kwargs": {"b": 2}}', b'{"action":"get_rpc_method_list"}']),
    "sync_struct_mods": (sync_struct_mods, lambda: _all("sync_struct")),
    "broadcast_line": (broadcast_line, lambda: [*_all("broadcast"), b"[1] \t \t"]),
    "pipe_address": (pipe_address, lambda: [b"6,9", b"-1,1e5", b"6,"]),
}

_WORDS = [*(b"__jsonclass__ nparray npscalar tuple set Fraction <i4 [ ] { } , : < > 1e999 -1 999999999999 NaN () null "
            b"lambda:0 action init path INFO<2>:a: ok failed |O M8[D]").split(),
          b'"', b"\\u", b"\n", b"\r", b"\x00", b"\xff", b"\t", b" "]


def mutate(rng: random.Random, corpus: list[bytes]) -> bytes:
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.randrange(1, 6)):
        at, to = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        match rng.randrange(6):
            case 0:
                del data[at:to]
            case 1:
                data[at:at] = rng.choice(_WORDS)
            case 2:
                data[at:at + 1] = bytes([rng.randrange(256)])
            case 3:
                data[at:at] = data[at:to]
            case 4:
                data[at:to] = rng.choice(corpus)
            case _:
                data[at:at] = data[at:to] * rng.randrange(1, 40)
        del data[20000:]
    return bytes(data)


def run(name: str, seed: int, go_on: Callable[[int], bool]) -> int:
    """Feed a target mutated inputs while `go_on(number)`; the first input that it fails on ends it, printed."""
    target, make_corpus = TARGETS[name]
    rng, corpus, count = random.Random(seed), make_corpus(), 0
    for data in corpus:
        target(data)
    while go_on(count):
        data = mutate(rng, corpus)
        try:
            target(data)
        except BaseException:
            print(f"{name}, seed {seed}, input {count}: {data!r}")
            raise
        count += 1
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target (%(default)g)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="numpy")
    failed = 0
    for name in args.names or TARGETS:
        end = time.monotonic() + args.seconds
        try:
            count = run(name, args.seed, lambda _, end=end: time.monotonic() < end)
            print(f"{name}: {count} inputs, seed {args.seed}")
        except Exception:  # noqa: BLE001  reported; the others go on
            traceback.print_exc()
            failed += 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
