"""Makes the drivers that an experiment asks for, from the entries of the device database."""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import logging
import os
from collections.abc import Mapping
from typing import Any, Protocol

from corelog import device_db
from corelog.device_db import DeviceDBError

logger = logging.getLogger(__name__)

SSL_DIR = "{ARTIQ_SSL_DIR}"


class DeviceError(Exception):
    """A device cannot be had; the text names it and says why."""


class DeviceDB(Protocol):
    """The device database: the master's, reached through a worker's pipe, or LocalDeviceDB."""

    def get_device_db(self) -> dict[str, Any]: ...
    def get(self, key: str, resolve_alias: bool = False) -> Any: ...


class LocalDeviceDB:
    """The device database of a run without a master."""

    def __init__(self, database: device_db.DeviceDB):
        self._database = database

    def get_device_db(self) -> device_db.DeviceDB:
        return self._database

    def get(self, key: str, resolve_alias: bool = False) -> Any:
        return device_db.resolve(self._database, key)[1] if resolve_alias else self._database[key]


class DummyDevice:
    """Stands for an entry of type `dummy`, and for every device while an experiment is examined."""


class DeviceManager:
    """The drivers of one run, each made when first asked for. Entries with equal descriptions share one driver.

    virtual_devices: objects that are devices by name without an entry (`scheduler`, `ccb`). overrides: device name ->
    arguments that replace those of its entry (`devarg_override` of a submission).
    """

    def __init__(self, ddb: DeviceDB, virtual_devices: Mapping[str, Any] | None = None,
                 overrides: Mapping[str, Mapping[str, Any]] | None = None):
        self.ddb = ddb
        self.virtual_devices = dict(virtual_devices or {})
        self.overrides = dict(overrides or {})
        self.active_devices: list[tuple[dict[str, Any], Any]] = []

    def get_device_db(self) -> device_db.DeviceDB:
        return self.ddb.get_device_db()

    def get_desc(self, name: str) -> dict[str, Any]:
        """The entry that a name or alias leads to, with its overrides. Raises KeyError or DeviceDBError."""
        entry: dict[str, Any] = copy.deepcopy(self.ddb.get(name, resolve_alias=True))
        if name in self.overrides:
            entry["arguments"] = {**entry.get("arguments", {}), **self.overrides[name]}
        return entry

    def get(self, name: str) -> Any:
        """The driver of a device. Raises DeviceError."""
        if name in self.virtual_devices:
            return self.virtual_devices[name]
        try:
            entry = self.get_desc(name)
        except DeviceDBError as error:
            raise DeviceError(str(error)) from None
        except KeyError as error:
            raise DeviceError(f"no device {name!r} in the device database") from error
        for known, driver in self.active_devices:
            if known == entry:
                return driver
        try:
            driver = self._make(entry)
        except DeviceError as error:
            raise DeviceError(f"device {name!r}: {error}") from error
        except Exception as error:
            raise DeviceError(f"device {name!r}: {type(error).__name__}: {error}") from error
        self.active_devices.append((entry, driver))
        return driver

    def _make(self, entry: dict[str, Any]) -> Any:
        kind = entry.get("type")
        if kind == "local":
            try:
                driver = getattr(importlib.import_module(_module(entry["module"])), entry["class"])
            except (ImportError, AttributeError) as error:
                raise DeviceError(f"its driver cannot be loaded: {error}") from error
            return driver(self, **entry.get("arguments", {}))
        if kind == "controller":
            return _client(entry, entry.get("target_name"), entry.get("best_effort", False))
        if kind == "controller_aux_target":
            owner = self.get_desc(entry["controller"])
            return _client(owner, entry["target_name"], entry.get("best_effort", owner.get("best_effort", False)))
        if kind == "dummy":
            return DummyDevice()
        raise DeviceError(f"unknown type {kind!r}")

    def notify_run_end(self) -> None:
        """Tells the drivers that want to know (a method `notify_run_end`) that the stage `run` is over.

        All are told; then the first exception that one of them raised is raised.
        """
        failure: Exception | None = None
        for entry, driver in self.active_devices:
            if entry["type"] == "local" and hasattr(driver, "notify_run_end"):
                try:
                    driver.notify_run_end()
                except Exception as error:  # noqa: BLE001  drivers are the users' and may raise anything
                    failure = failure or error
        if failure is not None:
            raise failure

    def close_devices(self) -> None:
        """Closes the drivers, the last made first; what a driver raises is logged and stops no other."""
        while self.active_devices:
            entry, driver = self.active_devices.pop()
            close = getattr(driver, "close" if entry["type"] == "local" else "close_rpc", None)
            if close is not None:
                try:
                    close()
                except Exception:  # drivers are the users' and may raise anything
                    logger.warning("error when closing a device (%s)", entry, exc_info=True)

    def __enter__(self) -> DeviceManager:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            self.close_devices()


def _module(name: str) -> str:
    """Device databases of ARTIQ serve without ARTIQ, as far as there is a driver of ours."""
    ours = name.startswith("artiq.coredevice.") and importlib.util.find_spec("artiq") is None
    return "corelog" + name.removeprefix("artiq") if ours else name


def _client(entry: dict[str, Any], target: str | None, best_effort: bool) -> Any:
    from sipyco.pc_rpc import AutoTarget, BestEffortClient, Client
    from sipyco.tools import SimpleSSLConfig

    ssl = entry.get("simple_ssl_config")
    config = SimpleSSLConfig(*(_ssl_path(ssl[file]) for file in ("client_cert", "client_key", "server_cert"))) \
        if ssl else None
    kind = BestEffortClient if best_effort else Client
    return kind(entry["host"], entry["port"], AutoTarget if target is None else target, ssl_config=config)


def _ssl_path(path: str) -> str:
    """Each machine says by its environment where it keeps its certificates."""
    if SSL_DIR in path and SSL_DIR[1:-1] not in os.environ:
        raise DeviceError(f"its {path} needs {SSL_DIR[1:-1]} in the environment of the master")
    return path.replace(SSL_DIR, os.environ.get(SSL_DIR[1:-1], ""))
