"""Master and client as real processes: ports, targets, notifications, log, options."""

import asyncio
import contextlib
import datetime
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from corelog.lab.program import Program
from sipyco import pyon
from sipyco.broadcast import Receiver
from sipyco.pc_rpc import AsyncioClient
from sipyco.sync_struct import Subscriber
from support.conditions import eventually
from support.management import MASTER_READY, Management, management

LOG = b"ARTIQ logging\n"
DEVICE_DB = {"core": {"type": "local", "module": "m", "class": "C", "arguments": {"host": "192.0.2.1"}},
             "alias": "core", "lost": "nowhere"}


@contextlib.asynccontextmanager
async def log_input(system: Management) -> Any:
    _, writer = await asyncio.open_connection(system.address, 1066)
    writer.write(LOG)
    yield writer
    writer.close()
    await writer.wait_closed()


async def start_master(system: Management, *options: str) -> None:
    system.master = system.make_master(*options)
    (system.directory / "device_db.py").write_text(f"device_db = {DEVICE_DB!r}\n")
    await system.master.start()
    await system.listen()


async def client(system: Management, *arguments: str) -> Program:
    program = Program("client", ["corelog", "client", "-s", system.address, *arguments], cwd=system.directory)
    await program.start()
    return program


async def until_lines(program: Program, text: str) -> None:
    async def there() -> bool:
        return any(text in line for line in program.lines)

    await eventually(there, 10, f"{text!r} in the output of {program.name}")


