"""How experiments get their devices."""

import asyncio
import importlib.util
import logging
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from corelog.coredevice.core import Core
from corelog.coredevice.ttl import TTLOut
from corelog.language.devices import DeviceError, DeviceManager, DummyDevice, LocalDeviceDB
from sipyco.pc_rpc import Server
from sipyco.tools import SimpleSSLConfig
from support.certificates import make_certificate

made: list[str] = []


def manager(database: dict[str, Any], virtual: dict[str, Any] | None = None, **options: Any) -> DeviceManager:
    return DeviceManager(LocalDeviceDB(database), virtual, **options)


class Driver:
    def __init__(self, dmgr: DeviceManager, name: str, fails: bool = False, close_fails: bool = False):
        if fails:
            raise ArithmeticError("no laser")
        self.name, self.close_fails = name, close_fails

    def close(self) -> None:
        made.append(self.name)
        if self.close_fails:
            raise ArithmeticError("stuck")


@pytest.fixture(autouse=True)
def lab() -> Any:
    module = types.ModuleType("lab_drivers")
    module.Driver = Driver  # type: ignore[attr-defined]
    sys.modules["lab_drivers"] = module
    made.clear()
    yield
    del sys.modules["lab_drivers"]


def local(**arguments: Any) -> dict[str, Any]:
    return {"type": "local", "module": "lab_drivers", "class": "Driver", "arguments": arguments}


def test_alias_and_equal_descriptions_share_one_driver() -> None:
    devices = manager({"a": local(name="x"), "b": "a", "c": "b", "d": local(name="x"), "e": local(name="y")})
    assert devices.get("a") is devices.get("c") is devices.get("d")
    assert devices.get("e") is not devices.get("a")


def test_drivers_are_closed_last_first_and_a_failing_one_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), manager({n: local(name=n, close_fails=n == "b") for n in "abc"}) as devices:
        for name in "abc":
            devices.get(name)
    assert made == ["c", "b", "a"]
    assert [record.message for record in caplog.records if "closing" in record.message]


def test_virtual_and_dummy_devices_need_no_driver() -> None:
    scheduler = object()
    devices = manager({"nothing": {"type": "dummy"}}, {"scheduler": scheduler})
    assert devices.get("scheduler") is scheduler
    assert isinstance(devices.get("nothing"), DummyDevice)


@pytest.mark.parametrize(("entry", "text"), [
    (local(name="x", fails=True), "device 'x': ArithmeticError: no laser"),
    (local(colour="red"), "device 'x': TypeError: .*colour"),
    ({"type": "local", "module": "no_such_module", "class": "X"}, "device 'x': its driver cannot be loaded"),
    ({"type": "local", "module": "lab_drivers", "class": "Nobody"}, "device 'x': its driver cannot be loaded"),
    ({"type": "strange"}, "device 'x': unknown type 'strange'"),
    ({"type": "controller", "host": "127.0.0.1", "port": 1}, "device 'x': ConnectionRefusedError"),
    ("y", "no device 'y'"),
])
def test_device_that_cannot_be_had_is_named_with_the_reason(entry: Any, text: str) -> None:
    with pytest.raises(DeviceError, match=text):
        manager({"x": entry}).get("x")


@pytest.mark.skipif(importlib.util.find_spec("artiq") is not None, reason="uses ARTIQ's drivers where it is installed")
def test_device_database_of_artiq_gets_our_drivers() -> None:
    devices = manager({
        "core": {"type": "local", "module": "artiq.coredevice.core", "class": "Core",
                 "arguments": {"host": "192.0.2.1", "ref_period": 1e-9, "analyzer_proxy": "core_analyzer",
                               "target": "rv32g", "satellite_cpu_targets": {}}},
        "ttl0": {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLOut", "arguments": {"channel": 0}},
        "dds": {"type": "local", "module": "artiq.coredevice.ad9910", "class": "AD9910", "arguments": {}}})
    assert isinstance(devices.get("core"), Core)
    assert isinstance(devices.get("ttl0"), TTLOut) and devices.get("ttl0").core is devices.get("core")
    with pytest.raises(DeviceError, match="device 'dds': its driver cannot be loaded"):
        devices.get("dds")


def test_submission_overrides_arguments_of_the_devices_it_names() -> None:
    database = {"a": local(name="x"), "b": local(name="x"), "c": {"type": "local", "module": "lab_drivers",
                                                                 "class": "Driver"}}
    devices = manager(database, overrides={"a": {"name": "other"}, "c": {"name": "new"}})
    assert [devices.get(name).name for name in "abc"] == ["other", "x", "new"]
    assert database["a"]["arguments"] == {"name": "x"}


def test_end_of_run_is_told_to_every_driver_that_wants_to_know() -> None:
    class Proud(Driver):
        def notify_run_end(self) -> None:
            made.append(f"told {self.name}")
            if self.close_fails:
                raise ArithmeticError("stuck")

    sys.modules["lab_drivers"].Driver = Proud  # type: ignore[attr-defined]
    devices = manager({n: local(name=n, close_fails=n == "a") for n in "abc"})
    for name in "ab":
        devices.get(name)
    with pytest.raises(ArithmeticError, match="stuck"):
        devices.notify_run_end()
    assert made == ["told a", "told b"]


class Laser:
    def power(self) -> int:
        return 3


async def test_controller_with_tls_and_its_aux_targets_use_the_certificates_of_this_machine(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("server", "client"):
        make_certificate(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
    server = Server({"laser": Laser(), "shutter": Laser()})
    await server.start("127.0.0.1", 0, SimpleSSLConfig(*(
        str(tmp_path / file) for file in ("server.pem", "server.key", "client.pem"))))
    database = {
        "laser": {"type": "controller", "host": "127.0.0.1",
                  "port": server.asyncio_server.sockets[0].getsockname()[1], "target_name": "laser",
                  "simple_ssl_config": {"client_cert": "{ARTIQ_SSL_DIR}/client.pem",
                                        "client_key": "{ARTIQ_SSL_DIR}/client.key",
                                        "server_cert": "{ARTIQ_SSL_DIR}/server.pem"}},
        "shutter": {"type": "controller_aux_target", "controller": "laser", "target_name": "shutter"}}

    def power(name: str) -> Any:
        with manager(database) as devices:
            return devices.get(name).power()

    try:
        monkeypatch.delenv("ARTIQ_SSL_DIR", raising=False)
        with pytest.raises(DeviceError, match=r"device 'laser': .*needs ARTIQ_SSL_DIR in the environment"):
            await asyncio.to_thread(power, "laser")
        monkeypatch.setenv("ARTIQ_SSL_DIR", str(tmp_path))
        for name in database:
            assert await asyncio.to_thread(power, name) == 3
    finally:
        await server.stop()
