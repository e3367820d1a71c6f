import asyncio
import contextlib
import gc
import inspect
import linecache
import logging
import re
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sipyco_peers import free_loopback, until
from sipyco_rpc_peers import asyncio_client, blocking, serving

from sipyco.pc_rpc import Client, Server
from sipyco.remote_exec import RemoteExecServer, connect_global_rpc


class Driver:
    def __init__(self) -> None:
        self.frames = [[1, 2], [3, 4]]


@contextlib.asynccontextmanager
async def controller(**options: Any) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """The two targets of a controller, and its initial namespace."""
    namespace: dict[str, Any] = {"controller_driver": Driver()}
    namespace["controller_initial_namespace"] = namespace
    targets = {"camera": namespace["controller_driver"],
               "camera_rexec": lambda: RemoteExecServer(namespace, **options)}
    async with serving(targets) as (_, port):
        yield port, namespace


def sum_of_frames(scale):  # sent as source
    return scale * sum(map(sum, controller_driver.frames))  # type: ignore[name-defined]  # noqa: F821


async def test_source_of_a_function_runs_beside_the_driver_in_a_namespace_per_connection() -> None:
    async with controller() as (port, namespace):
        async with asyncio_client(port, "camera_rexec") as one, asyncio_client(port, "camera_rexec") as two:
            await one.add_code(inspect.getsource(sum_of_frames))
            assert await one.call("sum_of_frames", 2) == await one.call("sum_of_frames", scale=2) == 20
            with pytest.raises(KeyError):
                await two.call("sum_of_frames", 2)
            await one.add_code("def module(): return __name__\ncontroller_initial_namespace['shared'] = 7")
            assert await one.call("module") == "sipyco.remote_exec" and "sipyco.remote_exec" in sys.modules
            async with asyncio_client(port, "camera_rexec") as three:
                await three.add_code("def get(): return shared")
                assert await three.call("get") == 7
            assert namespace["shared"] == 7 and "sum_of_frames" not in namespace
            for bad, error in (("def", SyntaxError), ("1/0", ZeroDivisionError)):
                with pytest.raises(error):
                    await one.add_code(bad)
            with pytest.raises(AttributeError):
                one.namespace()


@pytest.mark.parametrize("limited", ["def f():\n while True: pass",
                                     "def f():\n while True:\n  try:\n   while True: pass\n  except Exception: pass",
                                     "import time\ndef f(): time.sleep(60)",
                                     "import asyncio\nasync def f():\n await asyncio.sleep(60)",
                                     "import asyncio\nasync def f():\n while True: await asyncio.sleep(0)",
                                     "async def f():\n while True: pass"])
async def test_call_beyond_its_time_limit_is_interrupted_and_the_server_goes_on(limited: str) -> None:
    async with controller(time_limit=0.8) as (port, _):
        async with asyncio_client(port, "camera_rexec") as client:
            await client.add_code(limited)
            began = time.monotonic()
            with pytest.raises(TimeoutError, match=r"f took longer than 0\.8 s"):
                await client.call("f")
            assert 0.7 < time.monotonic() - began < 10
            with pytest.raises(TimeoutError):
                await client.add_code("while True: pass")
            await client.add_code("import asyncio\nasync def g():\n await asyncio.sleep(0.01)\n return 5")
            assert await client.call("g") == 5


async def test_time_limit_holds_in_a_server_outside_the_main_thread() -> None:
    ports: list[int] = []
    ended = []

    def run() -> None:
        async def main() -> None:
            server = Server({"r": lambda: RemoteExecServer({}, time_limit=0.2)}, builtin_terminate=True)
            await server.start("127.0.0.1", 0)
            ports.append(server.asyncio_server.sockets[0].getsockname()[1])
            await server.wait_terminate()
            await server.stop()
            ended.append(True)
        asyncio.run(main())
    thread = threading.Thread(target=run)
    thread.start()
    await until(lambda: ports)
    async with asyncio_client(ports[0]) as client:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await client.add_code("while True: pass")
        await client.terminate()
    await blocking(thread.join)
    assert ended == [True]


async def test_audit_output_and_remote_source_are_off_unless_asked_for(caplog: pytest.LogCaptureFixture,
                                                                       capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.INFO)
    async with controller() as (port, _), asyncio_client(port, "camera_rexec") as client:
        await client.add_code("print('out')\ndef f():\n    raise KeyError('x')")
        with pytest.raises(KeyError) as caught:
            await client.call("f")
    assert not caplog.records and capsys.readouterr().out == "out\n"
    trace = "".join(caught.value.parent_traceback)  # type: ignore[attr-defined]
    assert "remote code" in trace and "raise KeyError" not in trace


