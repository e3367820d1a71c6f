"""Small programs as a user of the original writes them from its manual, each in processes of its own."""

import asyncio
import sys
from pathlib import Path

import pytest
from sipyco_peers import free_loopback

RPC_SERVER = """
import sys
from sipyco.pc_rpc import simple_server_loop
class Hello:
    def message(self, msg):
        print("message: " + msg, flush=True)
    async def add(self, a, b):
        return a + b
print("starting", flush=True)
simple_server_loop({"hello": Hello()}, sys.argv[1], int(sys.argv[2]))
"""

RPC_CLIENT = """
import sys
from sipyco.pc_rpc import Client
def main():
    remote = Client(sys.argv[1], int(sys.argv[2]), "hello")
    try:
        remote.message("Hello World!")
        print(remote.add(1, b=2))
    finally:
        remote.close_rpc()
main()
"""

RPC_ASYNC_CLIENT = """
import asyncio, sys
from sipyco.pc_rpc import AsyncioClient
async def main():
    remote = AsyncioClient()
    await remote.connect_rpc(sys.argv[1], int(sys.argv[2]), "hello")
    try:
        await remote.message("again")
        print(await asyncio.wait_for(remote.add("a", "b"), 10))
        try:
            await remote.add(1, "b")
        except TypeError as e:
            print("TypeError")
        await remote.terminate()
    finally:
        await remote.close_rpc()
asyncio.run(main())
"""

BEST_EFFORT = """
import sys, logging
from sipyco.pc_rpc import BestEffortClient
from sipyco.fire_and_forget import FFProxy
logging.basicConfig(level=logging.CRITICAL)
client = BestEffortClient(sys.argv[1], int(sys.argv[2]), "hello", firstcon_timeout=0.5, retry=0.1)
print(client.message("nobody is there"))
proxy = FFProxy(client)
print(proxy.message("x"))
proxy.ff_join()
client.close_rpc()
"""

SYNC = """
import asyncio, sys
from sipyco.sync_struct import Notifier, Publisher, Subscriber
async def main():
    notifier = Notifier({"a": [1, {"b": []}], 5: "int"})
    publisher = Publisher({"x": notifier})
    await publisher.start(sys.argv[1], int(sys.argv[2]))
    ended = asyncio.Event()
    local = None
    def build(init):
        nonlocal local
        local = init
        return init
    def changed(mod):
        print(mod["action"], flush=True)
        if local.get(5) == "end":
            ended.set()
    subscriber = Subscriber("x", build, changed)
    await subscriber.connect(sys.argv[1], int(sys.argv[2]))
    while local is None:
        await asyncio.sleep(0)
    notifier["a"][1]["b"].append(1)
    notifier["a"][1]["b"].insert(0, (2, 3))
    print(notifier["a"][1]["b"].pop(), flush=True)
    del notifier["a"][0]
    notifier[5] = "end"
    await ended.wait()
    print(local, local == notifier.raw_view)
    await subscriber.close()
    await publisher.stop()
asyncio.run(main())
"""

BROADCAST = """
import asyncio, sys
from sipyco.broadcast import Broadcaster, Receiver
async def main():
    broadcaster = Broadcaster()
    await broadcaster.start(sys.argv[1], int(sys.argv[2]))
    got = asyncio.Queue()
    receiver = Receiver("news", got.put_nowait)
    await receiver.connect(sys.argv[1], int(sys.argv[2]))
    while got.empty():
        broadcaster.broadcast("news", (1, "two", {3.0}))
        await asyncio.sleep(0.01)
    print(await got.get())
    await receiver.close()
    await broadcaster.stop()
asyncio.run(main())
"""

