"""What `corelog doctor` looks at. Each check returns findings and raises nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from corelog import device_db
from corelog.coredevice.mgmt import PORT, AsyncMgmt
from corelog.coredevice.requests import DeviceError
from corelog.ctlmgr.config import ConfigError, ssl_paths
from corelog.frontend.common import describe
from sipyco.pc_rpc import AsyncioClient, IncompatibleServer
from sipyco.tools import SimpleSSLConfig

OK, NOTE, PROBLEM = "ok", "note", "problem"
Database = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    grade: str
    text: str
    advice: str = ""


@dataclass(frozen=True)
class Master:
    """Where the master is. ports: of other services than control."""

    host: str
    port: int
    ports: Mapping[str, int]
    ssl: SimpleSSLConfig | None = None
    token: str | None = None


def device_database(path: str) -> tuple[Database | None, list[Finding]]:
    """The database, None if it cannot be loaded."""
    try:
        database = device_db.load(path)
    except device_db.DeviceDBError as error:
        return None, [Finding(PROBLEM, str(error), "without it, controllers and core device are not looked at")]
    found = [Finding(PROBLEM, f"{path}: {text}", "correct the entry, then: corelog client scan-devices")
             for text in device_db.problems(database)]
    return database, found or [Finding(OK, f"device database {path}: {len(database)} entries")]


async def _ask(host: str, port: int, target: str | None, method: str | None, timeout: float,
               ssl: SimpleSSLConfig | None = None, token: str | None = None) -> tuple[list[str], Any]:
    """The server's targets, and what the method of the target (None: the first one) returns."""
    client = AsyncioClient(timeout=timeout)
    await client.connect_rpc(host, port, None, ssl)
    try:
        targets = client.get_rpc_id()[0]
        if method is None:
            return targets, None
        await client.select_rpc_target(target or targets[0])
        if token is not None and hasattr(client, "authenticate"):
            await client.authenticate(token)
        return targets, await getattr(client, method)()
    finally:
        await client.close_rpc()


def _forbidden(what: str, host: str, error: PermissionError) -> Finding:
    return Finding(PROBLEM, f"{what} at {host}: {error}",
                   f"ask for a token; whoever runs the {what} makes it: corelog token FILE add NAME ROLE")


def _refused(what: str, host: str, port: int, error: Exception, start: str, option: str = "--ssl", *,
             tls: bool = False) -> Finding:
    """What it means that nobody answers properly."""
    where = f"{what} at {host} port {port}"
    if isinstance(error, ConnectionRefusedError):
        return Finding(PROBLEM, f"{where}: nothing listens there", start)
    if isinstance(error, TimeoutError):
        return Finding(PROBLEM, f"{where}: no answer", "look at the network and firewall, and whether it hangs")
    if isinstance(error, EOFError | IncompatibleServer):
        return Finding(PROBLEM, f"{where}: what listens there does not speak the RPC protocol",
                       f"look at {option}: its PEER file must hold this machine's certificate and vice versa" if tls
                       else f"another program has the port, or it wants TLS ({option})")
    return Finding(PROBLEM, f"{where}: {describe(error)}")


async def master(where: Master, database: Database | None, timeout: float) -> list[Finding]:
    start = "start it: corelog master (or corelog session)"
    try:
        targets, theirs = await _ask(where.host, where.port, "device_db", "get_device_db", timeout, where.ssl,
                                     where.token)
    except PermissionError as error:
        return [_forbidden("master", where.host, error)]
    except Exception as error:  # noqa: BLE001  whatever it is, is the finding
        return [_refused("master", where.host, where.port, error, start, tls=where.ssl is not None)]
    found = [Finding(OK, f"master at {where.host} port {where.port}: {', '.join(targets)}")]
    for name, port in where.ports.items():
        try:
            async with asyncio.timeout(timeout):
                _, writer = await asyncio.open_connection(where.host, port)
            writer.close()
        except OSError as error:
            found.append(Finding(PROBLEM, f"master at {where.host}: port {port} for {name} cannot be reached: "
                                          f"{describe(error)}", "look at the master's --port options and the firewall"))
    if database is not None and theirs != database:
        names = sorted(n for n in {*theirs, *database} if theirs.get(n) != database.get(n))
        found.append(Finding(NOTE, f"the master's device database differs in: {', '.join(names)}",
                             "if this is its file, let it read it again: corelog client scan-devices"))
    return found


