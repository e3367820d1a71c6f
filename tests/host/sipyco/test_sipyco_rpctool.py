import asyncio
import importlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sipyco_peers import port_of

from sipyco.pc_rpc import Server


class Target:
    """What it does."""

    def add(self, a: int, b: Any = 2, *rest: int, c: int = 0, d: int, **more: int) -> int:
        """Adds.

        More.
        """
        return a + b

    def hello(self) -> None:
        pass

    def fail(self) -> None:
        raise KeyError("k")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = Server({"t": Target(), "u": Target()}, "described")
    await server.start("127.0.0.1", 0)
    yield port_of(server)
    await server.stop()


async def tool(port: int, *args: str, text: str = "") -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sipyco.sipyco_rpctool", "127.0.0.1", str(port), *args, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await asyncio.wait_for(process.communicate(text.encode()), 60)
    return process.returncode, out.decode(), err.decode()


async def test_targets_and_methods_are_listed(port: int) -> None:
    assert await tool(port, "list-targets") == (0, "Target(s):   t, u\nDescription: described\n", "")
    assert await tool(port, "list-methods", "-t", "t") == (0, """What it does.

add(a: int, b: Any=2, *rest: int, c: int=0, d: int, **more: int) -> int
    Adds.

    More.

fail() -> None

hello() -> None

""", "")


async def test_methods_are_called_with_python_arguments(port: int) -> None:
    assert await tool(port, "call", "-t", "t", "hello") == (0, "", "")
    status, out, err = await tool(port, "call", "-t", "t", "fail")
    assert (status, out) == (1, "") and "KeyError" in err
    status, _, err = await tool(port, "call", "hello")
    assert status == 1 and "Server has multiple targets: t u" in err
    assert (await tool(port, "nonsense"))[0] == 2


async def test_prompt_has_the_remote_methods_as_names(port: int) -> None:
    text = "x = 1\nx + np.int64(1)\nhello()\nfail()\nunknown\n"
    status, out, _ = await tool(port, "interactive", "-t", "u", text=text)
    assert status == 0 and "(u) " in out and "Remote exception:\nKeyError: \"'k'\"\n" in out
    assert "2" in out


def test_former_module_names_still_work_and_say_so() -> None:
    for old, new, name in (("logging_tools", "logs", "LogParser"), ("asyncio_tools", "tools", "AsyncioServer")):
        with pytest.warns(DeprecationWarning, match=new):
            module = importlib.import_module(f"sipyco.{old}")
        assert getattr(module, name) is getattr(importlib.import_module(f"sipyco.{new}"), name)