LOGS = """
import argparse, asyncio, logging, sys
from sipyco import common_args
from sipyco.logs import LogForwarder, LogParser, MultilineFormatter, Server, SourceFilter, log_with_name
class Print(logging.Handler):
    def emit(self, record):
        if record.source != "here":
            print(record.source, record.levelname, record.name, record.getMessage().replace("\\n", "|"), flush=True)
            done.set()
async def main():
    global done
    done = asyncio.Event()
    parser = argparse.ArgumentParser()
    common_args.verbosity_args(parser)
    common_args.simple_network_args(parser, int(sys.argv[2]))
    args = parser.parse_args(["-v", "--no-localhost-bind", "--bind", sys.argv[1]])
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    printer = Print()
    printer.addFilter(SourceFilter(logging.INFO, "here"))
    root.addHandler(printer)
    server = Server()
    await server.start(common_args.bind_address_from_args(args), args.port)
    forwarder = LogForwarder(sys.argv[1], args.port, reconnect_timer=0.1)
    forwarder.addFilter(SourceFilter(logging.INFO, "there"))
    sender = logging.getLogger("sender")
    sender.propagate = False
    sender.addHandler(forwarder)
    forwarder.start()
    sender.warning("first\\nsecond")
    await done.wait()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c",
        "import logging; from sipyco.logs import multiline_log_config; multiline_log_config(level=logging.INFO);"
        "logging.getLogger('child').info('from the child'); import sys; print('plain', file=sys.stderr)",
        stderr=asyncio.subprocess.PIPE)
    await LogParser(lambda: "child").stream_task(process.stderr)
    await process.wait()
    log_with_name("some.name", logging.ERROR, "message", extra={"source": "elsewhere"})
    await forwarder.stop()
    await server.stop()
asyncio.run(main())
"""

PIPE = """
import asyncio, sys
from sipyco import pyon
from sipyco.pipe_ipc import AsyncioParentComm
CHILD = '''
import sys
from sipyco import pyon
from sipyco.pipe_ipc import ChildComm
ipc = ChildComm(sys.argv[1])
ipc.write((pyon.encode({"got": pyon.decode(ipc.readline().decode())}) + "\\\\n").encode())
ipc.close()
'''
async def main():
    ipc = AsyncioParentComm()
    await ipc.create_subprocess(sys.executable, "-c", CHILD, ipc.get_address())
    ipc.write((pyon.encode((1, {2: b"3"})) + "\\n").encode())
    await ipc.drain()
    print(pyon.decode((await ipc.readline()).decode()), await ipc.process.wait(), await ipc.read(1))
asyncio.run(main())
"""

REXEC_SERVER = """
import sys
from sipyco.remote_exec import simple_rexec_server_loop
class Camera:
    def picture(self):
        return [[1, 2], [3, 4]]
print("starting", flush=True)
simple_rexec_server_loop("camera", Camera(), sys.argv[1], int(sys.argv[2]))
"""

REXEC_CLIENT = """
import inspect, sys
from sipyco.pc_rpc import Client
def total():
    return sum(map(sum, controller_driver.picture()))
rexec = Client(sys.argv[1], int(sys.argv[2]), "camera_rexec")
rexec.add_code("def total():\\n    return sum(map(sum, controller_driver.picture()))\\n")
print(rexec.call("total"))
rexec.close_rpc()
camera = Client(sys.argv[1], int(sys.argv[2]), "camera")
print(camera.picture())
camera.terminate()
camera.close_rpc()
"""

TOOLS = """
import asyncio, os, signal, sys
from sipyco.tools import (AsyncioServer, BackgroundTaskPool, Condition, SignalHandler, TaskObject,
                          atexit_register_coroutine)
class Task(TaskObject):
    async def _do(self):
        await condition.wait()
        print("notified", flush=True)
class Echo(AsyncioServer):
    async def _handle_connection_cr(self, reader, writer):
        writer.write(await reader.readline())
async def body():
    global condition
    condition = Condition()
    task = Task()
    task.start()
    server = Echo()
    await server.start(sys.argv[1], int(sys.argv[2]))
    from sipyco.keepalive import async_open_connection, create_connection
    reader, writer = await async_open_connection(sys.argv[1], int(sys.argv[2]), after_idle=10, interval=5, max_fails=3)
    writer.write(b"echo\\n")
    print(await reader.readline(), flush=True)
    writer.close()
    create_connection(sys.argv[1], int(sys.argv[2]), after_idle=10).close()
    condition.notify()
    await task.task
    await task.stop()
    pool = BackgroundTaskPool()
    pool.create(asyncio.sleep(0))
    handler = SignalHandler()
    handler.setup()
    os.kill(os.getpid(), signal.SIGTERM)
    await handler.wait_terminate()
    handler.teardown()
    await server.stop()
async def last():
    print("last")
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(body())
atexit_register_coroutine(last, loop=loop)
"""

