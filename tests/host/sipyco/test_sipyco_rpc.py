import asyncio
import json
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sipyco_peers import VECTORS, ScriptedServer, receive_line, until, vector_bytes
from sipyco_rpc_peers import RPC, Target, asyncio_client, blocking, raw, serving

from sipyco import packed_exceptions, pyon
from sipyco.packed_exceptions import GenericRemoteException, raise_packed_exc
from sipyco.pc_rpc import AsyncioClient, Client, IncompatibleServer, Server


class Adder:
    def add(self, a: int, b: int) -> int:
        return a + b


async def test_server_answers_the_captured_conversation() -> None:
    async with serving({"cls": Adder, "u": Adder(), "t": Adder()}, "descé") as (_, port):
        reader, writer = await raw(port)
        for entry in RPC[:6]:
            if entry["from"] == "client":
                writer.write(vector_bytes(entry))
            else:
                assert await receive_line(reader) == vector_bytes(entry)
        writer.close()


@pytest.mark.parametrize("version", ["v2", "v1"])
async def test_clients_speak_the_captured_conversation(version: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for entry in RPC:
            if entry["name"].startswith(version):
                if entry["from"] == "client":
                    assert await receive_line(reader) == vector_bytes(entry)
                else:
                    writer.write(vector_bytes(entry))

    async with ScriptedServer(script) as port:
        async with asyncio_client(port, "t") as client:
            assert await (client.add(1, b=2) if version == "v2" else client.x()) == (3 if version == "v2" else None)

        def use() -> Any:
            client = Client("127.0.0.1", port, "t", timeout=10)
            try:
                return client.add(1, b=2) if version == "v2" else client.x()
            finally:
                client.close_rpc()
        assert await blocking(use) == (3 if version == "v2" else None)


async def test_peer_of_version_1_is_served_whole() -> None:
    async with serving({"t": Target()}) as (_, port):
        reader, writer = await raw(port, b"ARTIQ pc_rpc\nt\n")
        await receive_line(reader)
        names = await receive_line(reader)
        assert names.startswith(b'{"') and b'"ping"' in names and b"__" not in names
        writer.write(b'{"action": "call", "name": "echo", "args": (1, [b\'\\x00\'], nan), "kwargs": {}}\n')
        assert await receive_line(reader) == b'{"status": "ok", "ret": (1, [b\'\\x00\'], nan)}\n'
        writer.write(b'{"action": "call", "name": "echo", "args": (__import__("os").getpid(),), "kwargs": {}}\n')
        assert await receive_line(reader) == b""
        writer.close()


async def test_methods_are_called_with_arguments_of_every_kind() -> None:
    array = np.arange(100_000, dtype=">f8")
    async with serving({"t": Target()}, "what it is", builtin_terminate=True) as (server, port):
        def use() -> None:
            client = Client("127.0.0.1", port, timeout=10)
            assert client.get_rpc_id() == (["t"], "what it is")
            assert client.get_selected_target() == "t" and client.get_local_host() == "127.0.0.1"
            assert client.ping() is True and client.add(1, c=5, x=1, y=2) == 10 and client.soon((1, 2)) == (1, 2)
            assert (client.echo(array) == array).all()
            client.terminate()
            client.close_rpc()
        await blocking(use)
        await asyncio.wait_for(server.wait_terminate(), 10)


async def test_method_list_describes_signatures_whatever_they_hold() -> None:
    async with serving({"t": Target()}, builtin_terminate=True) as (_, port):
        described = await blocking(lambda: method_list(port))
    assert described["docstring"] == "A target."
    methods = described["methods"]
    assert methods["ping"][1] == "Answer.\n\nAlways."
    assert methods["add"][0] == {
        "args": ["self", "a", "b"], "varargs": None, "varkw": "more", "defaults": (2,), "kwonlyargs": ["c"],
        "kwonlydefaults": {"c": 0},
        "annotations": {"a": "int", "b": "int", "c": "Any", "more": "int", "return": "int"}}
    assert methods["odd_defaults"][0]["defaults"] == ("<class 'object'>", os.sep)
    assert methods["terminate"] == (
        {"args": ["self"], "defaults": None, "varargs": None, "varkw": None, "kwonlyargs": [], "kwonlydefaults": []},
        "Terminate the server.")
    assert not [name for name in methods if name.startswith("_")] and "danger" not in methods


def method_list(port: int) -> Any:
    client = Client("127.0.0.1", port, timeout=10)
    try:
        return client.get_rpc_method_list()
    finally:
        client.close_rpc()


@pytest.mark.parametrize(("name", "kind"), [
    ("_private", "AttributeError"), ("__class__", "AttributeError"), ("__init__", "AttributeError"),
    ("missing", "AttributeError"), ("danger", "TypeError"), ("cached", "TypeError"), ("attribute", "TypeError"),
    (5, "TypeError"), (None, "TypeError")])
async def test_only_public_methods_can_be_called_and_no_property_is_read(name: Any, kind: str) -> None:
    target = Target()
    async with serving({"t": target}) as (_, port):
        reader, writer = await raw(port, b"ARTIQ pc_rpc\nt pyon_v2\n")
        await receive_line(reader)
        names = pyon.decode(await receive_line(reader))
        assert names == {"ping", "add", "echo", "fail", "slow", "soon", "exit", "unencodable", "odd_defaults"}
        writer.write(json.dumps({"action": "call", "name": name, "args": [], "kwargs": {}}).encode() + b"\n")
        reply = pyon.decode(await receive_line(reader))
        assert reply["status"] == "failed" and reply["exception"]["class"] == kind
        assert target.read == []
        writer.close()


@pytest.mark.parametrize(("request_line", "kind", "message"), [
    (b'{"action":"zzz"}', "ValueError", "Unknown action: zzz"),
    (b'{}', "KeyError", "'action'"),
    (b'{"action":"call","name":"ping","args":[]}', "KeyError", "'kwargs'"),
    (b'{"action":"call","name":"ping","args":[1],"kwargs":{}}', "TypeError", None),
    (b'{"action":"call","name":"ping","args":5,"kwargs":{}}', "TypeError", None),
    (b'{"action":"call","name":"ping","args":[],"kwargs":{"__jsonclass__":["dict",[[[1,2]]]]}}', "TypeError", None),
    (b'[]', "TypeError", None), (b'5', "TypeError", None),
    (b'{"action":"call","name":"unencodable","args":[],"kwargs":{}}', "TypeError", None),
    (b'{"action":"call","name":"fail","args":["KeyboardInterrupt"],"kwargs":{}}', "KeyboardInterrupt", "text"),
])
async def test_failed_requests_are_answered_and_the_connection_goes_on(request_line: bytes, kind: str,
                                                                      message: str | None) -> None:
    async with serving() as (_, port):
        reader, writer = await raw(port, b"ARTIQ pc_rpc\nt pyon_v2\n")
        await receive_line(reader)
        await receive_line(reader)
        writer.write(request_line + b'\n{"action":"call","name":"ping","args":[],"kwargs":{}}\n')
        failure = pyon.decode(await receive_line(reader))["exception"]
        assert failure["class"] == kind and message in (None, failure["message"])
        assert all(frame.endswith("\n") for frame in failure["traceback"])
        assert await receive_line(reader) == b'{"status":"ok","ret":true}\n'
        writer.close()


@pytest.mark.parametrize("data", [
    b"ARTIQ pc_rpc\r\n", b"x\n", b"ARTIQ pc_rpc\nnone pyon_v2\n", b"ARTIQ pc_rpc\nt pyon_v9\n", b"ARTIQ pc_rpc\n\n",
    b"ARTIQ pc_rpc\nt pyon_v2\r\n", b"ARTIQ pc_rpc\n\xff\n", b"ARTIQ pc_rpc\nt pyon_v2\nnot pyon\n",
    b"ARTIQ pc_rpc\nt pyon_v2\n\xff\n", b"ARTIQ pc_rpc\nt\n" + b"[" * 1000 + b"\n",
    b"ARTIQ pc_rpc\nt pyon_v2\n" + b"[" * 100000 + b"\n"], ids=lambda data: repr(data)[:40])
async def test_bad_peers_are_hung_up_on_and_others_served(data: bytes) -> None:
    async with serving() as (_, port):
        reader, writer = await raw(port, data)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert b'"status"' not in answer
        writer.close()
        async with asyncio_client(port) as client:
            assert await client.ping()


async def test_pipelined_requests_are_answered_in_order_and_half_closing_does_not_cut_them() -> None:
    async with serving() as (_, port):
        calls = [pyon.encode({"action": "call", "name": "soon", "args": [i], "kwargs": {}}).encode() + b"\n"
                 for i in range(100)]
        reader, writer = await raw(port, b"ARTIQ pc_rpc\nt pyon_v2\n", *calls)
        writer.write_eof()
        lines = (await asyncio.wait_for(reader.read(), 10)).splitlines()
        assert [pyon.decode(line)["ret"] for line in lines[2:]] == list(range(100))
        writer.close()


@pytest.mark.parametrize("allow_parallel", [False, True])
async def test_calls_are_serialised_unless_parallel_ones_are_allowed(allow_parallel: bool) -> None:
    target = Target()
    async with serving({"t": target}, allow_parallel=allow_parallel) as (_, port):
        async with asyncio_client(port) as one, asyncio_client(port) as two:
            await asyncio.gather(*[client.soon(i) for i in range(20) for client in (one, two)])
        if allow_parallel:
            tasks = []
            async with asyncio_client(port) as one, asyncio_client(port) as two:
                tasks = [asyncio.create_task(client.slow(1)) for client in (one, two)]
                await until(lambda: target.running == 2)
                target.release.set()
                assert await asyncio.gather(*tasks) == [1, 1]
    assert target.most == (2 if allow_parallel else 1)


async def test_callable_target_makes_one_object_per_connection() -> None:
    made = []

    class Counter:
        def __init__(self) -> None:
            made.append(self)
            self.count = 0

        def next(self) -> int:
            self.count += 1
            return self.count
    async with serving({"t": Counter}) as (_, port), asyncio_client(port) as one, asyncio_client(port) as two:
        assert [await one.next(), await one.next(), await two.next()] == [1, 2, 1] and len(made) == 2


async def test_targets_are_selected_by_name_automatically_or_later() -> None:
    with pytest.raises(ValueError):
        Server({"a b": Target()})
    async with serving({"b": Target(), "a": Target()}) as (_, port):
        with pytest.raises(ValueError, match=r"^Server has multiple targets: a b$"):
            await AsyncioClient().connect_rpc("127.0.0.1", port)
        with pytest.raises(IncompatibleServer, match=r"^valid target name\(s\): a b$"):
            await AsyncioClient().connect_rpc("127.0.0.1", port, "c")

        def use() -> None:
            with pytest.raises(ValueError, match="Server has multiple targets: a b"):
                Client("127.0.0.1", port)
            with pytest.raises(IncompatibleServer):
                Client("127.0.0.1", port, "c")
            client = Client("127.0.0.1", port, None, timeout=10)
            assert client.get_selected_target() is None and client.get_rpc_id()[0] == ["a", "b"]
            with pytest.raises(AttributeError):
                client.ping()
            client.select_rpc_target("b")
            assert client.ping() and client.get_selected_target() == "b"
            with pytest.raises(AttributeError):
                client.no_such_method()
            client.close_rpc()
        await blocking(use)
        async with asyncio_client(port, None) as client:
            await client.select_rpc_target("a")
            assert await client.ping() and client.get_rpc_id() == (["a", "b"], None)
            with pytest.raises(AttributeError):
                client.no_such_method()


# -- exceptions


@pytest.mark.parametrize("entry", VECTORS["rpc_failures"], ids=lambda entry: entry["name"])
def test_exception_from_the_wire_becomes_an_exception_and_nothing_else(entry: dict[str, Any],
                                                                       capfd: pytest.CaptureFixture[str]) -> None:
    pack = pyon.decode(vector_bytes(entry))["exception"]
    kind = KeyError if entry["name"] == "KeyError" else GenericRemoteException
    with pytest.raises(kind) as caught:
        raise_packed_exc(pack)
    assert type(caught.value) is kind and pack["message"] in str(caught.value)
    assert caught.value.parent_traceback == pack["traceback"]  # type: ignore[attr-defined]
    assert capfd.readouterr().out == ""


@given(st.dictionaries(st.sampled_from(["class", "message", "traceback", "x"]),
                       st.none() | st.integers() | st.text() | st.lists(st.text())) | st.none() | st.integers())
def test_any_pack_raises_an_exception(pack: Any) -> None:
    with pytest.raises(Exception):  # noqa: B017  which one is the pack's choice
        raise_packed_exc(pack)


def test_every_builtin_name_is_harmless_as_an_exception_class() -> None:
    import builtins
    for name in dir(builtins):
        try:
            raise_packed_exc({"class": name, "message": "m", "traceback": []})
        except Exception as error:  # noqa: BLE001  that is what is asked
            assert type(error) is GenericRemoteException or type(error) is getattr(builtins, name)
        else:
            pytest.fail(name)


async def test_exceptions_of_methods_travel_with_their_traceback() -> None:
    async with serving() as (_, port), asyncio_client(port) as client:
        with pytest.raises(KeyError) as caught:
            await client.fail("KeyError")
        assert str(caught.value) == '"\'text\'"'
        assert "in fail" in caught.value.parent_traceback[-1]  # type: ignore[attr-defined]
        with pytest.raises(GenericRemoteException, match=r"OwnError: custom$"):
            await client.fail("own")
        with pytest.raises(GenericRemoteException, match=r"^KeyboardInterrupt: text$"):
            await client.fail("KeyboardInterrupt")


def test_an_exception_that_cannot_be_printed_is_packed() -> None:
    class Bad(Exception):
        def __str__(self) -> str:
            raise RuntimeError
    try:
        raise Bad
    except Bad:
        pack = packed_exceptions.current_exc_packed()
    assert pack["class"] == "GenericRemoteException" and "unprintable" in pack["message"]
    with pytest.raises(RuntimeError):
        packed_exceptions.current_exc_packed()


async def test_system_exit_ends_the_connection_and_a_server_that_may_terminate() -> None:
    async with serving(builtin_terminate=True) as (server, port), asyncio_client(port) as client:
        with pytest.raises(EOFError):
            await client.exit()
        await asyncio.wait_for(server.wait_terminate(), 10)
