"""Makes the drivers that an experiment asks for, from the entries of the device database."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
from collections.abc import Mapping
from typing import Any

from corelog.device_db import DeviceDB, DeviceDBError, resolve

logger = logging.getLogger(__name__)


class DeviceError(Exception):
    """A device cannot be had; the text names it and says why."""


def _module(name: str) -> str:
    """Device databases of ARTIQ serve without ARTIQ, as far as there is a driver of ours."""
    ours = name.startswith("artiq.coredevice.") and importlib.util.find_spec("artiq") is None
    return "corelog" + name.removeprefix("artiq") if ours else name


class DummyDevice:
    """Stands for an entry of type `dummy`."""


class Devices:
    """The drivers of one run, each made when first asked for. Entries with equal descriptions share one driver.

    virtual: objects that are devices by name without an entry (`scheduler`, `ccb`).
    """

    def __init__(self, device_db: DeviceDB, virtual: Mapping[str, Any] | None = None):
        self._db = device_db
        self._virtual = dict(virtual or {})
        self._made: list[tuple[dict[str, Any], Any]] = []

    def get_device_db(self) -> DeviceDB:
        return self._db

    def get(self, name: str) -> Any:
        """The driver of a device. Raises DeviceError."""
        if name in self._virtual:
            return self._virtual[name]
        try:
            real, entry = resolve(self._db, name)
        except DeviceDBError as error:
            raise DeviceError(str(error)) from None
        for known, driver in self._made:
            if known == entry:
                return driver
        try:
            driver = self._make(entry)
        except DeviceError as error:
            raise DeviceError(f"device {real!r}: {error}") from error
        except Exception as error:
            raise DeviceError(f"device {real!r}: {type(error).__name__}: {error}") from error
        self._made.append((entry, driver))
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
            return self._client(entry, entry.get("target_name"), entry.get("best_effort", False))
        if kind == "controller_aux_target":
            _, owner = resolve(self._db, entry["controller"])
            return self._client(owner, entry["target_name"], entry.get("best_effort", owner.get("best_effort", False)))
        if kind == "dummy":
            return DummyDevice()
        raise DeviceError(f"unknown type {kind!r}")

    def _client(self, entry: dict[str, Any], target: str | None, best_effort: bool) -> Any:
        from sipyco.pc_rpc import AutoTarget, BestEffortClient, Client
        from sipyco.tools import SimpleSSLConfig

        ssl = entry.get("simple_ssl_config")
        config = SimpleSSLConfig(ssl["client_cert"], ssl["client_key"], ssl["server_cert"]) if ssl else None
        kind = BestEffortClient if best_effort else Client
        return kind(entry["host"], entry["port"], AutoTarget if target is None else target, ssl_config=config)

    def close_devices(self) -> None:
        """Closes the drivers, the last made first; what a driver raises is logged and stops no other."""
        while self._made:
            entry, driver = self._made.pop()
            close = getattr(driver, "close_rpc", None) if entry["type"] != "local" else getattr(driver, "close", None)
            if close is not None:
                try:
                    close()
                except Exception:  # drivers are the users' and may raise anything
                    logger.warning("error when closing a device (%s)", entry, exc_info=True)

    def __enter__(self) -> Devices:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            self.close_devices()
