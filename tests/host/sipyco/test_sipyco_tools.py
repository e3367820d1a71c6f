import asyncio
import logging
import socket
import subprocess
import sys
from typing import Any

import pytest
from sipyco_peers import port_of, until

from sipyco import keepalive
from sipyco.tools import AsyncioServer, BackgroundTaskPool, Condition, SimpleSSLConfig, TaskObject


class Echo(AsyncioServer):
    async def _handle_connection_cr(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line == b"fail\n":
            raise RuntimeError("handler failed")
        if line == b"flood\n":
            writer.write(b"x" * (64 << 20))
        writer.write(line)


async def test_task_object_runs_until_stopped_and_logs_what_ends_it_early(caplog: pytest.LogCaptureFixture) -> None:
    started = asyncio.Event()

    class Waits(TaskObject):
        async def _do(self) -> None:
            started.set()
            await asyncio.Event().wait()

    class Fails(TaskObject):
        async def _do(self) -> None:
            raise RuntimeError("body")
    waits, fails = Waits(), Fails()
    await waits.stop()
    waits.start()
    await started.wait()
    await waits.stop()
    await waits.stop()
    assert waits.task.cancelled()
    fails.start(loop=asyncio.get_running_loop())
    await until(fails.task.done)
    await fails.stop()
    assert "Unhandled exception in TaskObject task body" in caplog.text and "body" in caplog.text


async def test_server_logs_a_failed_handler_but_not_a_vanished_peer(caplog: pytest.LogCaptureFixture) -> None:
    server = Echo()
    await server.start("127.0.0.1", 0)
    for data in (b"ok\n", b"fail\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(data)
        assert await asyncio.wait_for(reader.read(), 10) == data * (data == b"ok\n")
        writer.close()
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == [
        "Client connection closed with error"]
    caplog.clear()
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    writer.write(b"half a line")
    await writer.drain()
    writer.transport.abort()
    await until(lambda: not server._client_tasks)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    await server.stop()


async def test_server_stops_although_a_client_does_not_read() -> None:
    server = Echo()
    await server.start("127.0.0.1", 0)
    _, idle = await asyncio.open_connection("127.0.0.1", port_of(server))
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    writer.write(b"flood\n")
    await until(lambda: len(server._client_tasks) == 2)
    await asyncio.wait_for(server.stop(), 10)
    assert not server._client_tasks
    for each in (idle, writer):
        each.transport.abort()


@pytest.mark.parametrize("host", ["127.0.0.1", ["127.0.0.1"], ("127.0.0.1", "127.0.0.2"), None, ["127.0.0.1", "::1"]],
                         ids=repr)
async def test_server_listens_on_all_that_it_is_told(host: Any) -> None:
    server = Echo()
    await server.start(host, 0)
    for listening in server.asyncio_server.sockets:
        family, address = listening.family, listening.getsockname()
        target = "127.0.0.1" if address[0] == "0.0.0.0" else "::1" if address[0] == "::" else address[0]
        reader, writer = await asyncio.open_connection(target, address[1], family=family)
        writer.write(b"x\n")
        assert await asyncio.wait_for(reader.read(), 10) == b"x\n"
        writer.close()
    await server.stop()


async def test_server_without_addresses_listens_nowhere() -> None:
    server = Echo()
    await server.start([], 0)
    assert not server.asyncio_server.sockets
    await server.stop()


async def test_accepted_and_made_connections_have_keepalive() -> None:
    server = Echo()
    await server.start("127.0.0.1", 0)
    port = port_of(server)
    _, writer = await keepalive.async_open_connection("127.0.0.1", port, after_idle=11, interval=3, max_fails=4)
    sock = writer.get_extra_info("socket")
    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [11, 3, 4]
    writer.close()
    made = await asyncio.to_thread(keepalive.create_connection, "127.0.0.1", port, timeout=5)
    with made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) and made.gettimeout() == 5
    await server.stop()


async def test_condition_wakes_all_who_wait_and_nobody_who_comes_later() -> None:
    condition = Condition()
    condition.notify()
    waiters = [asyncio.create_task(condition.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    late = None
    condition.notify()
    late = asyncio.create_task(condition.wait())
    await asyncio.wait_for(asyncio.gather(*waiters[1:]), 10)
    await asyncio.sleep(0)
    assert not late.done() and waiters[0].cancelled()
    condition.notify()
    await asyncio.wait_for(late, 10)


async def test_background_tasks_run_without_anyone_holding_them() -> None:
    pool = BackgroundTaskPool(asyncio.get_running_loop())
    done = asyncio.Event()

    async def work() -> None:
        done.set()
    pool.create(work())
    await asyncio.wait_for(done.wait(), 10)
    await until(lambda: not pool.tasks)


def test_coroutine_registered_for_the_exit_runs_then() -> None:
    code = """
import asyncio
from sipyco.tools import atexit_register_coroutine
loop = asyncio.new_event_loop()
async def last(): print("last")
atexit_register_coroutine(last, loop=loop)
print("first")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (run.stdout, run.stderr) == ("first\nlast\n", "")


def test_unusable_certificates_are_reported(tmp_path: Any, certificates: Any) -> None:
    with pytest.raises(OSError):
        SimpleSSLConfig(str(tmp_path / "none"), str(tmp_path / "none"), str(tmp_path / "none")).create_client_context()
    (tmp_path / "bad").write_text("bad")
    certificate, key = map(str, certificates["client"])
    with pytest.raises(OSError):
        SimpleSSLConfig(certificate, key, str(tmp_path / "bad")).create_server_context()