async def test_control_port_has_all_targets_and_only_their_methods(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start_master(system, "--name", "lab 1")
        control = AsyncioClient()
        await control.connect_rpc(system.address, 3251, None)
        assert control.get_rpc_id()[0] == [
            "dataset_db", "device_db", "experiment_db", "interactive_arg_db", "log_store", "master_management",
            "schedule"]
        await control.select_rpc_target("master_management")
        assert await control.get_name() == "lab 1"
        await control.close_rpc()
        async with system.rpc(3251, "device_db") as devices:
            assert await devices.get_device_db() == DEVICE_DB
            assert await devices.get("alias") == "core"
            assert await devices.get("alias", resolve_alias=True) == DEVICE_DB["core"]
            with pytest.raises(KeyError):
                await devices.get("nobody")
            with pytest.raises(AttributeError):
                await devices.notifier()


async def test_scan_publishes_what_changed_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start_master(system)
        seen: list[dict[str, Any]] = []
        mirror: dict[str, Any] = {}
        changed = asyncio.Event()

        def build(struct: dict[str, Any]) -> dict[str, Any]:
            mirror.update(struct)
            return mirror

        def note(mod: dict[str, Any]) -> None:
            seen.append(mod)
            changed.set()

        subscriber = Subscriber("devices", build, note)
        await subscriber.connect(system.address, 3250)
        async with asyncio.timeout(10):
            await changed.wait()
        assert mirror == DEVICE_DB
        changed.clear()
        file = tmp_path / "device_db.py"
        file.write_text("device_db = {")
        failed = await client(system, "scan-devices")
        assert await failed.wait(10) == 1
        assert "line 1" in failed.last_line()
        file.write_text(f"device_db = {DEVICE_DB | {'alias': 'lost'}!r}\n")
        assert await (await client(system, "scan-devices")).wait(10) == 0
        async with asyncio.timeout(10):
            await changed.wait()
        await subscriber.close()
        assert seen[1:] == [{"action": "setitem", "path": [], "key": "alias", "value": "lost"}]


async def test_problems_of_the_device_database_are_in_the_log(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start_master(system)
        await until_lines(system.master, "no device 'nowhere'")


async def test_network_records_are_broadcast_with_their_source_and_time_of_arrival(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start_master(system)
        async with log_input(system) as writer:
            writer.write(b"worker(3,x.py):ERROR:a.b:text: with colons\n"
                         b"controller(c):DEBUG<2>:n:first\nsecond\n")
            entry = await system.seen("second")
        assert (entry.level, entry.source, entry.text) == (10, "controller(c)", "n:first\nsecond")
        first = await system.seen("a.b:")
        assert (first.level, first.source, first.text) == (40, "worker(3,x.py)", "a.b:text: with colons")
        assert abs(entry.time - datetime.datetime.now().timestamp()) < 10
        await until_lines(system.master, "ERROR:worker(3,x.py):a.b:text: with colons")


async def test_client_shows_the_log_and_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start_master(system)
        shown = await client(system, "show", "log")
        async with log_input(system) as writer:
            async def appears() -> bool:  # the client may connect after a record was sent
                writer.write(b"controller(core_log):ERROR:firmware.runtime.rtio:RTIO collision\n")
                return any("RTIO collision" in line for line in shown.lines)

            await eventually(appears, 10, "the record in the client's output")
        level, source, date, clock, rest = next(x for x in shown.lines if "collision" in x).split(" ", 4)
        assert (level, source, rest) == ("ERROR", "controller(core_log)", "firmware.runtime.rtio:RTIO collision")
        datetime.datetime.strptime(f"2000/{date} {clock}", "%Y/%m/%d %H:%M:%S")
        shown.signal(signal.SIGINT)
        assert await shown.wait(10) == 0
        assert not any("Traceback" in line for line in shown.lines)


async def test_client_options_are_understood_before_and_after_the_action(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start_master(system)
        for arguments in (["-s", system.address, "--port", "3251", "scan-devices"],
                          ["scan-devices", "--port", "3251", "-s", system.address]):
            program = Program("client", ["corelog", "client", *arguments])
            await program.start()
            assert await program.wait(10) == 0, program.lines
        devices = await client(system, "show", "devices")
        await until_lines(devices, "192.0.2.1")
        devices.signal(signal.SIGTERM)
        assert await devices.wait(10) == 0


async def test_client_says_when_the_master_is_not_there_or_goes_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        for action in (["show", "log"], ["scan-devices"], ["terminate"]):
            program = await client(system, *action)
            assert await program.wait(10) == 1
            assert "is it running? (corelog master)" in program.last_line()
        await start_master(system)
        shown = await client(system, "show", "devices")
        await until_lines(shown, "192.0.2.1")
        await system.master.stop()
        await until_lines(shown, "the master has gone; trying again")
        (tmp_path / "device_db.py").write_text('device_db = {"came_later": "192.0.2.99"}\n')
        await system.master.start()
        await until_lines(shown, "came_later")
        assert shown.running
        await shown.stop()


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGHUP", "terminate"])
async def test_master_ends_with_status_0_by_signal_and_by_rpc_with_clients_connected(tmp_path: Path, how: str) -> None:
    async with management(tmp_path) as system:
        await start_master(system)
        async with log_input(system):
            if how == "terminate":
                assert await (await client(system, "terminate")).wait(10) == 0
            else:
                system.master.signal(getattr(signal, how))
            assert await system.master.wait(10) == 0
        assert MASTER_READY in system.master.lines


async def test_ready_line_comes_when_every_port_listens(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start_master(system)
        for port in (1066, 1067, 3250, 3251):
            _, writer = await asyncio.open_connection(system.address, port)
            writer.close()
            await writer.wait_closed()


async def test_port_that_is_taken_ends_the_master_with_one_line(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        (tmp_path / "device_db.py").write_text("device_db = {}\n")
        with socket.create_server((system.address, 3250)):
            master = system.make_master()
            master.ready = None
            await master.start()
            assert await master.wait(10) == 1
        assert "is another master running?" in master.last_line()
        assert MASTER_READY not in master.lines


async def test_second_master_in_a_directory_is_refused_whatever_its_files_are(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start_master(system)
        second = system.make_master("--log-store", "other.sqlite", "--dataset-db", "other.mdb")
        second.ready = None
        await second.start()
        assert await second.wait(10) == 1
        error, = (line for line in second.lines if "error: cannot have this directory" in line)
        assert "is another master running?" in error


async def test_missing_device_database_ends_the_master_with_one_line(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        master = system.make_master("--device-db", "absent.py")
        master.ready = None
        await master.start()
        assert await master.wait(10) == 1
        assert "absent.py does not exist" in master.last_line()


async def test_log_file_has_the_records_with_their_time(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start_master(system, "--log-file", "master.log")
        async with log_input(system) as writer:
            writer.write(b"controller(c):WARNING:name:text\nx:INFO<2>:n:one\ntwo\n")
            await system.seen("two")
        await system.tap.close()
        await system.master.stop()
        lines = (tmp_path / "master.log").read_text().splitlines()
        found = next(line for line in lines if "name:text" in line)
        assert found[24:] == "WARNING:controller(c):name:text"
        datetime.datetime.strptime(found[:23], "%Y-%m-%d %H:%M:%S,%f")
        at = next(i for i, line in enumerate(lines) if "INFO<2>:x:n:one" in line)
        assert lines[at + 1] == "two"


@pytest.mark.timing
async def until_broadcast(system: Management, text: str) -> None:
    """What the store has, was broadcast; whether a client has read it or will be told that it missed it."""
    async with asyncio.timeout(60), system.rpc(3251, "log_store") as store:
        page: dict[str, Any] = {"next": 0, "records": []}
        while not page["records"]:
            page = await store.read(page["next"], 1, 5.0, contains=text)


async def test_client_that_reads_too_slowly_is_told_in_place_exactly_what_it_missed(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start_master(system, "-qqqq")
        total = count = 400_000
        with socket.create_connection((system.address, 1067), timeout=10) as stalled, stalled.makefile("rb") as lines:
            stalled.sendall(b"ARTIQ broadcast\nlog\n")
            async with log_input(system) as writer:
                for begin in range(0, count, 1000):
                    writer.write(b"".join(b"s:WARNING:n:%d %s\n" % (i, b"." * 200) for i in range(begin, begin + 1000)))
                    await writer.drain()
                await until_broadcast(system, f"n:{count - 1} ")
                # A loss stands before the next record: further ones are written until one comes through.
                received: list[tuple[int, str, float, str]] = []
                while not received or number(received[-1]) < total:
                    if len(received) % 1000 == 0:
                        writer.write(b"s:WARNING:n:%d x\n" % count)
                        count += 1
                        await writer.drain()
                    received.append(pyon.decode((await asyncio.to_thread(lines.readline)).decode()))
        stalled_lost = check_sequence(received)
        assert stalled_lost > 0
        check_sequence([(e.level, e.source, e.time, e.text) for e in system.tap.entries if e.source != "probe"])
        print(f"stalled client: {len(received)} received, {stalled_lost} declared lost")


def number(entry: tuple[int, str, float, str]) -> int:
    return int(entry[3][2:].split()[0]) if entry[1] == "s" else -1


def check_sequence(received: list[tuple[int, str, float, str]]) -> int:
    """Every gap in the numbers is declared where it is, with its exact size. Returns how many were lost."""
    lost = 0
    expected = number(received[0])
    for entry in received:
        if entry[1] == "master":
            missing = int(entry[3].split(":")[1].split()[0])
            assert entry[0] == 30 and missing > 0
            lost += missing
            expected += missing
        else:
            assert number(entry) == expected
            expected += 1
    return lost


def test_console_that_does_not_read_does_not_stop_the_master(tmp_path: Path) -> None:
    (tmp_path / "device_db.py").write_text("device_db = {}\n")

    async def check() -> None:
        async with management(tmp_path) as system:
            read, write = os.pipe()
            process = subprocess.Popen([system.master_path(), "master", "-v", "--bind", system.address,
                                        "--no-localhost-bind"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=write)
            os.close(write)
            try:
                assert process.stdout is not None
                assert await asyncio.to_thread(process.stdout.readline) == MASTER_READY.encode() + b"\n"
                await system.listen()
                async with log_input(system) as writer:
                    writer.write(b"s:ERROR:n:text\n" * 30_000 + b"s:ERROR:n:end\n")
                    await system.seen("n:end")
            finally:
                process.terminate()
                assert await asyncio.to_thread(process.wait, 20) == 0
                process.stdout.close()
                os.close(read)

    asyncio.run(check())


async def test_receiver_of_the_ecosystem_understands_the_broadcast(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await start_master(system)
        got: asyncio.Queue[Any] = asyncio.Queue()
        receiver = Receiver("log", got.put_nowait)
        await receiver.connect(system.address, 1067)
        async with log_input(system) as writer:
            async def heard() -> bool:
                writer.write(b"a:ERROR:b:c\n")
                return not got.empty()

            await eventually(heard, 10, "a broadcast")
        message = got.get_nowait()
        await receiver.close()
        assert isinstance(message, tuple) and message[:2] == (40, "a") and message[3] == "b:c"
