"""The POSIX classes as they are; the Windows classes with named pipes made of Unix sockets and a terminal."""

import asyncio
import os
import sys
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sipyco_peers import until

from sipyco import _pipe_windows
from sipyco.pipe_ipc import AsyncioChildComm, AsyncioParentComm, ChildComm

ECHO = """
import sys
from sipyco.pipe_ipc import ChildComm
comm = ChildComm(sys.argv[1])
while line := comm.readline():
    comm.write(line.upper())
comm.write(b"end of input")
comm.close()
"""

ASYNC_ECHO = """
import asyncio, sys
from sipyco.pipe_ipc import AsyncioChildComm
async def main():
    comm = AsyncioChildComm(sys.argv[1])
    await comm.connect()
    while line := await comm.readline():
        comm.write(line.upper())
        await comm.drain()
    comm.write(b"end of input")
    comm.close()
asyncio.run(main())
"""


async def start(code: str, **kw: Any) -> AsyncioParentComm:
    comm = AsyncioParentComm()
    await comm.create_subprocess(sys.executable, "-c", code, comm.get_address(), **kw)
    return comm


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, 20)


async def closed(comm: AsyncioParentComm) -> None:
    """Without anyone asking for it."""
    assert comm._end is not None
    await soon(asyncio.shield(comm._end))
    await asyncio.sleep(0)  # the transports close their files


@pytest.mark.parametrize("code", [ECHO, ASYNC_ECHO], ids=["ChildComm", "AsyncioChildComm"])
async def test_lines_of_any_size_go_both_ways_and_closing_ends_the_child(code: str) -> None:
    comm = await start(code)
    for line in (b"abc\n", b"\x00\xff\n", b"z" * 3_000_000 + b"\n"):
        comm.write(line)
        sending = asyncio.create_task(comm.drain())
        assert await soon(comm.readline()) == line.upper()
        await soon(sending)
    comm._writer.close()  # type: ignore[union-attr]
    assert await soon(comm.read(3)) == b"end"
    assert await soon(comm.readline()) == b" of input"
    assert await soon(comm.readline()) == b"" and await soon(comm.process.wait()) == 0
    await closed(comm)


async def test_what_a_child_wrote_before_it_was_killed_is_read_and_then_the_end() -> None:
    comm = await start("import sys, os, signal\nfrom sipyco.pipe_ipc import ChildComm\n"
                       "ChildComm(sys.argv[1]).write(b'x' * 50000 + b'\\nlast')\nos.kill(os.getpid(), signal.SIGKILL)")
    assert await soon(comm.process.wait()) == -9
    assert [len(await soon(comm.readline())) for _ in range(3)] == [50001, 4, 0]
    with pytest.raises(OSError):
        for _ in range(100):
            comm.write(b"x" * 65536)
            await soon(comm.drain())
    await closed(comm)


async def test_channel_closes_with_the_child_although_its_own_child_holds_it_open() -> None:
    comm = await start("import os, sys\nfrom sipyco.pipe_ipc import ChildComm\nChildComm\n"
                       "fds = [int(fd) for fd in sys.argv[1].split(',')]\nos.write(fds[1], b'said')\n"
                       "if os.fork():\n    os._exit(0)\nos.read(0, 1)",
                       stdin=asyncio.subprocess.PIPE)
    assert await soon(comm.readline()) == b"said"
    assert comm.process.returncode == 0
    assert comm.process.stdin is not None
    comm.process.stdin.close()  # ends the grandchild
    await closed(comm)


async def test_parent_leaves_no_file_open_and_its_children_inherit_no_other(tmp_path: Path) -> None:
    def fds() -> set[str]:
        return set(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):  # what asyncio needs for child processes is set up by this one
        await AsyncioParentComm().create_subprocess(str(tmp_path / "none"))
    before = fds()
    for _ in range(3):
        comm = AsyncioParentComm()
        with pytest.raises(FileNotFoundError):
            await comm.create_subprocess(str(tmp_path / "none"))
    unused = AsyncioParentComm()
    unused.close()
    comm = await start("import os, sys\nfrom sipyco.pipe_ipc import ChildComm\n"
                       "ChildComm(sys.argv[1]).write(repr(sorted(os.listdir('/proc/self/fd'), key=int)).encode())")
    inherited = await soon(comm.readline())
    assert inherited.count(b"'") == 2 * 6, inherited  # the three standard ones, the channel's two, the folder's
    with pytest.raises(RuntimeError):
        await comm.create_subprocess("true")
    await closed(comm)
    await until(lambda: fds() <= before, what="all files closed")


