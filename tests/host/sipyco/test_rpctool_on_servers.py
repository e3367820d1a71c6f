"""`sipyco_rpctool`, as installed, on every RPC server that Corelog starts."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from corelog.lab.addresses import free_address
from corelog.lab.system import System
from corelog.testing.fakedevice import FakeDevice

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TOOL = Path(sys.executable).with_name("sipyco_rpctool")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where master, controller manager and log controller run, in front of a model device."""
    address = free_address()
    database = f"""device_db = {{
    "core": {{"type": "local", "module": "corelog.coredevice.core", "class": "Core",
              "arguments": {{"host": "{address}", "ref_period": 1e-9}}}},
    "core_log": {{"type": "controller", "host": "{address}", "port": 1068,
                  "command": "aqctl_corelog -p {{port}} --no-localhost-bind --bind {{bind}} {address}"}},
}}
"""
    folder = tmp_path_factory.mktemp("system")
    async with FakeDevice(host=address, port=1380):
        async with System(folder, database, address=address, board_address=address) as system:
            yield address
            await system.stop()


async def tool(*args: str, text: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        TOOL, *args, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await asyncio.wait_for(process.communicate(text.encode()), 60)
    assert process.returncode == 0, err.decode()
    return out.decode()


SERVERS = {
    "aqctl_corelog": ("1068", {"corelog": ("ping", "ping()", "True")}),
    "ctlmgr": ("3249", {"ctlmgr": ("status", "sorted(status())", "core_log")}),
    "master": ("3251", {"device_db": ("get_device_db", "sorted(get_device_db())", "core_log"),
                        "master_management": ("get_name", "get_name()", None)}),
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", SERVERS)
async def test_every_action_works_on_every_target_of_the_server(address: str, name: str) -> None:
    port, targets = SERVERS[name]
    listed = (await tool(address, port, "list-targets")).splitlines()
    assert listed[0].startswith("Target(s):   ")
    found = listed[0].removeprefix("Target(s):   ").split(", ")
    assert set(targets) <= set(found)
    for target in found:
        selection = ["-t", target]
        methods = re.findall(r"(?m)^([a-z_]+)\(.*\)", await tool(address, port, "list-methods", *selection))
        assert methods == sorted(methods) and methods
        if target not in targets:
            continue
        method, expression, expected = targets[target]
        assert method in methods
        output = await tool(address, port, "call", *selection, method)
        assert expected is None or expected in output
        said = await tool(address, port, "interactive", *selection,
                          text=f"x = {method}()\nprint('type', type(x).__name__)\n{expression}\nno_such_name\n")
        assert f"({target}) " in said and re.search(r"type \w+", said)
    if len(found) == 1:
        assert await tool(address, port, "list-methods") == await tool(address, port, "list-methods", "-t", found[0])
        assert "type bool" in await tool(address, port, text="print('type', type(ping()).__name__)\n")
