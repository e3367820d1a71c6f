"""Tokens, roles and the audit record, on the RPC server that the master uses."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from corelog.frontend import master_link, security_args, token
from corelog.lab.program import Program
from corelog.master.audit import Audit
from corelog.master.security import Guard, is_loopback, needed
from corelog.master.tokens import Account, Role, TokenFile, TokenFileError
from corelog.testing.fakemaster import METHODS, FakeMaster
from sipyco.pc_rpc import AsyncioClient, Client

NAMES = {"view": "viewer", "submit": "submitter", "admin": "chief"}


@asynccontextmanager
async def guarded(guard: Guard) -> AsyncIterator[FakeMaster]:
    master = FakeMaster()
    master.targets = guard.targets(master.targets)
    try:
        async with master:
            yield master
    finally:
        guard.close()


@asynccontextmanager
async def connected(master: FakeMaster, target: str, token: str | None = None) -> AsyncIterator[Any]:
    client = AsyncioClient()
    await client.connect_rpc("127.0.0.1", master.ports["control"], target)
    try:
        if token is not None:
            await client.authenticate(token)
        yield client
    finally:
        await client.close_rpc()


@pytest.fixture
def tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Tokens by role, and the path of their file."""
    made = {"path": str(tmp_path / "tokens")}
    for role in ("view", "submit", "admin"):
        assert token.main([made["path"], "add", NAMES[role], role]) == 0
        made[role] = capsys.readouterr().out.strip()
    return made


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


CALLS = [("schedule", "get_status", (), Role.VIEW), ("schedule", "submit", ("main", {}), Role.SUBMIT),
         ("dataset_db", "get", ("a",), Role.VIEW), ("dataset_db", "set", ("a", 1), Role.SUBMIT),
         ("dataset_db", "save", (), Role.ADMIN), ("device_db", "scan", (), Role.ADMIN),
         ("experiment_db", "list_directory", ("/",), Role.SUBMIT), ("master_management", "terminate", (), Role.ADMIN)]


@pytest.mark.parametrize("role", [Role.NONE, Role.VIEW, Role.SUBMIT, Role.ADMIN])
async def test_each_role_may_do_its_own_and_no_more(role: Role, tokens: dict[str, str]) -> None:
    async with guarded(Guard(TokenFile(tokens["path"]), loopback=Role.NONE)) as master:
        for target, method, arguments, need in CALLS:
            before = len(master.calls)
            async with connected(master, target, tokens.get(role.name.lower())) as client:
                if role >= need:
                    await getattr(client, method)(*arguments)
                    assert master.calls[before:] == [(target, method, arguments)]
                else:
                    with pytest.raises(PermissionError, match=f"{target}.{method} needs the role {need.name.lower()}"):
                        await getattr(client, method)(*arguments)
                    assert len(master.calls) == before


def test_every_method_of_the_master_has_a_role_that_was_thought_of() -> None:
    admin = {f"{target}.{method}" for target, methods in METHODS.items() for method in methods
             if needed(method) is Role.ADMIN}
    assert admin == {"dataset_db.save", "device_db.scan", "master_management.terminate"}
    assert needed("something_new") is Role.ADMIN


