import asyncio
import signal
import socket
import sys
import threading
from typing import Any

import pytest
from sipyco_peers import ScriptedServer, receive_line, until
from sipyco_rpc_peers import Target, asyncio_client, blocking, conversation, serving

from sipyco.packed_exceptions import GenericRemoteException
from sipyco.pc_rpc import AsyncioClient, BestEffortClient, Client, IncompatibleServer, Server

# -- clients against dying peers


async def test_cancelled_call_does_not_shift_later_answers() -> None:
    target = Target()
    async with serving({"t": target}) as (_, port), asyncio_client(port) as client:
        for _ in range(3):
            target.release.clear()
            call = asyncio.create_task(client.slow("old"))
            await until(lambda: target.running)
            waiting = asyncio.create_task(client.echo("waiting"))
            await asyncio.sleep(0)
            call.cancel()
            waiting.cancel()
            later = asyncio.create_task(client.echo("new"))
            target.release.set()
            assert await asyncio.wait_for(later, 10) == "new"
        assert [await client.echo(i) for i in range(3)] == [0, 1, 2]


async def test_timed_out_blocking_call_does_not_shift_later_answers() -> None:
    target = Target()
    loop = asyncio.get_running_loop()
    async with serving({"t": target}) as (_, port):
        def use() -> Any:
            client = Client("127.0.0.1", port, timeout=0.05)
            with pytest.raises(TimeoutError):
                client.slow("old")
            loop.call_soon_threadsafe(target.release.set)
            client._Client__connection.socket.settimeout(10)
            try:
                return [client.echo(i) for i in range(3)]
            finally:
                client.close_rpc()
        assert await blocking(use) == [0, 1, 2]


