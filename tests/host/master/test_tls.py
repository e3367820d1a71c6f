"""Master, controller manager and client over TLS with self-signed certificates."""

import asyncio
import signal
import subprocess
from pathlib import Path

import pytest

from corelog.lab.program import Program, executable
from support.certificates import make_certificate
from support.conditions import eventually
from support.management import management

ALLOWED, STRANGER = "client", "stranger"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("master", ALLOWED, STRANGER):
        make_certificate(folder / f"{name}.pem", folder / f"{name}.key")
    return folder


def options(folder: Path, own: str, peer: str) -> list[str]:
    return ["--ssl", str(folder / f"{own}.pem"), str(folder / f"{own}.key"), str(folder / f"{peer}.pem")]


async def test_log_and_control_pass_over_tls_and_a_stranger_gets_nothing(tmp_path: Path, certificates: Path) -> None:
    async with management(tmp_path) as system:
        def client(who: str, *action: str) -> Program:
            return Program(who, ["corelog", "client", "-s", system.address, *options(certificates, who, "master"),
                                 *action])

        system.controller("talker", """
            say("ERROR:talker:up")
            while True:
                signal.sigtimedwait([signal.SIGUSR1], 0.1)
                say("ERROR:talker:again")
        """)
        system.write_device_db()
        system.master = system.make_master(*options(certificates, "master", ALLOWED))
        await system.master.start()
        shown = client(ALLOWED, "show", "log")
        await shown.start()
        system.ctlmgr = system.make_ctlmgr(*options(certificates, ALLOWED, "master"))
        await system.ctlmgr.start()

        async def arrived() -> bool:
            return any(line.endswith("talker:again") for line in shown.lines)

        await eventually(arrived, 20, "a record over TLS")
        await shown.stop()
        for action in (["scan-devices"], ["terminate"]):
            stranger = client(STRANGER, *action)
            await stranger.start()
            assert await stranger.wait(20) == 1
        plain = Program("plain", ["corelog", "client", "-s", system.address, "terminate"])
        await plain.start()
        assert await plain.wait(40) == 1
        assert "--ssl" in plain.last_line()
        assert system.master.running
        friend = client(ALLOWED, "terminate")
        await friend.start()
        assert await friend.wait(20) == 0
        assert await system.master.wait(10) == 0


@pytest.mark.parametrize("action", [["ls"], ["show", "schedule"], ["show", "log"], ["show", "log", "--since", "1h"]])
async def test_client_with_tls_is_told_that_the_master_may_have_none(
        tmp_path: Path, certificates: Path, action: list[str]) -> None:
    async with management(tmp_path) as system:
        system.write_device_db()
        await system.master.start()
        program = Program("client", ["corelog", "client", "-s", system.address,
                                     *options(certificates, ALLOWED, "master"), *action])
        await program.start()
        assert await program.wait(40) == 1
        assert "no proper answer from the master" in program.last_line() and "--ssl" in program.last_line()


@pytest.mark.parametrize("program", [["master"], ["ctlmgr"], ["client", "ls"], ["client", "show", "log"], ["doctor"]])
def test_files_that_are_none_for_tls_are_named_at_once(
        tmp_path: Path, certificates: Path, program: list[str]) -> None:
    (tmp_path / "device_db.py").write_text("device_db = {}\n")
    certificate, key, peer = options(certificates, "master", ALLOWED)[1:]
    for files, said in (((certificate, "absent.key", peer), "--ssl: absent.key: No such file or directory"),
                        ((key, certificate, peer), "these are not a certificate, its key")):
        done = subprocess.run([executable("corelog"), *program, "--ssl", *files], cwd=tmp_path,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and said in done.stderr
        assert len(done.stderr.splitlines()) == 1 and not done.stdout


async def test_forwarded_records_are_not_readable_on_the_wire(tmp_path: Path, certificates: Path) -> None:
    async with management(tmp_path) as system:
        seen = bytearray()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                seen.extend(data)
            writer.close()

        listener = await asyncio.start_server(relay, system.address, 1066)
        system.ctlmgr = system.make_ctlmgr(*options(certificates, ALLOWED, "master"))
        await system.ctlmgr.start()

        async def something() -> bool:
            return bool(seen)

        await eventually(something, 10, "bytes from the log forwarder")
        assert seen[0] == 0x16 and b"ARTIQ logging" not in seen  # a TLS handshake record
        listener.close()


async def test_ctrl_c_ends_a_client_whose_master_does_not_answer(tmp_path: Path, certificates: Path) -> None:
    async with management(tmp_path) as system:
        connected = asyncio.Event()

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.set()
            await reader.read()
            writer.close()

        listener = await asyncio.start_server(say_nothing, system.address, 1067, limit=1 << 20)
        shown = Program("client", ["corelog", "client", "-s", system.address, "show", "log",
                                   *options(certificates, ALLOWED, "master")])
        await shown.start()
        async with asyncio.timeout(20):
            await connected.wait()
        shown.signal(signal.SIGINT)
        assert await shown.wait(10) == 0
        listener.close()