async def test_addresses_are_as_documented_and_others_refused() -> None:
    comm = AsyncioParentComm()
    reads, writes = comm.get_address().split(",")
    assert int(reads) != int(writes)
    with pytest.raises(ConnectionError):
        comm.write(b"x")
    comm.close()
    for bad in ("", "1", "a,b", "1,2,3"):
        with pytest.raises(ValueError, match="address"):
            ChildComm(bad)
        with pytest.raises(ValueError, match="address"):
            await AsyncioChildComm(bad).connect()


# -- Windows


class _Listener:
    def __init__(self, server: asyncio.Server) -> None:
        self._server = server

    def close(self) -> None:
        self._server.close()


class PipeLoop(asyncio.SelectorEventLoop):
    """Has the two methods for named pipes that the proactor loop has on Windows."""

    folder: Path

    def path(self, address: str) -> str:
        return str(self.folder / address.rsplit("\\", 1)[1])

    async def start_serving_pipe(self, factory: Callable[[], asyncio.Protocol], address: str) -> list[_Listener]:
        return [_Listener(await self.create_unix_server(factory, self.path(address)))]

    async def create_pipe_connection(self, factory: Callable[[], asyncio.Protocol], address: str) -> Any:
        return await self.create_unix_connection(factory, self.path(address))


@pytest.fixture
def pipes(tmp_path: Path) -> Iterator[Callable[[Any], Any]]:
    loop = PipeLoop()
    loop.folder = tmp_path
    if sys.version_info < (3, 12):  # later versions watch the children of any loop
        policy = asyncio.get_event_loop_policy()
        previous = policy.get_child_watcher()
        policy.set_child_watcher(asyncio.ThreadedChildWatcher())
    yield lambda main: loop.run_until_complete(asyncio.wait_for(main, 30))
    if sys.version_info < (3, 12):
        policy.set_child_watcher(previous)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def test_windows_parent_keeps_what_is_written_until_the_child_connects_and_ignores_a_second_one(pipes: Any) -> None:
    async def main() -> None:
        parent = _pipe_windows.AsyncioParentComm()
        assert parent.get_address().startswith(f"\\\\.\\pipe\\sipyco-{os.getpid()}-")
        parent.write(b"early ")
        await parent.create_subprocess("cat", stdin=asyncio.subprocess.PIPE)
        parent.write(b"bird\n")
        child = _pipe_windows.AsyncioChildComm(parent.get_address())
        await child.connect()
        assert await child.readline() == b"early bird\n"
        second = _pipe_windows.AsyncioChildComm(parent.get_address())
        await second.connect()
        assert await second.readline() == b""
        second.close()
        child.write(b"answer\nrest")
        await child.drain()
        assert await parent.readline() == b"answer\n"
        parent.write(b"more\n")
        await parent.drain()
        assert await child.readline() == b"more\n"
        child.close()
        assert parent.process.stdin is not None
        parent.process.stdin.close()
        assert await parent.read(100) == b"rest" and await parent.readline() == b""
        assert parent._end is not None
        await parent._end
        with pytest.raises(OSError):
            while True:
                parent.write(b"x")
                await parent.drain()
    pipes(main())


def test_windows_parent_stops_waiting_when_the_child_exits_without_connecting(pipes: Any, tmp_path: Path) -> None:
    async def main() -> None:
        parent = _pipe_windows.AsyncioParentComm()
        await parent.create_subprocess("true")
        parent.write(b"lost")
        assert await parent.readline() == b"" and await parent.read(1) == b""
        with pytest.raises(ConnectionError):
            await parent.drain()
        with pytest.raises(ConnectionError):
            parent.write(b"x")
        failing = _pipe_windows.AsyncioParentComm()
        with pytest.raises(FileNotFoundError):
            await failing.create_subprocess(str(tmp_path / "none"))
        with pytest.raises(RuntimeError):
            await failing.create_subprocess("true")
        with pytest.raises(FileNotFoundError):
            await _pipe_windows.AsyncioChildComm("\\\\.\\pipe\\none").connect()
    pipes(main())


def test_windows_child_reads_and_writes_the_file_that_the_address_names() -> None:
    ours, terminal = os.openpty()
    tty.setraw(terminal)
    child = _pipe_windows.ChildComm(os.ttyname(terminal))
    os.write(ours, b"one\ntwo\nth")
    assert child.readline() == b"one\n" and child.readline() == b"two\n" and child.read(1) == b"t"
    assert child.read(5) == b"h"
    child.write(b"answer\n")
    assert os.read(ours, 100) == b"answer\n"
    child.close()
    os.close(terminal)
    os.close(ours)
