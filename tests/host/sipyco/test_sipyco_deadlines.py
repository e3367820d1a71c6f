"""Every client can be given a time after which it stops waiting for a server that is there and says nothing."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from sipyco_rpc_peers import Target, asyncio_client, blocking, serving

from sipyco.broadcast import Receiver
from sipyco.pc_rpc import AsyncioClient, BestEffortClient, Client
from sipyco.sync_struct import Subscriber


@pytest.fixture
async def silent() -> AsyncIterator[int]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def unreachable() -> Iterator[int]:
    """A port at which connecting takes for ever: it listens, and nobody accepts the connections that are there."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        try:
            while True:
                waiting.append(probe := socket.socket())
                probe.settimeout(0.2)
                try:
                    probe.connect(("127.0.0.1", port))
                except TimeoutError:
                    break
                assert len(waiting) < 100
            yield port
        finally:
            for probe in waiting:
                probe.close()


async def times_out(what: Callable[[], Any]) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(what(), 20)
    assert time.monotonic() - began < 10


async def test_server_that_never_answers_does_not_hold_up_who_set_a_timeout(
        silent: int, caplog: pytest.LogCaptureFixture) -> None:
    await times_out(lambda: asyncio.to_thread(Client, "127.0.0.1", silent, timeout=0.2))
    await times_out(lambda: asyncio.to_thread(Client, "127.0.0.1", silent, connect_timeout=0.2))
    await times_out(lambda: AsyncioClient(timeout=0.2).connect_rpc("127.0.0.1", silent))
    client = await blocking(BestEffortClient, "127.0.0.1", silent, "t", firstcon_timeout=0.2, retry=60)
    assert client.anything() is None and "first connection attempt" in caplog.text
    await blocking(client.close_rpc)


async def test_port_that_does_not_accept_does_not_hold_up_who_set_a_timeout(unreachable: int) -> None:
    await times_out(lambda: asyncio.to_thread(Client, "127.0.0.1", unreachable, timeout=0.2))
    await times_out(lambda: AsyncioClient(timeout=0.2).connect_rpc("127.0.0.1", unreachable))
    await times_out(lambda: Subscriber("s", dict).connect("127.0.0.1", unreachable, timeout=0.2))
    await times_out(lambda: Receiver("r", print).connect("127.0.0.1", unreachable, timeout=0.2))


async def test_timeout_of_a_call_leaves_the_connection_in_step() -> None:
    target = Target()
    async with serving({"t": target}, allow_parallel=True) as (_, port):
        client = AsyncioClient(timeout=1.0)
        await client.connect_rpc("127.0.0.1", port)
        await times_out(lambda: client.slow("late"))
        target.release.set()
        assert await client.echo("next") == "next"
        await client.close_rpc()

        def use() -> Any:
            blocking_client = Client("127.0.0.1", port, connect_timeout=1.0)
            try:
                return blocking_client.slow("as long as it takes")
            finally:
                blocking_client.close_rpc()
        target.release.clear()
        call = asyncio.create_task(asyncio.to_thread(use))
        done, _ = await asyncio.wait([call], timeout=1.5)
        assert not done
        target.release.set()
        assert await asyncio.wait_for(call, 10) == "as long as it takes"


async def test_rpctool_gives_up_on_a_silent_server(silent: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sipyco.sipyco_rpctool", "--timeout", "0.2", "127.0.0.1", str(silent), "list-targets",
        stderr=asyncio.subprocess.PIPE)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1 and b"TimeoutError" in err


async def test_concurrent_calls_share_the_connection_and_a_cancelled_one_shifts_nothing() -> None:
    target = Target()
    async with serving({"t": target}) as (_, port), asyncio_client(port) as client:
        calls = [asyncio.create_task(client.soon(i)) for i in range(200)]
        waiting = asyncio.create_task(client.slow("held"))
        after = [asyncio.create_task(client.echo(i)) for i in range(50)]
        await asyncio.wait(calls)
        for task in [waiting, *after[::2]]:
            task.cancel()
        target.release.set()
        assert [task.result() for task in calls] == list(range(200))
        assert await asyncio.gather(*after[1::2]) == list(range(50))[1::2]
        assert await client.echo("last") == "last"


async def test_all_who_wait_are_told_when_the_connection_ends() -> None:
    target = Target()
    async with serving({"t": target}) as (server, port):
        client = AsyncioClient()
        await client.connect_rpc("127.0.0.1", port)
        calls = [asyncio.create_task(client.slow(i)) for i in range(5)]
        while not target.running:
            await asyncio.sleep(0)
        await server.stop()
        for result in await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10):
            assert isinstance(result, EOFError | ConnectionError)
        with pytest.raises((EOFError, ConnectionError)):
            await client.ping()
        await client.close_rpc()


async def test_writers_wait_while_the_server_does_not_read() -> None:
    target = Target()
    async with serving({"t": target}) as (_, port), asyncio_client(port) as client:
        first = asyncio.create_task(client.slow(1))
        while not target.running:
            await asyncio.sleep(0)
        big = "x" * 1_000_000
        calls = [asyncio.create_task(client.echo(big)) for _ in range(30)]
        link = client._AsyncioClient__link
        while link._room.is_set():
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        assert link.transport.get_write_buffer_size() < 4_000_000
        target.release.set()
        assert await first == 1 and await asyncio.wait_for(asyncio.gather(*calls), 20) == [big] * 30