async def test_audit_output_and_remote_source_when_asked_for(caplog: pytest.LogCaptureFixture,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.INFO)
    code = "import sys, asyncio\nprint('a\\nb', end='')\ndef f():\n    print('bad', file=sys.stderr)\n" \
           "    raise KeyError('x')\nasync def g():\n    print('g1')\n    await asyncio.sleep(0)\n    print('g2')\n"
    async with controller(audit=True, log_output=True, show_source=True) as (port, _):
        async with asyncio_client(port, "camera_rexec") as client:
            await client.add_code(code)
            with pytest.raises(KeyError) as caught:
                await client.call("f")
            await client.call("g")
            assert "    raise KeyError('x')\n" in "".join(caught.value.parent_traceback)  # type: ignore[attr-defined]
            assert any("remote code" in name for name in linecache.cache)
    audit, *rest = [(record.levelname, record.getMessage()) for record in caplog.records]
    found = re.match(r"<remote code \d+ from (127\.0\.0\.1:\d+)>, SHA-256 [0-9a-f]{64}:\n", audit[1])
    assert audit[0] == "INFO" and found and audit[1][found.end():] == code
    own = found[1]
    assert rest == [("INFO", "a"), ("INFO", "b"), ("INFO", f"{own} calls f"), ("WARNING", "bad"),
                    ("INFO", f"{own} calls g"), ("INFO", "g1"), ("INFO", "g2")]
    assert capsys.readouterr() == ("", "")

    def forgotten() -> bool:
        gc.collect()
        return not any("remote code" in name for name in linecache.cache)
    await until(forgotten)


async def test_output_through_a_handler_on_the_replaced_stderr_does_not_run_in_circles(
        capsys: pytest.CaptureFixture[str]) -> None:
    class Late(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            sys.stderr.write(record.getMessage() + "\n")
    handler = Late()
    logger = logging.getLogger("sipyco.remote_exec")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        async with controller(log_output=True) as (port, _), asyncio_client(port, "camera_rexec") as client:
            await client.add_code("print('x' * 200000)")
            assert capsys.readouterr().err.count("x") == 200000
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


class Database:
    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.connections = 0

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value


async def test_remote_code_reaches_the_dataset_database_through_one_client_for_all_connections() -> None:
    database = Database()
    async with serving({"dataset_db": database, "o'ther": database}) as (_, database_port):
        ready: asyncio.Queue[int] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        stop = threading.Event()

        def run() -> None:  # the remote client blocks, so its controller must not be in our loop
            async def main() -> None:
                async with controller() as (port, namespace):
                    loop.call_soon_threadsafe(ready.put_nowait, port)
                    await asyncio.to_thread(stop.wait)
                for name in ("dataset_db", "other"):
                    namespace[name].close_rpc()
            asyncio.run(main())
        thread = threading.Thread(target=run)
        thread.start()
        port = await ready.get()

        def use() -> None:
            rexecs = [Client("127.0.0.1", port, "camera_rexec", timeout=10) for _ in range(2)]
            for rexec in rexecs:
                connect_global_rpc(rexec, port=database_port, timeout=10)
                connect_global_rpc(rexec, "127.0.0.1", database_port, "o'ther", "other", timeout=10)
                rexec.add_code("def put(key, value):\n dataset_db.set(key, value)\n other.set(key + '2', value)\n"
                               " return id(dataset_db)")
            assert rexecs[0].call("put", "a", 1) == rexecs[1].call("put", "b", 2)
            for bad in ("a b", "x = 1", "", "class", "é;"):
                with pytest.raises(ValueError, match="variable"):
                    connect_global_rpc(rexecs[0], name=bad)
            with pytest.raises(Exception, match="valid target name"):
                connect_global_rpc(rexecs[0], port=database_port, target='"); import os; ("', name="evil")
            for rexec in rexecs:
                rexec.close_rpc()
        try:
            await blocking(use)
        finally:
            stop.set()
            await blocking(thread.join)
    assert database.values == {"a": 1, "a2": 1, "b": 2, "b2": 2}


CONTROLLER = """
import sys
from sipyco.remote_exec import simple_rexec_server_loop
class Driver:
    value = 42
    def ping(self): return True
simple_rexec_server_loop("camera", Driver(), sys.argv[1], int(sys.argv[2]), "a camera", audit=True)
"""


async def test_controller_program_publishes_both_targets_until_terminated() -> None:
    host, port = free_loopback()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CONTROLLER, host, str(port))
    try:
        clients: list[Client] = []

        def connected() -> bool:
            assert process.returncode is None
            try:
                clients.append(Client(host, port, "camera_rexec", timeout=10))
            except ConnectionRefusedError:
                return False
            return True
        await until(connected)

        def use() -> None:
            client = clients[0]
            assert client.get_rpc_id() == (["camera", "camera_rexec"], "a camera")
            client.add_code("def f(): return controller_driver.value")
            assert client.call("f") == 42
            driver = Client(host, port, "camera", timeout=10)
            assert driver.ping()
            driver.terminate()
            driver.close_rpc()
            client.close_rpc()
        await blocking(use)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
