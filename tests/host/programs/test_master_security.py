"""The real master with tokens and audit: whoever has no right gets nothing, and the record says so."""

import json
import subprocess
from pathlib import Path

import pytest

from corelog.frontend import token
from corelog.lab.program import Program
from corelog.master.security import ADMIN_ONLY, SUBMIT, VIEW
from sipyco.pc_rpc import AsyncioClient
from support.certificates import make_certificate
from support.management import Management, management


async def started(directory: Path, *options: str) -> Management:
    system = Management(directory)
    (directory / "repository").mkdir()
    system.write_device_db()
    system.master = system.make_master(*options)
    await system.master.start()
    return system


async def client(system: Management, *arguments: str, secret: str | None = None) -> tuple[int, list[str]]:
    program = Program("client", ["corelog", "client", "-s", system.address, *arguments],
                      env={} if secret is None else {"CORELOG_TOKEN": secret})
    await program.start()
    return await program.wait(60), list(program.lines)


async def test_every_method_of_master_and_controller_manager_has_a_role_that_was_thought_of(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        (tmp_path / "repository").mkdir()
        system.write_device_db()
        await system.master.start()
        names = AsyncioClient()
        await names.connect_rpc(system.address, 3251, None)
        targets = names.get_rpc_id()[0]
        await names.close_rpc()
        offered = set()
        for target in targets:
            one = AsyncioClient()
            await one.connect_rpc(system.address, 3251, target)
            offered |= one._AsyncioClient__session.methods
            await one.close_rpc()
        assert {"submit", "set", "scan_repository", "read", "terminate", "explain"} <= offered
        await system.ctlmgr.start()
        async with system.rpc(3249, "ctlmgr") as manager:
            offered |= manager._AsyncioClient__session.methods
        assert offered == VIEW | SUBMIT | ADMIN_ONLY, "a method without a role, or one that is offered no more"


async def test_roles_and_audit_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = {}
    for role in ("view", "submit", "admin"):
        assert token.main([str(tmp_path / "tokens"), "add", f"my-{role}", role]) == 0
        secrets[role] = capsys.readouterr().out.strip()
    system = await started(tmp_path, "--tokens", str(tmp_path / "tokens"), "--tokens-on-loopback", "--audit-log",
                           str(tmp_path / "audit.log"))
    try:
        assert (await client(system, "set-dataset", "a", "1"))[0] == 1
        assert (await client(system, "set-dataset", "a", "1", secret=secrets["view"]))[0] == 1
        assert (await client(system, "set-dataset", "a", "1", secret=secrets["submit"]))[0] == 0
        assert (await client(system, "show", "log", "--level", "error", secret=secrets["view"]))[0] == 0
        status, lines = await client(system, "terminate", secret=secrets["submit"])
        assert status == 1 and "master_management.terminate needs the role admin, which my-submit" in lines[-1]
        # a token made while the master runs is accepted at once
        assert token.main([str(tmp_path / "tokens"), "add", "late", "admin"]) == 0
        late = capsys.readouterr().out.strip()
        status, lines = await client(system, "terminate", secret="nonsense")
        assert status == 1 and "does not know this token" in lines[-1]
        while (await client(system, "scan-devices", secret=late))[0] != 0:
            pass  # within CHECK_EVERY
        assert (await client(system, "terminate", secret=late))[0] == 0
        assert await system.master.wait(20) == 0
    finally:
        await system.stop()
    record = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    told = [(entry["who"], entry["call"], entry["outcome"]) for entry in record if entry["call"] != "authenticate"]
    assert told[:4] == [("loopback", "dataset_db.set", "denied"), ("my-view", "dataset_db.set", "denied"),
                        ("my-submit", "dataset_db.set", "ok"), ("my-submit", "master_management.terminate", "denied")]
    assert told[-2:] == [("late", "device_db.scan", "ok"), ("late", "master_management.terminate", "ok")]


async def test_certificate_stands_for_a_token(tmp_path: Path) -> None:
    names = ("master", "alice", "bob")
    for name in names:
        make_certificate(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
    files = {name: [str(tmp_path / f"{name}.pem"), str(tmp_path / f"{name}.key")] for name in names}
    (tmp_path / "clients.pem").write_text((tmp_path / "alice.pem").read_text() + (tmp_path / "bob.pem").read_text())
    tokens = str(tmp_path / "tokens")
    assert token.main([tokens, "add", "alice", "submit", "--certificate", files["alice"][0]]) == 0
    assert token.main([tokens, "add", "carol", "submit", "--certificate", files["alice"][1]]) == 1  # a key is none
    fingerprint = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", files["alice"][0]],
                                 check=True, capture_output=True, text=True).stdout.partition("=")[2]
    assert (tmp_path / "tokens").read_text().split() == [
        "alice", "submit", "certificate:" + fingerprint.strip().replace(":", "").lower()]
    system = await started(tmp_path, "--tokens", tokens, "--tokens-on-loopback", "--audit-log",
                           str(tmp_path / "audit.log"), "--ssl", *files["master"], str(tmp_path / "clients.pem"))
    try:
        for who, expected in (("alice", 0), ("bob", 1)):
            status, lines = await client(system, "set-dataset", who, "1", "--ssl", *files[who], files["master"][0])
            assert status == expected, lines
        status, lines = await client(system, "terminate", "--ssl", *files["alice"], files["master"][0])
        assert status == 1 and "which alice does not have" in lines[-1]
    finally:
        await system.stop()
    record = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [(entry["who"], entry["outcome"]) for entry in record] == [
        ("alice", "ok"), ("loopback", "denied"), ("alice", "denied")]


@pytest.mark.parametrize(("options", "said"), [
    (["--tokens", "missing"], "tokens: missing: No such file"), (["--tokens-on-loopback"], "needs --tokens FILE"),
    (["--audit-log", "/nonexistent/audit"], "audit log /nonexistent/audit: No such file")])
async def test_master_does_not_start_without_the_protection_asked_for(
        tmp_path: Path, options: list[str], said: str) -> None:
    async with management(tmp_path) as system:
        (tmp_path / "repository").mkdir()
        system.write_device_db()
        system.master = system.make_master(*options)
        system.master.ready = None
        await system.master.start()
        assert await system.master.wait(30) == 1
        assert said in system.master.last_line()
