"""Loading and reading `device_db.py`, the file that names a laboratory's devices.

An entry is a dict with a `type` (`local`, `controller`, `controller_aux_target`, `dummy`) or a string, the name of
another entry. Nothing here looks into anything but the file itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DeviceDB = dict[str, Any]

# type -> fields an entry of it must have
REQUIRED_FIELDS: dict[str, tuple[str, ...]] = {
    "local": ("module", "class"),
    "controller": ("host", "port"),
    "controller_aux_target": ("controller", "target_name"),
    "dummy": (),
}


class DeviceDBError(Exception):
    """The device database or what was looked up in it is wrong; `str()` is one line."""


def load(path: str | Path) -> DeviceDB:
    """Runs the file, which may import modules beside it, and returns its `device_db` dict.

    Raises DeviceDBError, with the line where there is one, when the file is missing, is not valid Python, fails, or
    defines no `device_db` dict with string keys. Entries themselves are not judged: see `problems`.
    """
    path = Path(path)
    try:
        source = path.read_bytes()
    except FileNotFoundError:
        raise DeviceDBError(f"device database {path} does not exist (give its path with --device-db)") from None
    except OSError as exc:
        raise DeviceDBError(f"device database {path} cannot be read: {exc.strerror}") from exc
    namespace: dict[str, Any] = {"__file__": str(path), "__name__": "device_db"}
    try:
        with _imports_from(os.path.dirname(os.path.abspath(path))):
            exec(compile(source, str(path), "exec"), namespace)
    except SyntaxError as exc:
        raise DeviceDBError(f"device database {path}, line {exc.lineno}: {exc.msg}") from exc
    except (Exception, SystemExit) as exc:  # the file is the user's program and may raise anything
        line = _line_in(exc, str(path))
        raise DeviceDBError(f"device database {path}, line {line}: {type(exc).__name__}: {exc}") from exc
    db = namespace.get("device_db")
    if db is None:
        raise DeviceDBError(f"device database {path} does not define device_db")
    if not isinstance(db, dict):
        raise DeviceDBError(f"device database {path}: device_db is a {type(db).__name__}, not a dict")
    for name in db:
        if not isinstance(name, str):
            raise DeviceDBError(f"device database {path}: the name {name!r} is not a string")
    return db


@contextlib.contextmanager
def _imports_from(folder: str) -> Iterator[None]:
    """Modules of the folder can be imported, and are forgotten then, so that the next time they are read again."""
    before = set(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the file may have changed the path itself
            sys.path.remove(folder)
        for name in set(sys.modules) - before:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(os.path.join(folder, "")):
                del sys.modules[name]


def _line_in(exc: BaseException, filename: str) -> int | str:
    line: int | str = "?"
    tb = exc.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == filename:
            line = tb.tb_lineno
        tb = tb.tb_next
    return line


def resolve(db: DeviceDB, name: str) -> tuple[str, dict[str, Any]]:
    """Follows aliases from `name`. Returns the name of the entry at the end, and the entry (a dict).

    Raises DeviceDBError for a name that does not exist, a circle of aliases, and an entry that is no dict.
    """
    seen = [name]
    while True:
        if name not in db:
            via = f" (reached as {' -> '.join(seen)})" if len(seen) > 1 else ""
            raise DeviceDBError(f"no device {name!r} in the device database{via}")
        entry = db[name]
        if isinstance(entry, dict):
            return name, entry
        if not isinstance(entry, str):
            raise DeviceDBError(f"device {name!r} is a {type(entry).__name__}; it must be a dict or another's name")
        if entry in seen:
            raise DeviceDBError(f"aliases go in a circle: {' -> '.join([*seen, entry])}")
        name = entry
        seen.append(name)


def core_address(db: DeviceDB, name: str = "core") -> str:
    """Network address of the core device: `arguments.host` of the entry `core`. Raises DeviceDBError."""
    real, entry = resolve(db, name)
    arguments = entry.get("arguments")
    host = arguments.get("host") if isinstance(arguments, dict) else None
    if not isinstance(host, str) or not host:
        raise DeviceDBError(f"device {real!r} has no arguments.host, the address of the core device")
    return host


def problems(db: DeviceDB) -> list[str]:
    """What is wrong with the entries, a line each, in the order of the database; empty when all are well.

    A dict without `type` that no alias names is not a device (files keep such data beside their devices).
    """
    found = []
    for name, entry in db.items():
        if isinstance(entry, str):
            try:
                resolve(db, name)
            except DeviceDBError as exc:
                found.append(str(exc))
        elif isinstance(entry, dict) and "type" in entry:
            found += [f"device {name!r}: {text}" for text in _entry_problems(db, entry)]
    return found


def _entry_problems(db: DeviceDB, entry: dict[str, Any]) -> list[str]:
    kind = entry["type"]
    if kind not in REQUIRED_FIELDS:
        return [f"type {kind!r} is none of {', '.join(REQUIRED_FIELDS)}"]
    found = [f"{kind} entry lacks {field!r}" for field in REQUIRED_FIELDS[kind] if field not in entry]
    if kind == "controller" and "port" in entry:
        port = entry["port"]
        if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
            found.append(f"port {port!r} is not a number from 1 to 65535")
    if kind == "controller_aux_target" and "controller" in entry:
        try:
            _, owner = resolve(db, entry["controller"])
        except DeviceDBError as exc:
            found.append(str(exc))
        else:
            if owner.get("type") != "controller":
                found.append(f"{entry['controller']!r} is not a controller")
    return found
