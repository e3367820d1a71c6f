"""`corelog doctor` on set-ups that are well and ill."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from corelog.frontend import doctor
from corelog.frontend.doctor_checks import Finding, controllers
from corelog.lab.program import Program
from corelog.testing.fakedevice import FakeDevice, Faults
from sipyco.pc_rpc import Server
from support.conditions import eventually
from support.management import SCRIPT_HEAD, Management, management

DRIVER = """
from sipyco.pc_rpc import simple_server_loop
class Driver:
    def ping(self):
        return True
simple_server_loop({"driver": Driver(), "other": Driver()}, sys.argv[1], int(sys.argv[2]))
"""


async def findings(system: Management, *options: str) -> tuple[int, list[str]]:
    program = Program("doctor", ["corelog", "doctor", "-s", system.address, "--ctlmgr", system.address, *options],
                      cwd=system.directory)
    await program.start()
    return await program.wait(60), list(program.lines)


async def running(system: Management, name: str, state: str) -> None:
    async def there() -> bool:
        return bool((await system.status(name))["state"] == state)

    await eventually(there, 20, f"{name} {state}")


def core(system: Management) -> dict[str, Any]:
    return {"type": "local", "module": "m", "class": "C", "arguments": {"host": system.address}}


async def test_set_up_that_is_well_has_no_problem(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("good", DRIVER, head=SCRIPT_HEAD, target_name="driver")
        system.controllers["aux"] = {"type": "controller_aux_target", "controller": "good", "target_name": "other"}
        system.controllers["core"] = core(system)
        async with FakeDevice(host=system.address, port=1380):
            await system.start()
            await running(system, "good", "running")

            async def serves() -> bool:
                try:
                    async with system.rpc(system.ports, "driver"):
                        return True
                except OSError:
                    return False

            await eventually(serves, 20, "the controller's port")
            status, lines = await findings(system)
        assert (status, lines[-1]) == (0, "no problem found"), lines
        text = "\n".join(lines)
        for expected in ("ok       device database device_db.py: 3 entries", f"ok       master at {system.address}",
                         f"ok       controller manager at {system.address}: 1 controllers",
                         f"ok       controller good at {system.address} port {system.ports}: driver, other",
                         f"ok       core device at {system.address}: firmware fake;firmware, gateware fake;gateware"):
            assert expected in text
        assert "its firmware fake" in text and "differs" not in text


async def test_nothing_runs_and_each_part_says_how_to_start_it(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("absent", "")
        system.controllers["core"] = core(system)
        system.controllers["lost"] = "nowhere"  # type: ignore[assignment]
        system.write_device_db()
        status, lines = await findings(system)
        assert status == 1 and lines[-1] == "5 problems"
        text = "\n".join(lines)
        for expected in ("no device 'nowhere'", "-> start it: corelog master", "-> start it: corelog ctlmgr",
                         "-> its controller manager starts it", "port 1380 refuses connections"):
            assert expected in text


async def test_controller_that_fails_is_shown_with_its_last_words(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        system.controller("failing", 'say("no such serial port"); sys.exit(3)', retry_timer=100.0)
        await system.start()
        await running(system, "failing", "waiting for restart")
        status, lines = await findings(system)
        assert status == 1
        assert any("controller failing is waiting for restart after 0 restarts, last exit status 3: "
                   "no such serial port" in line for line in lines)


async def test_database_that_the_master_has_not_read_is_said(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await system.start()
        (tmp_path / "device_db.py").write_text("device_db = {'new': {'type': 'dummy'}}")
        status, lines = await findings(system)
        assert status == 0
        assert any("the master's device database differs in: new" in line for line in lines)
        assert any("let it read it again: corelog client scan-devices" in line for line in lines)


async def test_broken_database_leaves_the_rest_to_be_looked_at(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await system.start()
        (tmp_path / "device_db.py").write_text("device_db = {")
        status, lines = await findings(system)
        assert status == 1 and lines[-1] == "1 problem"
        assert "line 1" in lines[0] and any(line.startswith("ok       master") for line in lines)


async def test_other_programs_on_the_ports_are_recognised(tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with management(tmp_path) as system:
        system.write_device_db()
        listener = await asyncio.start_server(hang_up, system.address, 3251)
        mute = await asyncio.start_server(say_nothing, system.address, 3249)
        status, lines = await findings(system, "--timeout", "0.5")
        for server in (listener, mute):
            server.close()
        assert status == 1
        text = "\n".join(lines)
        assert "port 3251: what listens there does not speak the RPC protocol" in text
        assert "port 3249: no answer" in text


class Driver:
    def __init__(self, answer: Any):
        self.answer = answer

    def ping(self) -> Any:
        return self.answer


@pytest.mark.parametrize(("targets", "entry", "said"), [
    ({"a": Driver(False)}, {}, "ping() says False"),
    ({"a": Driver(True)}, {"target_name": "b"}, "has no target b, only a"),
    ({"a": Driver(True), "b": Driver(True)}, {}, "has several targets: a, b"), ({"a": object()}, {}, "has no ping()"),
    ({"a": Driver(True)}, {"simple_ssl_config": {"client_cert": "{DIR}"}}, "has the placeholder {DIR}"),
    ({"a": Driver(True)}, {"aux": "z"}, "has no target z, only a")])
async def test_controllers_that_answer_wrongly(targets: dict[str, Any], entry: dict[str, Any], said: str) -> None:
    server = Server(targets)
    await server.start("127.0.0.1", 0)
    database: dict[str, Any] = {"c": {"type": "controller", "host": "127.0.0.1",
                                      "port": server.asyncio_server.sockets[0].getsockname()[1], **entry}}
    if "aux" in entry:
        database["x"] = {"type": "controller_aux_target", "controller": "c", "target_name": entry["aux"]}
    found = await controllers(database, 5.0)
    await server.stop()
    assert len(found) == 1 and said in found[0].text and found[0].advice


@pytest.mark.parametrize(("faults", "said"), [
    (Faults(old="close"), "does not tell its versions"), (Faults(old="error"), "does not tell its versions"),
    (Faults(mute=True), "cannot be reached: ")])
async def test_core_devices_of_other_kinds(tmp_path: Path, faults: Faults, said: str) -> None:
    from corelog.frontend.doctor_checks import core_device

    async with management(tmp_path) as system:
        async with FakeDevice(host=system.address, port=1380, faults=faults):
            found: list[Finding] = await core_device({"core": core(system)}, 1.0)
    assert len(found) == 1 and said in found[0].text


def test_parser_is_there_for_the_manual() -> None:
    assert doctor.get_argparser().prog == "corelog doctor"