FILES = """
import os, sys
from fractions import Fraction
import numpy as np
from sipyco import pyon
from sipyco.packed_exceptions import GenericRemoteException, current_exc_packed, raise_packed_exc
value = {"a": (1, {2, 3}), "b": np.arange(3), 5: Fraction(1, 3), "c": [None, 1j, slice(1, 2), b"x"]}
name = os.path.join(sys.argv[3], "value.pyon")
pyon.store_file(name, value)
again = pyon.load_file(name)
print(again["a"] == value["a"], again[5], again["b"].tolist(), oct(os.stat(name).st_mode & 0o777))
class Point:
    def __init__(self, x): self.x = x
pyon.register(Point, name="point", encode=lambda p: [pyon.wrap(p.x)], decode=Point)
print(pyon.encode(Point((1, 2))), pyon.decode(pyon.encode(Point((1, 2)))).x)
pyon.deregister(Point, "point")
try:
    try:
        raise KeyError("k")
    except KeyError:
        pack = current_exc_packed()
    raise_packed_exc(pack)
except KeyError as e:
    print("KeyError", len(e.parent_traceback))
"""

ALONE = {
    "best effort and fire_and_forget": (BEST_EFFORT, "None\nNone\n"),
    "sync_struct": (SYNC, "init\n1\nappend\ninsert\npop\ndelitem\nsetitem\n{'a': [{'b': [(2, 3)]}], 5: 'end'} True\n"),
    "broadcast": (BROADCAST, "(1, 'two', {3.0})\n"),
    "logs and common_args": (LOGS, "there WARNING sender first|second\nchild INFO child from the child\n"
                                   "child INFO print plain\nelsewhere ERROR some.name message\n"),
    "pipe_ipc": (PIPE, "{'got': (1, {2: b'3'})} 0 b''\n"),
    "tools and keepalive": (TOOLS, "b'echo\\n'\nnotified\n\nCaught SIGTERM, terminating...\nlast\n"),
    "pyon and packed_exceptions": (FILES, "True 1/3 [0, 1, 2] 0o600\n"
                                          '{"__jsonclass__":["point",[{"__jsonclass__":["tuple",[[1,2]]]}]]} (1, 2)\n'
                                          "KeyError 1\n"),
}
TOGETHER = {
    "pc_rpc": (RPC_SERVER, [(RPC_CLIENT, "3\n"), (RPC_ASYNC_CLIENT, "ab\nTypeError\n")],
               "message: Hello World!\nmessage: again\n"),
    "remote_exec": (REXEC_SERVER, [(REXEC_CLIENT, "10\n[[1, 2], [3, 4]]\n")], ""),
}


async def start(program: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-W", "error", "-c", program, *arguments,
                                                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)


async def outcome(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    try:
        out, err = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("name", ALONE)
async def test_program_written_from_the_manual_does_what_the_manual_says(name: str, tmp_path: Path) -> None:
    program, expected = ALONE[name]
    host, port = free_loopback()
    assert await outcome(await start(program, host, str(port), str(tmp_path))) == (0, expected, "")


@pytest.mark.parametrize("name", TOGETHER)
async def test_server_and_clients_written_from_the_manual_work_together(name: str) -> None:
    server_program, clients, said = TOGETHER[name]
    host, port = free_loopback()
    server = await start(server_program, host, str(port))
    assert server.stdout is not None
    assert await asyncio.wait_for(server.stdout.readline(), 30) == b"starting\n"
    await listening(host, port)
    for program, expected in clients:
        assert await outcome(await start(program, host, str(port))) == (0, expected, "")
    assert await outcome(server) == (0, said, "")


async def listening(host: str, port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            return