async def test_one_blocking_client_may_be_used_by_several_threads() -> None:
    async with serving() as (_, port):
        def use() -> None:
            client = Client("127.0.0.1", port, timeout=10)
            wrong: list[Any] = []

            def call(n: int) -> None:
                wrong.extend(i for i in range(n, n + 100) if client.echo(i) != i)
            threads = [threading.Thread(target=call, args=(1000 * n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            client.close_rpc()
            assert not wrong
        await blocking(use)


@pytest.mark.parametrize("answer", [
    b"", b"not json\n", b"[]\n", b'{"targets":5}\n', b'{"targets":["t"],"descr', b"\xff\n", b"[" * 50000 + b"\n",
    b'{"targets":[],"description":null}\n', b'{"targets":["t"],"description":null,"features":5}\n',
    b'{"targets":["t"],"description":null,"features":["pyon_v2"]}\n5\n',
    b'{"targets":["t"],"description":null,"features":["pyon_v2"]}\nx\n',
    b'{"targets":["t"],"description":null}\nopen("/")\n'], ids=lambda data: repr(data)[:50])
async def test_servers_that_are_none_are_refused_with_an_exception(answer: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await receive_line(reader)
        writer.write(answer)
        writer.write_eof()
        await reader.read()
    expected = (EOFError, IncompatibleServer, ValueError, TypeError)
    async with ScriptedServer(script) as port:
        with pytest.raises(expected):
            await AsyncioClient().connect_rpc("127.0.0.1", port)

        def use() -> None:
            with pytest.raises(expected):
                Client("127.0.0.1", port, timeout=10)
        await blocking(use)


@pytest.mark.parametrize(("answer", "error"), [
    (b"", EOFError), (b'{"status":"ok"', EOFError), (b'{"status":"odd"}\n', ValueError), (b"[]\n", ValueError),
    (b'{"status":"failed"}\n', GenericRemoteException), (b"nonsense\n", ValueError)], ids=repr)
async def test_replies_that_are_none_raise(answer: bytes, error: type[Exception]) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(conversation("v2", "server")[:2]))
        for _ in range(3):
            await receive_line(reader)
        writer.write(answer)
        writer.write_eof()
        await reader.read()
    async with ScriptedServer(script) as port:
        async with asyncio_client(port, "t") as client:
            with pytest.raises(error):
                await client.add()

        def use() -> None:
            client = Client("127.0.0.1", port, "t", timeout=10)
            with pytest.raises(error):
                client.add()
            client.close_rpc()
        await blocking(use)


async def test_unconnected_asyncio_client_says_so() -> None:
    client = AsyncioClient()
    with pytest.raises(AttributeError):
        client.ping()
    with pytest.raises(ConnectionError):
        client.get_local_host()
    await client.close_rpc()


async def test_best_effort_client_works_before_during_and_after_the_life_of_a_server() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    client = await blocking(BestEffortClient, "127.0.0.1", port, "t", firstcon_timeout=5.0, retry=0.01)
    assert client.ping() is None and client.anything(1) is None
    with pytest.raises(AttributeError):
        client._private()
    with pytest.raises(NotImplementedError):
        client.get_local_host()

    async def answers() -> bool:
        return await blocking(client.ping) is True
    for _ in range(2):
        server = Server({"t": Target()})
        await server.start("127.0.0.1", port)
        while not await answers():
            await asyncio.sleep(0.01)
        with pytest.raises(AttributeError):
            client.anything(1)
        with pytest.raises(KeyError):
            await blocking(client.fail, "KeyError")
        await server.stop()
        assert await blocking(client.ping) is None
    await blocking(client.close_rpc)
    assert client.ping() is None


# -- TLS and whole programs


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_tls_both_sides_prove_who_they_are(tls: dict[str, Any], host: str) -> None:
    if host == "::1":
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::1", 0))
            except OSError:
                pytest.skip("no IPv6 here")
    async with serving({"t": Target()}, host=host, tls=tls["server"]) as (_, port):
        client = AsyncioClient()
        await client.connect_rpc(host, port, ssl_config=tls["client"])
        assert await client.echo("x" * 1_000_000) == "x" * 1_000_000
        await client.close_rpc()

        def use() -> Any:
            client = Client(host, port, timeout=10, ssl_config=tls["client"])
            try:
                return client.echo(1), client.get_local_host()
            finally:
                client.close_rpc()
        assert await blocking(use) == (1, host)
        for refused in (tls["stranger"], None):
            with pytest.raises(EOFError):
                await AsyncioClient().connect_rpc(host, port, ssl_config=refused)
            with pytest.raises(EOFError):
                await blocking(Client, host, port, timeout=10, ssl_config=refused)


async def test_tls_client_refuses_a_server_that_it_does_not_know(tls: dict[str, Any]) -> None:
    import ssl
    async with serving({"t": Target()}, tls=tls["stranger"]) as (_, port):
        with pytest.raises(ssl.SSLCertVerificationError):
            await AsyncioClient().connect_rpc("127.0.0.1", port, ssl_config=tls["client"])
        with pytest.raises(ssl.SSLCertVerificationError):
            await blocking(Client, "127.0.0.1", port, timeout=10, ssl_config=tls["client"])


PROGRAM = """
from sipyco.pc_rpc import simple_server_loop
from sipyco import tools
class T:
    def ping(self): return True
start = tools.AsyncioServer.start
async def announced(self, *args):
    await start(self, *args)
    print(self.asyncio_server.sockets[0].getsockname()[1], flush=True)
tools.AsyncioServer.start = announced
simple_server_loop({"t": T()}, "127.0.0.1", 0, "program")
"""


@pytest.mark.parametrize(("how", "text"), [
    ("terminate", ""), (signal.SIGINT, "\nCaught Ctrl-C, terminating...\n"),
    (signal.SIGTERM, "\nCaught SIGTERM, terminating...\n"), (signal.SIGHUP, "\nCaught SIGHUP, terminating...\n")])
async def test_program_serves_until_terminated_and_ends_with_status_0(how: Any, text: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-W", "error", "-c", PROGRAM,
                                                   stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    port = int(await receive_line(process.stdout, 30))
    async with asyncio_client(port) as client:
        assert await client.ping() and client.get_rpc_id() == (["t"], "program")
        if how == "terminate":
            assert await client.terminate() is None
        else:
            process.send_signal(how)
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out.decode(), err.decode()) == (0, text, "")
