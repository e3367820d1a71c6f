"""The controller manager's control port with TLS, tokens and audit, and its other doors as before."""

import asyncio
import json
from pathlib import Path

import pytest

from corelog.frontend import token
from corelog.lab.program import Program
from sipyco.pc_rpc import AsyncioClient, IncompatibleServer
from sipyco.tools import SimpleSSLConfig
from support.certificates import make_certificate
from support.management import Management, management


async def started(system: Management, *options: str) -> Management:
    """With a controller that waits an hour for its restart."""
    system.controller("short", "sys.exit(3)", retry_timer=3600)
    system.ctlmgr = system.make_ctlmgr(*options)
    await system.start()
    await system.seen("Restarting in 3600.0 seconds")
    return system


async def connect(system: Management, ssl: SimpleSSLConfig | None = None, secret: str | None = None) -> AsyncioClient:
    client = AsyncioClient(timeout=10.0)
    await client.connect_rpc(system.address, 3249, "ctlmgr", ssl)
    if secret is not None:
        await client.authenticate(secret)
    return client


async def doctor(system: Management, *options: str) -> str:
    program = Program("doctor", ["corelog", "doctor", "-s", system.address, "--ctlmgr", system.address, *options],
                      cwd=system.directory)
    await program.start()
    await program.wait(60)
    return "\n".join(program.lines)


async def test_each_role_may_do_its_own_and_the_record_says_who_did(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens, audit = str(tmp_path / "tokens"), tmp_path / "audit.log"
    secrets = {}
    for role in ("view", "submit", "admin"):
        assert token.main([tokens, "add", f"my-{role}", role]) == 0
        secrets[role] = capsys.readouterr().out.strip()
        (tmp_path / role).write_text(secrets[role])
    async with management(tmp_path) as system:
        await started(system, "--tokens", tokens, "--tokens-on-loopback", "--audit-log", str(audit))
        nobody = await connect(system)
        for call in (nobody.status(), nobody.retry_now("short"), nobody.terminate()):
            with pytest.raises(PermissionError, match="which loopback does not have"):
                await call
        with pytest.raises(PermissionError, match="does not know this token"):
            await nobody.authenticate("wrong")
        await nobody.close_rpc()
        viewer = await connect(system, secret=secrets["view"])
        assert (await viewer.status())["short"]["state"] == "waiting for restart"
        with pytest.raises(PermissionError, match="retry_now needs the role submit, which my-view"):
            await viewer.retry_now("short")
        await viewer.close_rpc()
        assert "controller manager at" in (found := await doctor(system, "--token-file", "view"))
        assert "1 controllers" in found and "needs the role view" in await doctor(system)
        submitter = await connect(system, secret=secrets["submit"])
        first = len(system.tap.entries)
        await submitter.retry_now("short")
        await system.seen("Starting controller short", start=first)
        with pytest.raises(PermissionError, match="terminate needs the role admin, which my-submit"):
            await submitter.terminate()
        await submitter.close_rpc()
        admin = await connect(system, secret=secrets["admin"])
        await admin.terminate()
        assert await system.ctlmgr.wait(20) == 0
        await admin.close_rpc()
    record = [json.loads(line) for line in audit.read_text().splitlines()]
    told = [(entry["who"], entry["call"], entry["outcome"]) for entry in record]
    assert told == [("loopback", "ctlmgr.status", "denied"), ("loopback", "ctlmgr.retry_now", "denied"),
                    ("loopback", "ctlmgr.terminate", "denied"), ("anonymous", "authenticate", "refused"),
                    ("my-view", "ctlmgr.retry_now", "denied"), ("loopback", "ctlmgr.status", "denied"),
                    ("my-submit", "ctlmgr.retry_now", "ok"), ("my-submit", "ctlmgr.terminate", "denied"),
                    ("my-admin", "ctlmgr.terminate", "ok")]


async def test_over_tls_only_those_whose_certificate_is_known_get_in(tmp_path: Path) -> None:
    for name in ("server", "friend", "stranger"):
        make_certificate(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")

    def files(own: str, peer: str) -> list[str]:
        return [str(tmp_path / file) for file in (f"{own}.pem", f"{own}.key", f"{peer}.pem")]

    async with management(tmp_path) as system:
        await started(system, "--ssl-control", *files("server", "friend"))
        friend = await connect(system, SimpleSSLConfig(*files("friend", "server")))
        assert list(await friend.status()) == ["short"]
        for ssl in (None, SimpleSSLConfig(*files("stranger", "server"))):
            with pytest.raises((OSError, EOFError, IncompatibleServer)):
                async with asyncio.timeout(20):
                    await connect(system, ssl)
        assert "1 controllers" in await doctor(system, "--ssl-ctlmgr", *files("friend", "server"))
        assert "or it wants TLS (--ssl-ctlmgr)" in await doctor(system)
        await friend.terminate()
        await friend.close_rpc()
        assert await system.ctlmgr.wait(20) == 0


async def test_without_options_whoever_reaches_the_port_may_do_everything_and_that_is_said(tmp_path: Path) -> None:
    async with management(tmp_path) as system:
        await started(system, "--bind", "0.0.0.0", "--port-control", "0")
        said = [line for line in system.ctlmgr.lines if "end the controllers here" in line]
        assert len(said) == 1 and "use --ssl-control or --tokens" in said[0]


@pytest.mark.parametrize(("options", "said"), [
    (["--tokens", "missing"], "tokens: missing: No such file"), (["--tokens-on-loopback"], "needs --tokens FILE"),
    (["--ssl-control", "a", "b", "c"], "--ssl-control: a: No such file")])
async def test_manager_does_not_start_without_the_protection_asked_for(
        tmp_path: Path, options: list[str], said: str) -> None:
    async with management(tmp_path) as system:
        system.ctlmgr = system.make_ctlmgr(*options)
        system.ctlmgr.ready = None
        await system.ctlmgr.start()
        assert await system.ctlmgr.wait(30) == 1
        assert said in system.ctlmgr.last_line()