async def controller_manager(host: str, port: int, timeout: float, ssl: SimpleSSLConfig | None = None,
                             token: str | None = None) -> list[Finding]:
    try:
        _, status = await _ask(host, port, "ctlmgr", "status", timeout, ssl, token)
    except PermissionError as error:
        return [_forbidden("controller manager", host, error)]
    except AttributeError:
        return [Finding(NOTE, f"controller manager at {host} port {port} does not say how its controllers are",
                        "that of Corelog does: corelog ctlmgr")]
    except Exception as error:  # noqa: BLE001  as above
        return [_refused("controller manager", host, port, error, "start it: corelog ctlmgr (or corelog session)",
                         "--ssl-ctlmgr", tls=ssl is not None)]
    found = [Finding(OK, f"controller manager at {host}: {len(status)} controllers")]
    for name, state in status.items():
        if state["state"] not in ("running", "starting"):
            found.append(Finding(
                PROBLEM, f"controller {name} is {state['state']} after {state['restarts']} restarts, last exit status "
                         f"{state['last_exit']}: {state['last_output'] or 'it printed nothing'}",
                "correct what it says; it is started again by itself"))
    return found


async def controllers(database: Database, timeout: float) -> list[Finding]:
    """All that the database has, wherever they run."""
    names = [name for name, entry in database.items() if isinstance(entry, dict) and entry.get("type") == "controller"]
    return list(await asyncio.gather(*(_controller(name, database, timeout) for name in names)))


async def _controller(name: str, database: Database, timeout: float) -> Finding:
    entry = database[name]
    host, port = entry.get("host"), entry.get("port")
    if not isinstance(host, str) or not isinstance(port, int):
        return Finding(PROBLEM, f"controller {name}: its entry has no usable host and port")
    start = "its controller manager starts it; without one, run its command yourself" if "command" in entry else \
        f"start it on {host}: its entry has no command, so no controller manager does"
    try:
        paths = ssl_paths(name, entry, host)
        ssl = SimpleSSLConfig(*paths) if paths is not None else None
        targets, answer = await _ask(host, port, None, "ping", timeout, ssl)
    except ConfigError as error:
        return Finding(PROBLEM, f"controller {name}: {error}", "correct its entry in the device database")
    except AttributeError:
        return Finding(NOTE, f"controller {name} has no ping()", "add one, so that a controller that hangs is noticed")
    except Exception as error:  # noqa: BLE001  as above
        return _refused(f"controller {name}", host, port, error, start)
    if not answer:
        return Finding(PROBLEM, f"controller {name}: ping() says {answer!r}", "look at its log and its device")
    wanted = {entry.get("target_name"), *(other.get("target_name") for other in database.values() if isinstance(
        other, dict) and other.get("type") == "controller_aux_target" and other.get("controller") == name)} - {None}
    if missing := sorted(wanted - set(targets)):
        return Finding(PROBLEM, f"controller {name} has no target {', '.join(missing)}, only {', '.join(targets)}",
                       "correct target_name in the device database")
    if entry.get("target_name") is None and len(targets) > 1:
        return Finding(PROBLEM, f"controller {name} has several targets: {', '.join(targets)}",
                       "say in its entry which: target_name")
    return Finding(OK, f"controller {name} at {host} port {port}: {', '.join(targets)}")


async def core_device(database: Database, timeout: float) -> list[Finding]:
    if "core" not in database:
        return [Finding(NOTE, "the device database has no core device (entry `core`)")]
    try:
        host = device_db.core_address(database)
    except device_db.DeviceDBError as error:
        return [Finding(PROBLEM, str(error))]
    where = f"core device at {host}"
    try:
        async with AsyncMgmt(host, timeout=timeout) as device:
            try:
                identity = await device.identify()
            except (DeviceError, ConnectionError):  # ARTIQ's firmware drops the connection
                return [Finding(NOTE, f"{where} answers, but does not tell its versions",
                                "ARTIQ's firmware does not; records are numbered with Corelog's only")]
    except ConnectionRefusedError:
        return [Finding(PROBLEM, f"{where}: port {PORT} refuses connections",
                        "the device is there, but its firmware does not run, or the address is another machine's")]
    except OSError as error:
        return [Finding(PROBLEM, f"{where} cannot be reached: {describe(error)}",
                        "is it on, and is arguments.host of `core` its address?")]
    found = [Finding(OK, f"{where}: firmware {identity.firmware}, gateware {identity.gateware}, "
                         f"up {identity.uptime / 1e6:.0f} s")]
    firmware, gateware, programs = (text.partition(";")[0] for text in
                                    (identity.firmware, identity.gateware, version("corelog")))
    if firmware != gateware:
        found.append(Finding(NOTE, f"{where}: firmware {firmware} and gateware {gateware} are not of one version",
                             "flash both together"))
    if firmware != programs:
        found.append(Finding(NOTE, f"{where}: these programs are version {programs}, its firmware {firmware}",
                             "flash the firmware of the same version"))
    return found