async def test_wrong_token_is_refused_and_changes_nothing(tokens: dict[str, str], tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    async with guarded(Guard(TokenFile(tokens["path"]), Audit(str(audit)))) as master:
        async with connected(master, "schedule") as client:
            with pytest.raises(PermissionError, match="does not know this token"):
                await client.authenticate("wrong" * 8)
            await client.delete(1)  # from this machine no token is needed
    assert [(r["who"], r["call"], r["outcome"]) for r in records(audit)] == [
        ("anonymous", "authenticate", "refused"), ("loopback", "schedule.delete", "ok")]
    assert "wrong" not in audit.read_text()


async def test_token_that_is_removed_ends_the_rights_of_open_connections(tokens: dict[str, str]) -> None:
    now = [0.0]
    async with guarded(Guard(TokenFile(tokens["path"], lambda: now[0]), loopback=Role.NONE)) as master:
        async with connected(master, "schedule", tokens["submit"]) as client:
            await client.delete(1)
            assert token.main([tokens["path"], "remove", "nobody"]) == 1
            assert token.main([tokens["path"], "remove", "submitter"]) == 0
            now[0] += 2
            with pytest.raises(PermissionError, match="revoked token"):
                await client.delete(1)


async def test_broken_token_file_leaves_the_tokens_as_they_were(
        tokens: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    file = TokenFile(tokens["path"], lambda: now[0])
    key = next(line.split()[2] for line in Path(tokens["path"]).read_text().splitlines())
    Path(tokens["path"]).write_text("alice owner\n")
    now[0] += 2
    assert file.account(key) == Account("viewer", Role.VIEW)
    assert "line 1 is not NAME view|submit|admin SHA256" in caplog.text
    os.unlink(tokens["path"])
    now[0] += 2
    assert file.account(key) == Account("viewer", Role.VIEW)
    with pytest.raises(TokenFileError):
        TokenFile(tokens["path"])


async def test_audit_says_who_asked_for_what_and_how_it_ended(tokens: dict[str, str], tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    async with guarded(Guard(TokenFile(tokens["path"]), Audit(str(audit)))) as master:
        master.answers["dataset_db", "set"] = ValueError("no\nsuch")
        async with connected(master, "schedule", tokens["submit"]) as client:
            await client.submit("main", {"content": "x" * 100_000}, priority=3)
            await client.get_status()
        async with connected(master, "dataset_db", tokens["view"]) as client:
            with pytest.raises(PermissionError):
                await client.delete("a")
        async with connected(master, "dataset_db") as client:
            with pytest.raises(ValueError):
                await client.set("a", list(range(100_000)))
    made, denied, failed = records(audit)
    assert (made["who"], made["call"], made["outcome"], made["result"]) == ("submitter", "schedule.submit", "ok", 0)
    assert made["arguments"].startswith("'main', {'content': 'xxx") and made["arguments"].endswith("priority=3")
    assert made["peer"].startswith("127.0.0.1:")
    assert (denied["who"], denied["call"], denied["outcome"]) == ("viewer", "dataset_db.delete", "denied")
    assert failed["outcome"] == "failed: ValueError: no\nsuch"
    assert all(len(line) < 4000 for line in audit.read_text().splitlines())


async def test_coroutines_are_recorded_when_they_have_ended(tmp_path: Path) -> None:
    audit, master = tmp_path / "audit", FakeMaster()

    async def scan(revision: str | None) -> int:
        await asyncio.sleep(0)
        if revision is None:
            raise OSError("disk")
        return 7

    master.targets["experiment_db"].scan_repository = scan
    guard = Guard(audit=Audit(str(audit)))
    master.targets = guard.targets(master.targets)
    async with master, connected(master, "experiment_db") as client:
        assert not hasattr(client, "authenticate")  # there are no tokens
        assert await client.scan_repository("r") == 7
        with pytest.raises(OSError):
            await client.scan_repository(None)
    guard.close()
    assert [(r["who"], r["outcome"], r.get("result")) for r in records(audit)] == [
        ("anyone", "ok", 7), ("anyone", "failed: OSError: disk", None)]


async def test_client_gives_its_token_from_file_or_environment(tokens: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text(tokens["admin"] + "\n")
    async with guarded(Guard(TokenFile(tokens["path"]), loopback=Role.NONE)) as master:
        for options, environment, status in ((["--token-file", str(tmp_path / "mine")], {}, 0), ([], {}, 1),
                                             ([], {master_link.TOKEN: tokens["admin"]}, 0),
                                             ([], {master_link.TOKEN: tokens["view"]}, 1)):
            program = Program("client", ["corelog", "client", "-s", "127.0.0.1", "--port",
                                         str(master.ports["control"]), "terminate", *options], env=environment)
            await program.start()
            assert await program.wait(30) == status, program.lines
            if status:
                assert "needs the role admin" in program.last_line()
        assert len(master.calls) == 2


async def test_introspection_and_other_clients_work_on_guarded_targets(tokens: dict[str, str]) -> None:
    async with guarded(Guard(TokenFile(tokens["path"]))) as master:
        def look() -> Any:
            client = Client("127.0.0.1", master.ports["control"], "schedule")
            try:
                return client.get_rpc_method_list()["methods"], client.get_rpc_id()
            finally:
                client.close_rpc()

        methods, (targets, _) = await asyncio.to_thread(look)
        assert set(methods) == {*METHODS["schedule"], "authenticate"} and targets == sorted(METHODS)


@pytest.mark.parametrize(("peer", "role"), [
    ("127.0.0.1:5", Role.ADMIN), ("127.1.2.3:5", Role.ADMIN), ("::1:5", Role.ADMIN),
    ("::ffff:127.0.0.1:5", Role.ADMIN),
    ("192.0.2.1:5", Role.NONE), ("fe80::1%eth0:5", Role.NONE), ("2001:db8::1:5", Role.NONE),
    ("this process", Role.NONE),
    ("", Role.NONE), (None, Role.NONE)])
def test_only_this_machine_needs_no_token(peer: str | None, role: Role, tokens: dict[str, str]) -> None:
    assert Guard(TokenFile(tokens["path"])).without_token(peer).role is role


def test_token_file_is_private_and_holds_no_token(tokens: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(tokens["path"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(tokens[role] in path.read_text() for role in ("view", "submit", "admin"))
    path.write_text("# the lab\n" + path.read_text())
    assert token.main([str(path), "remove", "viewer"]) == 0
    assert token.main([str(path), "list"]) == 0
    assert capsys.readouterr().out == "submitter submit\nchief admin\n"
    assert path.read_text().startswith("# the lab\n")
    assert token.main([str(path), "add", "two words", "view"]) == 1
    path.write_text("x")
    assert token.main([str(path), "add", "a", "view"]) == 1
    assert path.read_text() == "x"


@pytest.mark.parametrize(("bind", "extra", "warned"), [
    (["127.0.0.1", "::1"], {}, False), (["127.0.0.1", "192.0.2.1"], {}, True), (None, {}, True),
    (None, {"ssl": ["c", "k", "p"]}, False), (None, {"tokens": "f"}, False), (["localhost"], {}, False),
    (["lab.example"], {}, True)])
def test_master_open_to_other_machines_is_warned_about(
        bind: list[str] | None, extra: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    import argparse

    args = argparse.Namespace(**{"ssl": None, "tokens": None, "port_control": 3251, **extra})
    security_args.warn_if_open(args, bind)
    assert ("can run any code" in caplog.text) is warned


def test_addresses_that_are_none_are_not_of_this_machine() -> None:
    assert not any(is_loopback(text) for text in ("", "x", "localhost.example", "127.0.0.1.2", "::ffff:10.0.0.1"))
